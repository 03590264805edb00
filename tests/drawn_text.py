"""Secondary captures with text in their pixels, and what can be seen of it afterwards."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from tests.datasets import STUDY_UID, ct_slice

ROWS, COLUMNS = 240, 400
TEXT_BOX = (24, 20, 24 + 190, 20 + 26)
"""Left, top, right and bottom of the drawn text."""
_GROUND = 30
_CT_ONLY = ("RescaleIntercept", "RescaleSlope", "RescaleType", "ImageOrientationPatient", "ImagePositionPatient")


def capture(text: str = "DOE^JANE 4711", number: int = 1, **changes: object) -> Dataset:
    """A grey Secondary Capture of a disk, with a text over it."""
    image = Image.new("L", (COLUMNS, ROWS), _GROUND)
    draw = ImageDraw.Draw(image)
    draw.ellipse((140, 70, 280, 210), fill=90)
    draw.text((TEXT_BOX[0], TEXT_BOX[1]), text, fill=255, font_size=24)
    made = ct_slice(number, rows=ROWS, columns=COLUMNS, series_uid=f"{STUDY_UID}.7{number}")
    made.SOPClassUID, made.Modality, made.ConversionType = "1.2.840.10008.5.1.4.1.1.7", "OT", "WSD"
    made.ImageType = ["DERIVED", "SECONDARY"]
    for name in _CT_ONLY:
        delattr(made, name)
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    made.PixelData = np.asarray(image).tobytes()
    made["PixelData"].VR = "OB"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def label_of_a_slide(text: str = "DOE^JANE 4711", number: int = 2) -> Dataset:
    """The macro image of a slide, on which a person decides by the policy that the program brings."""
    return capture(
        text,
        number,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.6",
        Modality="SM",
        ImageType=["ORIGINAL", "PRIMARY", "OVERVIEW", "NONE"],
    )


def shows_text(pixels: np.ndarray) -> bool:
    """Whether anything brighter than the ground stands where the text was drawn."""
    left, top, right, bottom = TEXT_BOX
    return int(pixels[top:bottom, left:right].max()) > _GROUND

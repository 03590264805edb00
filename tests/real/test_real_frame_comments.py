"""What real compressed images say beside the image: most keep every byte, few lose something, none its image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from pydicom import dcmread
from pydicom.pixels import get_decoder

from dicom_nodes.errors import GatewayError
from service.core.pydicom_reading import read_leniently
from service.deident.code_streams.frame_comments import without_comments
from service.deident.code_streams.harmless_comments import HarmlessComments
from service.deident.dicom_file import read_dicom
from service.deident.pixel_rest import frames_of
from tests.standard_attributes import TABLE

pytestmark = pytest.mark.real_data
DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"
BLANKED = {
    "GDCMJ2K_TextGBR.dcm",  # a JPX file: reader requirements, a colour profile, four UUID boxes
    "JPGLosslessP14SV1_1s_1f_8b.dcm",  # an application segment that misspells JFIF
}


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


def cleaned(folder: Path) -> Iterator[tuple[Path, bytes | None]]:
    """The compressed images of a folder, with their pixel data where something was blanked.

    Raises
    ------
    IdentityNotRemovable : one would be held
    """
    harmless = HarmlessComments.load(TABLE.parent.parent / "text")
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and "standard" not in path.parts):
        with file.open("rb") as stream:
            try:
                source = read_dicom(stream)
            except GatewayError:
                continue
            if source.pixels is None or not source.pixels.encapsulated:
                continue
            syntax, frames = str(source.transfer_syntax_uid), frames_of(source.header)
            found = without_comments(source.pixel_value, syntax, frames, harmless)
            yield file, None if found is None else found[:]


def images_stay(file: Path, value: bytes) -> None:
    before, after = dcmread(file), dcmread(file)
    after.PixelData = value + DELIMITER
    decoder = get_decoder(before.file_meta.TransferSyntaxUID)
    np.testing.assert_array_equal(decoder.as_array(before)[0], decoder.as_array(after)[0])


def test_no_compressed_image_of_the_real_data_is_held(shared_data):
    count = Counter(value is not None for _, value in cleaned(shared_data))
    assert count[False] > 600


def test_few_real_images_lose_anything_and_none_its_image(shared_data):
    folders = shared_data, Path(pydicom.data.__file__).parent
    lost = {file: value for folder in folders for file, value in cleaned(folder) if value is not None}
    assert {file.name for file in lost} == BLANKED
    for file, value in lost.items():
        images_stay(file, value)

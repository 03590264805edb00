"""A source image as a grey or coloured picture of bytes, as a viewer would first show it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from service.core.geometry import ImagePlace
from service.errors import ObjectInvalid
from service.objects.display_items import in_tiles, modality_transformation, voi_transformation
from service.objects.source_images import SourceImages

Picture = npt.NDArray[np.uint8]
StoredFrame = Callable[[Dataset, int], npt.NDArray[Any]]
"""Stored values of a frame, from 1, of the image with such a header: (rows, columns), or uint8 RGB (…, 3)."""
_DARKEST: Final = 0.5
_BRIGHTEST: Final = 99.5
_COLOUR_AXES: Final = 3


def picture_of(place: ImagePlace, sources: SourceImages, stored: StoredFrame | None) -> Picture | None:
    """The image as RGB, shape (rows, columns, 3); None of a whole that is stored in tiles.

    Grey goes through the image's own first window; without one, from the darkest to the brightest half percent.

    Raises
    ------
    ObjectInvalid : there is neither a volume nor a way to its pixels
    """
    header = sources.header_of(place)
    if in_tiles(header, place):
        return None
    values, measured = _values(place, header, sources, stored)
    if values.ndim == _COLOUR_AXES:
        return np.ascontiguousarray(values, dtype=np.uint8)
    low, high = _range(header, place, values, measured=measured)
    grey = np.clip((values - low) / max(high - low, 1e-6), 0, 1)
    if header.get("PhotometricInterpretation") == "MONOCHROME1":
        grey = 1 - grey
    return np.repeat(np.rint(grey * 255).astype(np.uint8)[..., None], 3, axis=2)


def _values(
    place: ImagePlace, header: Dataset, sources: SourceImages, stored: StoredFrame | None
) -> tuple[npt.NDArray[Any], bool]:
    """Pixel values, and whether they are what the window is given in."""
    frame = place.frames[0] if place.frames else 1
    if sources.volume is not None:
        for number, plane in enumerate(sources.planes):
            if (plane.sop_instance_uid, plane.frame_number or 1) == (place.sop_instance_uid, frame):
                # Only of CT are a volume's units always those of the image: PET may have been turned into SUV.
                return sources.volume.array[number].astype(np.float64), sources.modality == "CT"
    if stored is None:
        raise ObjectInvalid("a picture needs pixels; hand over the volume, or a way to the frames of the images")
    pixels = np.asarray(stored(header, frame))
    if pixels.ndim == _COLOUR_AXES:
        return pixels, True
    modality = modality_transformation(header, place)
    slope, intercept = float(modality.get("RescaleSlope", 1)), float(modality.get("RescaleIntercept", 0))
    return pixels.astype(np.float64) * slope + intercept, "ModalityLUTSequence" not in modality


def _range(header: Dataset, place: ImagePlace, values: npt.NDArray[Any], *, measured: bool) -> tuple[float, float]:
    window = voi_transformation(header, place)
    if measured and "WindowWidth" in window and float(window.WindowWidth) > 0:
        center, width = float(window.WindowCenter), float(window.WindowWidth)
        return center - width / 2, center + width / 2
    low, high = np.percentile(values, (_DARKEST, _BRIGHTEST))
    return float(low), float(high)

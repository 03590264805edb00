"""How a source image is displayed, as a presentation state says it: modality and VOI transformation, displayed area."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from copy import deepcopy
from typing import Final

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import DSfloat, format_number_as_ds

from service.core.geometry import ImagePlace
from service.objects.source_images import SourceImages

_RESCALE: Final = ("RescaleIntercept", "RescaleSlope")
_COLOURS: Final = ("PALETTE COLOR",)
_PROFILE_MADE: Final = struct.pack(">6H", 2024, 1, 1, 0, 0, 0)
"""Not now: the same state twice is to be the same bytes."""


def is_colour(header: Dataset) -> bool:
    """Whether an image is shown in colour, so that a Color Softcopy Presentation State is for it (PS3.3 A.33.2)."""
    return int(header.get("SamplesPerPixel") or 1) > 1 or header.get("PhotometricInterpretation") in _COLOURS


def modality_transformation(header: Dataset, place: ImagePlace) -> Dataset:
    """The Modality LUT module as the image has it; empty where it has none (PS3.3 C.11.1)."""
    module = Dataset()
    for item in _groups(header, place, "PixelValueTransformationSequence"):
        if "ModalityLUTSequence" in item:
            module.ModalityLUTSequence = deepcopy(item.ModalityLUTSequence)
            return module
        if all(item.get(keyword) is not None for keyword in _RESCALE):
            module.RescaleIntercept, module.RescaleSlope = item.RescaleIntercept, item.RescaleSlope
            module.RescaleType = item.get("RescaleType") or "US"
            return module
    return module


def voi_transformation(header: Dataset, place: ImagePlace) -> Dataset:
    """The window or table that the image is to be shown with first; empty where it has none (PS3.3 C.11.2)."""
    voi = Dataset()
    for item in _groups(header, place, "FrameVOILUTSequence"):
        if item.get("WindowCenter") not in (None, "") and item.get("WindowWidth") not in (None, ""):
            voi.WindowCenter, voi.WindowWidth = _first(item.WindowCenter), _first(item.WindowWidth)
            if item.get("VOILUTFunction"):
                voi.VOILUTFunction = item.VOILUTFunction
            return voi
        if item.get("VOILUTSequence"):
            voi.VOILUTSequence = [deepcopy(item.VOILUTSequence[0])]
            return voi
    return voi


def displayed_area(header: Dataset, place: ImagePlace, sources: SourceImages) -> Dataset:
    """The whole image, to be fitted to the screen, with the shape of its pixels (PS3.3 C.10.4)."""
    area = Dataset()
    if in_tiles(header, place):
        area.PixelOriginInterpretation = "VOLUME"
    area.DisplayedAreaTopLeftHandCorner = [1, 1]
    area.DisplayedAreaBottomRightHandCorner = list(size_of(header, place))
    area.PresentationSizeMode = "SCALE TO FIT"
    spacing = sources.spacing_mm(place)
    if spacing is not None:
        area.PresentationPixelSpacing = [DSfloat(format_number_as_ds(value)) for value in spacing]
    else:
        area.PresentationPixelAspectRatio = list(header.get("PixelAspectRatio") or (1, 1))
    return area


def in_tiles(header: Dataset, place: ImagePlace) -> bool:
    """Whether coordinates are those of a whole that is stored in tiles, and not of one of its frames."""
    return not place.frames and "TotalPixelMatrixColumns" in header


def size_of(header: Dataset, place: ImagePlace) -> tuple[int, int]:
    """Columns and rows of what coordinates lie in."""
    if in_tiles(header, place):
        return int(header.TotalPixelMatrixColumns), int(header.TotalPixelMatrixRows)
    return int(header.Columns), int(header.Rows)


def colour_profile(header: Dataset) -> bytes:
    """The image's own ICC profile, sRGB where it has none (PS3.3 C.11.15)."""
    for holder in (header, *(header.get("OpticalPathSequence") or ())):
        if holder.get("ICCProfile"):
            return bytes(holder.ICCProfile)
    from PIL import ImageCms

    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = _PROFILE_MADE
    return bytes(profile)


def _groups(header: Dataset, place: ImagePlace, group: str) -> Iterator[Dataset]:
    """Where the frame says something: its own functional group, the shared one, the header itself."""
    number = place.frames[0] if place.frames else 1
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or ()
    holders = [*per_frame[number - 1 : number], *(header.get("SharedFunctionalGroupsSequence") or ())]
    for holder in holders:
        yield from holder.get(group) or ()
    yield header


def _first(value: object) -> object:
    return value[0] if isinstance(value, MultiValue | list) else value

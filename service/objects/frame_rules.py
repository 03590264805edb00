"""Rules that segmentations and parametric maps share: frames, their places, their dimensions, their bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from service.objects.rule_catalogue import Breach

_NATIVE: Final = frozenset(
    {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
)
_PLACES: Final = ("PlanePositionSequence", "PlanePositionSlideSequence")


def frames_of(data_set: Dataset) -> list[Dataset]:
    """The items of Per-Frame Functional Groups."""
    return list(data_set.get("PerFrameFunctionalGroupsSequence") or [])


def shared_group(data_set: Dataset) -> Dataset:
    """The item of Shared Functional Groups, empty where there is none."""
    items = list(data_set.get("SharedFunctionalGroupsSequence") or [])
    return items[0] if items else Dataset()


def is_tiled_full(data_set: Dataset) -> bool:
    """Whether frames stand in the order of their tiles and have no group of their own (PS3.3 C.7.6.17.3)."""
    return str(data_set.get("DimensionOrganizationType", "")) == "TILED_FULL"


def frame_count_breaches(data_set: Dataset) -> Iterator[Breach]:
    """Items of Per-Frame Functional Groups against Number of Frames."""
    groups, frames = len(frames_of(data_set)), int(data_set.get("NumberOfFrames") or 1)
    if groups != frames and not is_tiled_full(data_set):
        yield "SEG-FRAMES", f"{frames} frames, but {groups} items of Per-Frame Functional Groups"


def place_breaches(data_set: Dataset) -> Iterator[Breach]:
    """Position, orientation and spacing of each frame, where the object has a Frame of Reference."""
    if not data_set.get("FrameOfReferenceUID"):
        return
    shared = shared_group(data_set)
    on_slide = "ImageOrientationSlide" in data_set
    wanted = ["PixelMeasuresSequence"] if on_slide else ["PixelMeasuresSequence", "PlaneOrientationSequence"]
    for group in wanted:
        lacking = [
            number for number, frame in enumerate(frames_of(data_set), 1) if not (group in frame or group in shared)
        ]
        if lacking:
            yield "SEG-PLACE", f"{group} is given neither for frame {lacking[0]} nor for all ({len(lacking)} frames)"
    lacking = [
        number
        for number, frame in enumerate(frames_of(data_set), 1)
        if not any(place in frame or place in shared for place in _PLACES)
    ]
    if lacking:
        yield "SEG-PLACE", f"frame {lacking[0]} has no position ({len(lacking)} frames)"


def dimension_breaches(data_set: Dataset) -> Iterator[Breach]:
    """Dimension Index Values against the Dimension Index Sequence, and its organizations against those declared."""
    indices = list(data_set.get("DimensionIndexSequence") or [])
    declared = {
        str(item.get("DimensionOrganizationUID")) for item in data_set.get("DimensionOrganizationSequence") or []
    }
    for number, item in enumerate(indices, 1):
        uid = item.get("DimensionOrganizationUID")
        if uid and str(uid) not in declared:
            yield "SEG-DIMENSIONS", f"dimension {number} belongs to an organization that is not declared"
    for number, frame in enumerate(frames_of(data_set), 1):
        content = list(frame.get("FrameContentSequence") or [])
        values = content[0].get("DimensionIndexValues") if content else None
        given = 0 if values is None else (1 if isinstance(values, int) else len(values))
        if given != len(indices):
            yield "SEG-DIMENSIONS", f"frame {number} has {given} index values for {len(indices)} dimensions"
            return


def expected_pixel_bytes(data_set: Dataset) -> int:
    """How long native pixel data are, padding to an even length included (PS3.5 8.1.1)."""
    samples = int(data_set.get("SamplesPerPixel") or 1) * int(data_set.get("NumberOfFrames") or 1)
    bits = int(data_set.Rows) * int(data_set.Columns) * samples * int(data_set.BitsAllocated)
    octets = (bits + 7) // 8
    return octets + octets % 2


def is_native(data_set: Dataset) -> bool:
    """Whether pixel data are not encapsulated, as far as the file meta says; of a syntax unknown here they may be."""
    return _transfer_syntax(data_set) in _NATIVE


def is_big_endian(data_set: Dataset) -> bool:
    """Whether pixel data are stored big end first (retired)."""
    return _transfer_syntax(data_set) == ExplicitVRBigEndian


def _transfer_syntax(data_set: Dataset) -> str:
    """As the file meta says, the default of a data set where there is none."""
    meta = getattr(data_set, "file_meta", None)
    syntax = meta.get("TransferSyntaxUID") if meta is not None else None
    return str(syntax or ExplicitVRLittleEndian)

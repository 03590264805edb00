"""Rules of frames that lie at one place: of one segment never two, of two segments where the object says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from service.objects.checking.frame_table import Frame
from service.objects.checking.object_case import ObjectCase
from service.objects.checking.stored_frames import frames_of, is_native
from service.objects.known_instances import number_of_frames
from service.objects.rule_catalogue import Breach

Spot = tuple[object, ...]

_OF_PLACE: Final = frozenset(
    {
        0x0020_0032,  # Image Position (Patient)
        0x0020_9056,  # Stack ID
        0x0020_9057,  # In-Stack Position Number
        0x0020_9113,  # Plane Position Sequence
        0x0040_072A,  # X, Y and Z Offset in Slide Coordinate System
        0x0040_073A,
        0x0040_074A,
        0x0048_021A,  # Plane Position (Slide) Sequence
        0x0048_021E,  # Column and Row Position in Total Image Pixel Matrix
        0x0048_021F,
        0x0062_000B,  # Referenced Segment Number
    }
)
"""Dimensions that say where a frame lies and which segment it shows; any other tells frames of one place apart."""
_DIGITS: Final = 3
"""Of a millimetre: positions closer than that are one."""


def same_place_breaches(case: ObjectCase) -> Iterator[Breach]:
    """Frames that show the same segment, or the same label map, at the same place and time.

    Items that describe no frame are another rule's.
    """
    there = list(zip(case.frames.frames, _spots(case), strict=True))[: number_of_frames(case.data_set)]
    keys = Counter((frame.segment, spot) for frame, spot in there if spot)
    twice = sum(count - 1 for count in keys.values())
    if twice:
        yield "SEG-OVERLAP", f"{twice} frames lie where another frame of the same segment or label map does"


def overlap_breaches(case: ObjectCase) -> Iterator[Breach]:
    """Pixels that two segments share although Segments Overlap says that none do."""
    spots = _spots(case)
    together = {spot for spot, count in Counter(spots).items() if spot is not None and count > 1}
    union: dict[Spot, npt.NDArray[Any]] = {}
    for spot, pixels in zip(spots, _comparable_frames(case.data_set), strict=False):
        if spot is None or spot not in together:
            continue
        if spot in union and (union[spot] & pixels).any():
            yield "SEG-OVERLAP-SAID", "two segments share a pixel, but Segments Overlap says that none do"
            return
        union[spot] = union[spot] | pixels if spot in union else pixels


def _comparable_frames(data_set: Dataset) -> Iterator[npt.NDArray[Any]]:
    """Frames of one bit that can be laid over each other; packed where they begin on a byte, which is faster by far."""
    pixels = int(data_set.Rows) * int(data_set.Columns)
    if not is_native(data_set) or pixels % 8:
        yield from frames_of(data_set)
        return
    octets = np.frombuffer(data_set.PixelData, np.uint8)
    each = pixels // 8
    for start in range(0, len(octets) - each + 1, each):
        yield octets[start : start + each]


def _spots(case: ObjectCase) -> list[Spot | None]:
    others = [
        place
        for place, item in enumerate(case.data_set.get("DimensionIndexSequence") or ())
        if item.get("DimensionIndexPointer") is None or int(item.DimensionIndexPointer) not in _OF_PLACE
    ]
    return [_spot(frame, others) for frame in case.frames.frames]


def _spot(frame: Frame, others: list[int]) -> Spot | None:
    """Where and when a frame lies, whatever segment it shows; None where the object does not say it.

    Images of one place differ in what no dimension of the segmentation has to tell (b-value, echo, contrast phase):
    frames drawn on two of them are not laid over each other.
    """
    beside = tuple(frame.indices[place] for place in others if place < len(frame.indices))
    if frame.position is not None:
        position = tuple(round(value, _DIGITS) for value in frame.position)
        return position, frame.orientation, frame.spacing_mm, beside, _drawn_on(frame)
    return (frame.sources[0], beside) if len(frame.sources) == 1 else None


def _drawn_on(frame: Frame) -> tuple[str, int] | None:
    """The one image frame that a frame was drawn on, if it names one alone."""
    if len(frame.sources) != 1:
        return None
    (source,) = frame.sources
    return source.sop_instance_uid, source.frame

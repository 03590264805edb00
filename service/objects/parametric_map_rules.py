"""Rules of Parametric Map (PS3.3 A.75)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom.dataset import Dataset

from service.objects.frame_rules import (
    dimension_breaches,
    expected_pixel_bytes,
    frame_count_breaches,
    frames_of,
    is_native,
    place_breaches,
    shared_group,
)
from service.objects.rule_catalogue import Breach

_PIXELS: Final = {"PixelData": (8, 16), "FloatPixelData": (32,), "DoubleFloatPixelData": (64,)}
_MAPPING: Final = "RealWorldValueMappingSequence"


def parametric_map_breaches(data_set: Dataset) -> Iterator[Breach]:
    """Pixels, frames, places, and what the values mean."""
    yield from frame_count_breaches(data_set)
    yield from place_breaches(data_set)
    yield from dimension_breaches(data_set)
    yield from _pixel_breaches(data_set)
    shared = shared_group(data_set)
    lacking = [
        number
        for number, frame in enumerate(frames_of(data_set), 1)
        if not (frame.get(_MAPPING) or shared.get(_MAPPING))
    ]
    if lacking:
        yield "PM-MAPPING", f"{len(lacking)} frames have no Real World Value Mapping"


def _pixel_breaches(data_set: Dataset) -> Iterator[Breach]:
    given = [keyword for keyword in _PIXELS if keyword in data_set]
    if len(given) > 1:
        yield "PM-PIXELS", f"it has {' and '.join(given)}"
    for keyword in given:
        if data_set.get("BitsAllocated") not in _PIXELS[keyword]:
            yield "PM-PIXELS", f"{keyword} with Bits Allocated {data_set.get('BitsAllocated')}"
        elif is_native(data_set) and len(data_set[keyword].value) != expected_pixel_bytes(data_set):
            yield (
                "PM-PIXELS",
                f"{keyword} is {len(data_set[keyword].value)} bytes instead of {expected_pixel_bytes(data_set)}",
            )

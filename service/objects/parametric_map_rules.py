"""Rules of Parametric Map (PS3.3 A.75)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom.dataset import Dataset

from service.objects.checking.object_case import ObjectCase
from service.objects.checking.stored_frames import expected_pixel_bytes, is_native
from service.objects.frame_rules import dimension_breaches, frame_count_breaches
from service.objects.rule_catalogue import Breach

_PIXELS: Final = {"PixelData": (8, 16), "FloatPixelData": (32,), "DoubleFloatPixelData": (64,)}


def parametric_map_breaches(case: ObjectCase) -> Iterator[Breach]:
    """Pixels, frames and dimensions; what the values mean is asked for by the table of functional groups."""
    yield from frame_count_breaches(case)
    yield from dimension_breaches(case)
    yield from _pixel_breaches(case.data_set, has_pixels=case.has_pixels)


def _pixel_breaches(data_set: Dataset, *, has_pixels: bool) -> Iterator[Breach]:
    given = [keyword for keyword in _PIXELS if keyword in data_set]
    if len(given) > 1:
        yield "PM-PIXELS", f"it has {' and '.join(given)}"
    if not given and has_pixels:
        yield "PM-PIXELS", "it has no pixel data of any kind"
    for keyword in given:
        if data_set.get("BitsAllocated") not in _PIXELS[keyword]:
            yield "PM-PIXELS", f"{keyword} with Bits Allocated {data_set.get('BitsAllocated')}"
        elif is_native(data_set) and data_set.get("Rows") and data_set.get("Columns"):
            expected, found = expected_pixel_bytes(data_set), len(data_set[keyword].value or b"")
            if found != expected:
                yield "PM-PIXELS", f"{keyword} is {found} bytes instead of {expected}"

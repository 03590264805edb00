"""Rules of Secondary Capture images (PS3.3 A.8, C.7.6.3, C.8.6): pixels that fit what is said of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom.dataset import Dataset

from service.objects.checking.object_case import ObjectCase
from service.objects.checking.stored_frames import expected_pixel_bytes, has_frames, is_native
from service.objects.rule_catalogue import Breach

SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"

_ONE_SAMPLE: Final = frozenset({"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"})
_SUBSAMPLED: Final = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420"})


def is_secondary_capture(sop_class_uid: str) -> bool:
    """Whether it is one of the five Secondary Capture classes."""
    return sop_class_uid == SECONDARY_CAPTURE or sop_class_uid.startswith(f"{SECONDARY_CAPTURE}.")


def secondary_capture_breaches(case: ObjectCase) -> Iterator[Breach]:
    """Samples, bits and length of the pixels."""
    data_set = case.data_set
    colour, samples = str(data_set.get("PhotometricInterpretation", "")), data_set.get("SamplesPerPixel")
    if colour and samples is not None and (colour in _ONE_SAMPLE) is not (int(samples) == 1):
        yield "SC-PIXELS", f"{colour} with {samples} samples a pixel"
    yield from _bit_breaches(data_set)
    if has_frames(data_set) and is_native(data_set) and colour not in _SUBSAMPLED:
        expected, found = expected_pixel_bytes(data_set), len(data_set.PixelData)
        if found != expected:
            yield "SC-PIXELS", f"Pixel Data are {found} bytes long instead of {expected}"


def _bit_breaches(data_set: Dataset) -> Iterator[Breach]:
    allocated, stored, high = (data_set.get(name) for name in ("BitsAllocated", "BitsStored", "HighBit"))
    if None in (allocated, stored, high):
        return
    if not 0 < stored <= allocated or high != stored - 1:
        yield "SC-PIXELS", f"Bits Allocated, Bits Stored and High Bit are {allocated}, {stored} and {high}"

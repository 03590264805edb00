"""Rules of Segmentation and Label Map Segmentation (PS3.3 A.51, C.8.20), and what viewers ask of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from service.objects.checking.object_case import ObjectCase
from service.objects.checking.overlap_rules import overlap_breaches, same_place_breaches
from service.objects.checking.stored_frames import expected_pixel_bytes, frames_of, has_frames, is_native
from service.objects.frame_rules import dimension_breaches, frame_count_breaches
from service.objects.rule_catalogue import Breach

SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP: Final = "1.2.840.10008.5.1.4.1.1.66.7"

_TYPES: Final = {SEGMENTATION: ("BINARY", "FRACTIONAL"), LABEL_MAP: ("LABELMAP",)}
_BITS: Final = {"BINARY": (1,), "FRACTIONAL": (8,), "LABELMAP": (8, 16)}
_SHOWN: Final = 5
"""How many strange values a message names."""


def segmentation_breaches(case: ObjectCase) -> Iterator[Breach]:
    """All rules of a segmentation beyond those of its IOD's tables."""
    segments = list(case.data_set.get("SegmentSequence") or [])
    yield from _type_breaches(case.data_set, case.sop_class_uid)
    yield from _number_breaches(case.data_set, segments)
    yield from _tracking_breaches(segments)
    yield from frame_count_breaches(case)
    yield from _identification_breaches(case, segments)
    yield from dimension_breaches(case)
    yield from same_place_breaches(case)
    yield from _pixel_breaches(case, segments)
    yield from _viewer_breaches(case)


def _type_breaches(data_set: Dataset, sop_class_uid: str) -> Iterator[Breach]:
    kind = str(data_set.get("SegmentationType", ""))
    if kind not in _TYPES.get(sop_class_uid, ()):
        yield "SEG-TYPE", f"Segmentation Type {kind or '(none)'} does not fit the SOP class"
    bits = (data_set.get("BitsAllocated"), data_set.get("BitsStored"), data_set.get("HighBit"))
    if (
        kind in _BITS
        and None not in bits
        and (bits[0] not in _BITS[kind] or bits[1] != bits[0] or bits[2] != bits[0] - 1)
    ):
        yield "SEG-BITS", f"Bits Allocated, Bits Stored and High Bit are {bits} in a {kind} segmentation"
    if kind == "FRACTIONAL":
        yield "SEG-FRACTIONAL-SHOWN", "it is FRACTIONAL"


def _number_breaches(data_set: Dataset, segments: list[Dataset]) -> Iterator[Breach]:
    numbers = [segment.get("SegmentNumber") for segment in segments]
    if None in numbers:
        return  # that one is missing is another rule's
    if data_set.get("SegmentationType") == "LABELMAP":
        if len(set(numbers)) < len(numbers):
            yield "SEG-NUMBERS", "a segment number is used twice"
    elif sorted(numbers) != list(range(1, len(numbers) + 1)):
        yield "SEG-NUMBERS", f"{len(numbers)} segments are not numbered from 1 to {len(numbers)}"


def _tracking_breaches(segments: list[Dataset]) -> Iterator[Breach]:
    times = Counter(str(one.TrackingUID) for one in segments if one.get("TrackingUID"))
    shared = [uid for uid, count in times.items() if count > 1]
    if shared:
        yield "SEG-TRACKING", f"{len(shared)} Tracking UIDs stand in more than one segment"


def _identification_breaches(case: ObjectCase, segments: list[Dataset]) -> Iterator[Breach]:
    described = {segment.get("SegmentNumber") for segment in segments}
    frames = case.frames.frames
    if case.data_set.get("SegmentationType") == "LABELMAP":
        named = any("SegmentIdentificationSequence" in frame.groups for frame in (case.frames.shared, *frames))
        if named:
            yield "SEG-IDENTIFICATION", "frames of a label map name a segment"
        return
    for number, frame in enumerate(frames, 1):
        if frame.segment not in described:
            yield "SEG-IDENTIFICATION", f"frame {number} names segment {frame.segment}, which is not described"
            return


def _pixel_breaches(case: ObjectCase, segments: list[Dataset]) -> Iterator[Breach]:
    data_set = case.data_set
    if not has_frames(data_set):
        return
    if is_native(data_set):
        expected, given = expected_pixel_bytes(data_set), len(data_set.PixelData)
        if given != expected:
            yield "SEG-PIXELS", f"Pixel Data are {given} bytes long instead of {expected}"
            return
    if data_set.get("SegmentationType") == "LABELMAP" and data_set.BitsAllocated in _BITS["LABELMAP"]:
        yield from _label_breaches(data_set, segments)
    elif data_set.get("SegmentationType") == "FRACTIONAL" and data_set.BitsAllocated in _BITS["FRACTIONAL"]:
        yield from _fraction_breaches(data_set)
    elif data_set.get("SegmentationType") == "BINARY" and data_set.get("SegmentsOverlap") == "NO":
        yield from overlap_breaches(case)


def _label_breaches(data_set: Dataset, segments: list[Dataset]) -> Iterator[Breach]:
    described = {segment.get("SegmentNumber") for segment in segments} | {data_set.get("PixelPaddingValue")}
    strange = sorted(_values_in(data_set) - described)
    if 0 in strange:
        # What viewers write: where no segment is numbered so, it can mean nothing else.
        strange.remove(0)
        yield "SEG-BACKGROUND", "pixels hold 0, which no segment describes and Pixel Padding Value does not name"
    if strange:
        yield "SEG-LABELS", f"pixels hold {strange[:_SHOWN]}, which no segment describes"


def _fraction_breaches(data_set: Dataset) -> Iterator[Breach]:
    most = data_set.get("MaximumFractionalValue")
    if most is not None and max(_values_in(data_set), default=0) > int(most):
        yield "SEG-FRACTION", "pixels hold more than Maximum Fractional Value"


def _values_in(data_set: Dataset) -> set[int]:
    counts: npt.NDArray[np.int64] | None = None
    for plane in frames_of(data_set):
        # Counted, not sorted: np.unique takes fifty times as long.
        found = np.bincount(plane.ravel(), minlength=1 << (8 * plane.dtype.itemsize))
        counts = found if counts is None else counts + found
    return set() if counts is None else {int(value) for value in np.flatnonzero(counts)}


def _viewer_breaches(case: ObjectCase) -> Iterator[Breach]:
    data_set, sources = case.data_set, list(case.known.sources.values())
    series = list(data_set.get("ReferencedSeriesSequence") or [])
    if not series:
        yield "VIEW-SEG-SERIES", "no source series is named"
    for keyword, rule in (
        ("StudyInstanceUID", "VIEW-SEG-STUDY"),
        ("FrameOfReferenceUID", "VIEW-SEG-FRAME-OF-REFERENCE"),
    ):
        if sources and all(one.get(keyword) != data_set.get(keyword) for one in sources):
            yield rule, f"{keyword} is not that of the source"
    sizes = {(one.get("Rows"), one.get("Columns")) for one in sources}
    own = (data_set.get("Rows"), data_set.get("Columns"))
    is_tiled = str(data_set.get("DimensionOrganizationType", "")).startswith("TILED")
    if sources and own not in sizes and not is_tiled:
        yield "VIEW-SEG-SIZE", f"{own[0]} × {own[1]} pixels, unlike the source"

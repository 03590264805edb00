"""Rules of Segmentation and Label Map Segmentation (PS3.3 A.51, C.8.20), and what viewers ask of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np
from pydicom.dataset import Dataset

from service.objects.frame_rules import (
    dimension_breaches,
    expected_pixel_bytes,
    frame_count_breaches,
    frames_of,
    is_big_endian,
    is_native,
    is_tiled_full,
    place_breaches,
    shared_group,
)
from service.objects.known_instances import KnownInstances, instance_uids_in
from service.objects.rule_catalogue import Breach

SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP: Final = "1.2.840.10008.5.1.4.1.1.66.7"

_TYPES: Final = {SEGMENTATION: ("BINARY", "FRACTIONAL"), LABEL_MAP: ("LABELMAP",)}
_BITS: Final = {"BINARY": (1,), "FRACTIONAL": (8,), "LABELMAP": (8, 16)}


def segmentation_breaches(data_set: Dataset, known: KnownInstances) -> Iterator[Breach]:
    """All rules of a segmentation."""
    segments = list(data_set.get("SegmentSequence") or [])
    yield from _type_breaches(data_set)
    yield from _number_breaches(data_set, segments)
    yield from _segment_breaches(segments)
    yield from frame_count_breaches(data_set)
    yield from _identification_breaches(data_set, segments)
    yield from place_breaches(data_set)
    yield from dimension_breaches(data_set)
    yield from _pixel_breaches(data_set, segments)
    yield from _source_breaches(data_set, known)
    yield from _viewer_breaches(data_set, known)


def _type_breaches(data_set: Dataset) -> Iterator[Breach]:
    kind = str(data_set.get("SegmentationType", ""))
    if kind not in _TYPES.get(str(data_set.get("SOPClassUID")), ()):
        yield "SEG-TYPE", f"Segmentation Type {kind or '(none)'} does not fit the SOP class"
    bits = (data_set.get("BitsAllocated"), data_set.get("BitsStored"), data_set.get("HighBit"))
    if kind in _BITS and (bits[0] not in _BITS[kind] or bits[1] != bits[0] or bits[2] != bits[0] - 1):
        yield "SEG-BITS", f"Bits Allocated, Bits Stored and High Bit are {bits} in a {kind} segmentation"
    if kind == "FRACTIONAL":
        if data_set.get("SegmentationFractionalType") not in ("PROBABILITY", "OCCUPANCY"):
            yield "SEG-FRACTION", "Segmentation Fractional Type is neither PROBABILITY nor OCCUPANCY"
        if not data_set.get("MaximumFractionalValue"):
            yield "SEG-FRACTION", "Maximum Fractional Value is missing"
        yield "SEG-FRACTIONAL-SHOWN", "it is FRACTIONAL"


def _number_breaches(data_set: Dataset, segments: list[Dataset]) -> Iterator[Breach]:
    numbers = [segment.get("SegmentNumber") for segment in segments]
    if data_set.get("SegmentationType") == "LABELMAP":
        if len(set(numbers)) < len(numbers):
            yield "SEG-NUMBERS", "a segment number is used twice"
    elif sorted(number or 0 for number in numbers) != list(range(1, len(numbers) + 1)):
        yield "SEG-NUMBERS", f"{len(numbers)} segments are not numbered from 1 to {len(numbers)}"


def _segment_breaches(segments: list[Dataset]) -> Iterator[Breach]:
    for segment in segments:
        place = f"segment {segment.get('SegmentNumber')}"
        kind = segment.get("SegmentAlgorithmType")
        if kind not in ("AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"):
            yield "SEG-ALGORITHM", f"{place}: Segment Algorithm Type is {kind or '(none)'}"
        elif kind != "MANUAL" and not segment.get("SegmentAlgorithmName"):
            yield "SEG-ALGORITHM", f"{place} is {kind}, but names no algorithm"
        if bool(segment.get("TrackingID")) != bool(segment.get("TrackingUID")):
            yield "SEG-TRACKING", f"{place} has one of Tracking ID and Tracking UID"
    shared = [
        uid
        for uid, times in Counter(str(one.TrackingUID) for one in segments if one.get("TrackingUID")).items()
        if times > 1
    ]
    if shared:
        yield "SEG-TRACKING", f"{len(shared)} Tracking UIDs stand in more than one segment"


def _identification_breaches(data_set: Dataset, segments: list[Dataset]) -> Iterator[Breach]:
    described = {segment.get("SegmentNumber") for segment in segments}
    groups = [shared_group(data_set), *frames_of(data_set)]
    if data_set.get("SegmentationType") == "LABELMAP":
        if any("SegmentIdentificationSequence" in group for group in groups):
            yield "SEG-IDENTIFICATION", "frames of a label map name a segment"
        return
    for number, frame in enumerate(groups[1:], 1):
        items = list(frame.get("SegmentIdentificationSequence") or groups[0].get("SegmentIdentificationSequence") or [])
        named = items[0].get("ReferencedSegmentNumber") if items else None
        if named not in described:
            yield "SEG-IDENTIFICATION", f"frame {number} names segment {named}, which is not described"
            return


def _pixel_breaches(data_set: Dataset, segments: list[Dataset]) -> Iterator[Breach]:
    """Only where the pixel data are at hand and native."""
    if "PixelData" not in data_set or not is_native(data_set) or not data_set.get("BitsAllocated"):
        return
    expected, given = expected_pixel_bytes(data_set), len(data_set.PixelData)
    if given != expected:
        yield "SEG-PIXELS", f"Pixel Data are {given} bytes long instead of {expected}"
    elif data_set.get("SegmentationType") == "LABELMAP" and data_set.BitsAllocated in _BITS["LABELMAP"]:
        yield from _label_breaches(data_set, segments)


def _label_breaches(data_set: Dataset, segments: list[Dataset]) -> Iterator[Breach]:
    kind = np.dtype("u1" if data_set.BitsAllocated == 8 else ">u2" if is_big_endian(data_set) else "<u2")
    count = int(data_set.Rows) * int(data_set.Columns) * int(data_set.get("NumberOfFrames") or 1)
    values = {int(value) for value in np.unique(np.frombuffer(data_set.PixelData, dtype=kind, count=count))}
    strange = values - {segment.get("SegmentNumber") for segment in segments} - {data_set.get("PixelPaddingValue")}
    if strange:
        yield "SEG-LABELS", f"pixels hold {sorted(strange)[:5]}, which no segment describes"


def _source_breaches(data_set: Dataset, known: KnownInstances) -> Iterator[Breach]:
    """Source images of the frames: listed in Common Instance Reference, and known where sources are given."""
    listed = {
        uid
        for series in data_set.get("ReferencedSeriesSequence") or []
        for uid in instance_uids_in(series.get("ReferencedInstanceSequence"))
    }
    derived = {
        uid
        for group in (shared_group(data_set), *frames_of(data_set))
        for derivation in group.get("DerivationImageSequence") or []
        for uid in instance_uids_in(derivation.get("SourceImageSequence"))
    }
    unlisted = derived - listed
    if listed and unlisted:
        yield "SEG-SOURCES", f"{len(unlisted)} source images are not in Referenced Series Sequence"
    unknown = (derived | listed) - set(known.sources)
    if known.sources and unknown:
        yield "SEG-SOURCES", f"{len(unknown)} source images are not among the {len(known.sources)} known"


def _viewer_breaches(data_set: Dataset, known: KnownInstances) -> Iterator[Breach]:
    series = list(data_set.get("ReferencedSeriesSequence") or [])
    if not series or not all(one.get("SeriesInstanceUID") for one in series):
        yield "VIEW-SEG-SERIES", "no source series is named"
    sources = list(known.sources.values())
    for keyword, rule in (
        ("StudyInstanceUID", "VIEW-SEG-STUDY"),
        ("FrameOfReferenceUID", "VIEW-SEG-FRAME-OF-REFERENCE"),
    ):
        if sources and all(one.get(keyword) != data_set.get(keyword) for one in sources):
            yield rule, f"{keyword} is not that of the source"
    sizes = {(one.get("Rows"), one.get("Columns")) for one in sources}
    own = (data_set.get("Rows"), data_set.get("Columns"))
    if sources and own not in sizes and not is_tiled_full(data_set):
        yield "VIEW-SEG-SIZE", f"{own[0]} × {own[1]} pixels, unlike the source"

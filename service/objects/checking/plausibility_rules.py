"""Rules of numbers against what they were taken from: masks, lines, contours, and the range that they can have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from service.objects import concepts
from service.objects.checking.condition import values_of
from service.objects.checking.object_case import ObjectCase
from service.objects.checking.plausible_tables import Stated, numbers_below, plausible_tables
from service.objects.checking.segment_extent import Extent, extents_of
from service.objects.content_tree import child, children, descendants
from service.objects.image_plane import ImagePlane
from service.objects.known_instances import KnownInstances
from service.objects.measurement_report_rules import measurement_groups_of
from service.objects.rule_catalogue import Breach

_SHARE: Final = 0.1
"""Of a volume or an area by which ways to reckon it may differ."""
_LENGTH_SHARE: Final = 0.02
_LEAST_MM: Final = 0.5
_ENDS: Final = 2
Points = npt.NDArray[np.float64]


def plausibility_breaches(case: ObjectCase) -> Iterator[Breach]:
    """Of a measurement report; what cannot be held against anything is left alone."""
    for item in (case.data_set, *(below for _, below in descendants(case.data_set))):
        for stated in numbers_below(item):
            yield from _range_breaches(stated)
            yield from _length_breaches(case, stated)
    groups = measurement_groups_of(case.data_set)
    for group in groups:
        yield from _area_breaches(case, group)
    yield from _mask_breaches(case, groups)


def _range_breaches(stated: Stated) -> Iterator[Breach]:
    for limits in plausible_tables().ranges:
        if stated.concept not in limits.concepts or limits.unit not in ("*", stated.unit):
            continue
        if not limits.least <= stated.value <= limits.most and np.isfinite(stated.value):
            yield "PLAUSIBLE-RANGE", f"{stated.name.meaning} is outside of what it can be"


def _length_breaches(case: ObjectCase, stated: Stated) -> Iterator[Breach]:
    """A length against the line of two points that it was inferred from."""
    if stated.size is None or stated.concept not in plausible_tables().concepts["length"]:
        return
    for shape in children(stated.item):
        if shape.get("GraphicType") != "POLYLINE":
            continue
        ends = _points_mm(shape, case.known)
        if ends is not None and len(ends) == _ENDS:
            length = float(np.linalg.norm(ends[1] - ends[0]))
            if abs(length - stated.size) > max(_LEAST_MM, _LENGTH_SHARE * length):
                yield "PLAUSIBLE-LENGTH", f"{stated.name.meaning} is not the length of its line"


def _area_breaches(case: ObjectCase, group: Dataset) -> Iterator[Breach]:
    """An area against the one closed region of its group."""
    regions = children(group, concepts.IMAGE_REGION)
    stated = [one for one in numbers_below(group) if one.concept in plausible_tables().concepts["area"]]
    if len(regions) != 1 or not stated:
        return
    measured = _area_mm2(regions[0], case.known)
    if measured is None:
        return
    area, border = measured
    for one in stated:
        if one.size is not None and abs(one.size - area) > max(_SHARE * area, border):
            yield "PLAUSIBLE-AREA", f"{one.name.meaning} is not the area of its region"


def _area_mm2(region: Dataset, known: KnownInstances) -> tuple[float, float] | None:
    """The area of a region, and that of a border one pixel wide; mm²."""
    plane, points = _plane_of(region, known), _points_mm(region, known)
    if plane is None or points is None:
        return None
    pixel = max(plane.spacing_mm)
    kind = region.get("GraphicType")
    if kind == "CIRCLE" and len(points) == _ENDS:
        radius = float(np.linalg.norm(points[1] - points[0]))
        return np.pi * radius**2, 2 * np.pi * radius * pixel
    if kind == "ELLIPSE" and len(points) == 2 * _ENDS:
        major, minor = (float(np.linalg.norm(points[i + 1] - points[i])) / 2 for i in (0, 2))
        return np.pi * major * minor, 2 * np.pi * max(major, minor) * pixel
    if kind != "POLYLINE" or len(points) <= _ENDS:
        return None
    around = np.vstack([points, points[:1]])
    area = float(np.linalg.norm(np.cross(around[:-1], around[1:]).sum(axis=0))) / 2
    return area, float(np.linalg.norm(np.diff(around, axis=0), axis=1).sum()) * pixel


def _mask_breaches(case: ObjectCase, groups: list[Dataset]) -> Iterator[Breach]:
    """Volumes and long axes against the segment of the same group, or of the same tracking UID."""
    table = plausible_tables().concepts
    tracked: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for group in groups:
        if (one := _segment_of(group)) is not None:
            tracked[_tracking_uid(group)].add(one)
    wanted: dict[str, list[tuple[int, Stated, str]]] = defaultdict(list)
    for group in groups:
        same = tracked[_tracking_uid(group)]
        own = _segment_of(group) or (next(iter(same)) if len(same) == 1 else None)
        if own is None or own[0] not in case.known.referenced:
            continue
        for stated in numbers_below(group):
            kind = next((kind for kind in ("volume", "long_axis") if stated.concept in table[kind]), None)
            if kind is not None and stated.size is not None:
                wanted[own[0]].append((own[1], stated, kind))
    for uid, numbers in wanted.items():
        segmentation = ObjectCase(case.known.referenced[uid], KnownInstances.of((), ()), case.catalogue)
        extents = extents_of(segmentation, {number for number, _, _ in numbers})
        for number, stated, kind in numbers:
            if number in extents:
                yield from _extent_breaches(stated, extents[number], kind)


def _extent_breaches(stated: Stated, extent: Extent, kind: str) -> Iterator[Breach]:
    size = stated.size or 0.0
    if kind == "long_axis":
        if size > extent.diagonal_mm + max(_LEAST_MM, _SHARE * extent.diagonal_mm):
            yield "PLAUSIBLE-LONG-AXIS", f"{stated.name.meaning} is longer than its segment can be"
        return
    least = min(extent.least_mm3, extent.volume_mm3 * (1 - _SHARE))
    most = max(extent.most_mm3, extent.volume_mm3 * (1 + _SHARE))
    if not least <= size <= most:
        yield "PLAUSIBLE-VOLUME", f"{stated.name.meaning} is not the volume of its segment"


def _tracking_uid(group: Dataset) -> str:
    tracking = child(group, concepts.TRACKING_UID)
    return "" if tracking is None else str(tracking.get("UID", ""))


def _segment_of(group: Dataset) -> tuple[str, int] | None:
    """The segmentation and the segment that a group refers to, where it is one."""
    for item in children(group, concepts.REFERENCED_SEGMENT):
        for reference in item.get("ReferencedSOPSequence") or ():
            numbers = values_of(reference, "ReferencedSegmentNumber")
            if len(numbers) == 1 and numbers[0].isdigit():
                return str(reference.get("ReferencedSOPInstanceUID", "")), int(numbers[0])
    return None


def _plane_of(shape: Dataset, known: KnownInstances) -> ImagePlane | None:
    """The plane of the image that a shape was drawn on."""
    for item in children(shape):
        for reference in item.get("ReferencedSOPSequence") or ():
            frames = values_of(reference, "ReferencedFrameNumber")
            frame = int(frames[0]) if frames and frames[0].isdigit() else 1
            return known.plane(str(reference.get("ReferencedSOPInstanceUID", "")), frame)
    return None


def _points_mm(shape: Dataset, known: KnownInstances) -> Points | None:
    """The points of a shape in mm, where its image says how."""
    numbers = list(shape.get("GraphicData") or ())
    in_space = shape.get("ValueType") == "SCOORD3D"
    if not numbers or len(numbers) % (3 if in_space else 2):
        return None
    points = np.array([float(number) for number in numbers]).reshape(-1, 3 if in_space else 2)
    if not np.isfinite(points).all():
        return None
    if in_space:
        return points
    plane = _plane_of(shape, known)
    return None if plane is None else np.array(plane.to_patient(points))

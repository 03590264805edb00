"""Rules of where a report's coordinates lie: on their image, in its volume, in one plane (PS3.3 C.18.6, C.18.9)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from service.objects import concepts
from service.objects.checking.condition import values_of
from service.objects.checking.flatness import is_flat
from service.objects.checking.object_case import ObjectCase
from service.objects.content_tree import children, descendants, is_named
from service.objects.known_instances import instance_uids_in
from service.objects.rule_catalogue import Breach

_ROUNDING: Final = 0.001
"""Pixels by which rounding may put a coordinate outside."""
_PLANAR: Final = frozenset({"POLYGON", "ELLIPSE"})
_RIGHT_ANGLE: Final = 0.02
"""Cosine of the angle between the axes of an ellipse: some 1 degree off a right angle."""
_AXES: Final = 4
Points = npt.NDArray[np.float64]


def report_geometry_breaches(case: ObjectCase) -> Iterator[Breach]:
    """Every shape of the content tree."""
    boxes = _volumes(case) if case.known.covers_series else {}
    for parent, item in descendants(case.data_set):
        kind = item.get("ValueType")
        if kind not in ("SCOORD", "SCOORD3D"):
            continue
        points = _points(item, 2 if kind == "SCOORD" else 3)
        if points is None:
            continue
        yield from _region_breaches(parent, item, points)
        if kind == "SCOORD":
            yield from _image_breaches(case, item, points)
        else:
            yield from _plane_breaches(item, points)
            yield from _volume_breaches(item, points, boxes)


def _points(item: Dataset, each: int) -> Points | None:
    """Graphic Data as points; None where another rule speaks of them."""
    numbers: list[Any] = list(item.get("GraphicData") or ())
    if not numbers or len(numbers) % each:
        return None
    points = np.array([float(number) for number in numbers], dtype=np.float64).reshape(-1, each)
    return points if np.isfinite(points).all() else None


def _region_breaches(parent: Dataset, item: Dataset, points: Points) -> Iterator[Breach]:
    """An Image Region that is a line has to come back to where it began to be a region."""
    if item.get("GraphicType") != "POLYLINE" or not is_named(item, concepts.IMAGE_REGION):
        return
    if parent.get("ValueType") == "CONTAINER" and not np.array_equal(points[0], points[-1]):
        yield "SR-REGION-CLOSED", "an Image Region does not end where it begins"


def _image_breaches(case: ObjectCase, item: Dataset, points: Points) -> Iterator[Breach]:
    for below in children(item):
        for uid in instance_uids_in(below.get("ReferencedSOPSequence")):
            source = case.known.sources.get(uid)
            if source is not None and not _lies_on(item, points, source):
                yield "SR-INSIDE", "coordinates lie outside their image"


def _lies_on(item: Dataset, points: Points, source: Dataset) -> bool:
    """Relative to the total pixel matrix where the image has one and the shape says no other (C.18.6.1.1)."""
    in_volume = item.get("PixelOriginInterpretation") != "FRAME" and source.get("TotalPixelMatrixColumns")
    names = ("TotalPixelMatrixColumns", "TotalPixelMatrixRows") if in_volume else ("Columns", "Rows")
    limits = np.array([float(source.get(name) or 0) for name in names])
    return bool((points >= -_ROUNDING).all() and (points <= limits + _ROUNDING).all())


def _plane_breaches(item: Dataset, points: Points) -> Iterator[Breach]:
    kind = str(item.get("GraphicType", ""))
    if kind not in _PLANAR:
        return
    if not is_flat(points):
        yield "SR-PLANAR", f"the points of a {kind} do not lie in one plane"
    elif kind == "ELLIPSE" and len(points) == _AXES:
        major, minor = points[1] - points[0], points[3] - points[2]
        lengths = float(np.linalg.norm(major) * np.linalg.norm(minor))
        if lengths and abs(float(major @ minor)) / lengths > _RIGHT_ANGLE:
            yield "SR-PLANAR", "the axes of an ELLIPSE are not at a right angle"


def _volume_breaches(item: Dataset, points: Points, boxes: dict[str, tuple[Points, Points]]) -> Iterator[Breach]:
    reference = str(item.get("ReferencedFrameOfReferenceUID", ""))
    if boxes and reference and reference not in boxes:
        yield "SR-FRAME-OF-REFERENCE", "coordinates lie in a Frame of Reference that no known image has"
    elif reference in boxes:
        low, high = boxes[reference]
        if (points < low).any() or (points > high).any():
            yield "SR-INSIDE", "coordinates lie outside the volume of their images"


def _volumes(case: ObjectCase) -> dict[str, tuple[Points, Points]]:
    """By Frame of Reference, the box round all of its images with a slice's thickness to spare; mm."""
    corners: dict[str, list[Points]] = defaultdict(list)
    spare: dict[str, float] = defaultdict(float)
    for source, frame in case.known.frames():
        plane = case.known.plane(str(source.SOPInstanceUID), frame)
        reference = str(source.get("FrameOfReferenceUID", ""))
        if plane is None or not reference:
            continue
        columns, rows = float(source.get("Columns") or 0), float(source.get("Rows") or 0)
        corners[reference] += [
            np.array(point) for point in plane.to_patient([(0.0, 0.0), (columns, 0.0), (0.0, rows), (columns, rows)])
        ]
        thickness = values_of(source, "SliceThickness")
        spare[reference] = max(spare[reference], float(thickness[0]) if thickness else 0.0, *plane.spacing_mm)
    return {
        reference: (np.min(points, axis=0) - spare[reference], np.max(points, axis=0) + spare[reference])
        for reference, points in corners.items()
    }

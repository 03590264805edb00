"""Findings as groups of bulk annotations, and back.

A finding is a group, or several where it has shapes of several kinds; or findings of one class are put together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import numpy.typing as npt

from service.core.codes import Code
from service.core.findings import Finding, Measurement
from service.core.geometry import Place, Shape, ShapeKind
from service.errors import ObjectInvalid
from service.objects import concepts
from service.objects.annotation_groups import (
    LONGEST_LABEL,
    AnnotationGroup,
    BulkAnnotations,
    Coordinates,
    GroupMeasurement,
)

_BULK_KIND: Final = {
    ShapeKind.POINT: ShapeKind.POINT,
    ShapeKind.LINE: ShapeKind.POLYLINE,
    ShapeKind.POLYLINE: ShapeKind.POLYLINE,
    ShapeKind.ANGLE: ShapeKind.POLYLINE,
    ShapeKind.POLYGON: ShapeKind.POLYGON,
    ShapeKind.FREEHAND: ShapeKind.POLYGON,
    ShapeKind.RECTANGLE: ShapeKind.RECTANGLE,
    ShapeKind.CIRCLE: ShapeKind.ELLIPSE,
    ShapeKind.ELLIPSE: ShapeKind.ELLIPSE,
}
"""What a shape becomes; PS3.3 C.37.1.2 has five Graphic Types."""
_PLAIN: Final = (255, 160, 0)
"""Where a group recommends no colour."""

_MeasurementKey = tuple[Code, Code]
_GroupKey = tuple[object, ShapeKind]


@dataclass(slots=True, eq=False)
class _Member:
    """One annotation in the making."""

    points: tuple[tuple[float, ...], ...]
    numbers: dict[_MeasurementKey, float] = field(default_factory=dict)


def groups_of_findings(findings: Iterable[Finding], *, by_class: bool = False) -> tuple[AnnotationGroup, ...]:
    """A group for each finding and kind of shape, in their order.

    Coordinates are written as float32 where that says them exactly, else as double. Numbers are float32. Evaluations,
    and with ``by_class`` labels, tracking UIDs and comments, have no place in bulk annotations: the report keeps them.

    Parameters
    ----------
    by_class : put findings of one category, type, site and side together, for thousands of findings with a shape each

    Raises
    ------
    ObjectInvalid : a finding has no shape, a mask, or a shape that bulk annotations do not know
    """
    members: dict[_GroupKey, list[_Member]] = defaultdict(list)
    first: dict[_GroupKey, Finding] = {}
    main: dict[str, ShapeKind] = {}
    for finding in findings:
        for kind, member in _members(finding):
            main.setdefault(finding.tracking_uid, kind)
            class_ = (finding.category, finding.type, finding.site, finding.laterality)
            key: _GroupKey = (class_ if by_class else finding.tracking_uid, kind)
            first.setdefault(key, finding)
            members[key].append(member)
    groups = []
    for (belongs, kind), finding in first.items():
        uid = finding.tracking_uid
        if by_class or kind is not main[uid]:
            uid = f"2.25.{uuid5(NAMESPACE_OID, f'{uid} {kind}').int}"
        groups.append(_group(finding, members[belongs, kind], kind, uid, by_class=by_class))
    return tuple(groups)


def findings_of_groups(annotations: BulkAnnotations) -> tuple[Finding, ...]:
    """A finding for each group, each number with the shape that it is of."""
    return tuple(_finding(group, annotations.place) for group in annotations.groups)


def _members(finding: Finding) -> Iterator[tuple[ShapeKind, _Member]]:
    if finding.mask is not None:
        raise ObjectInvalid(f"{finding.label}: a mask is no bulk annotation; write a segmentation, or its outline")
    measured: dict[Shape, list[Measurement]] = defaultdict(list)
    for one in finding.measurements:
        if one.shape is not None:
            measured[one.shape].append(one)
    drawn = set(finding.shapes)
    shapes = [*finding.shapes, *(shape for shape in measured if shape not in drawn)]
    if not shapes:
        raise ObjectInvalid(f"{finding.label}: nothing is drawn for it; bulk annotations hold what is drawn")
    undrawn = [one for one in finding.measurements if one.shape is None]
    if undrawn and len(shapes) > 1:
        raise ObjectInvalid(
            f"{finding.label}: {undrawn[0].name.meaning} is of no one shape of several; say of which, or write a report"
        )
    for shape in shapes:
        if shape.kind not in _BULK_KIND:
            raise ObjectInvalid(f"{finding.label}: {shape.kind} is no kind of bulk annotation; write a report")
        numbers = {(one.name, one.unit): one.value for one in (*measured[shape], *undrawn)}
        if finding.confidence is not None:
            numbers[concepts.CERTAINTY, concepts.PERCENT] = finding.confidence * 100
        yield _BULK_KIND[shape.kind], _Member(_points(shape), numbers)


def _points(shape: Shape) -> tuple[tuple[float, ...], ...]:
    """Of a circle on an image, the ends of two diameters."""
    if shape.kind is not ShapeKind.CIRCLE:
        return shape.points
    if shape.on_image is None:
        raise ObjectInvalid("circle: in the patient it does not say in which plane it lies; draw an ellipse")
    (column, row), edge = shape.points
    radius = float(np.hypot(edge[0] - column, edge[1] - row))
    return (column - radius, row), (column + radius, row), (column, row - radius), (column, row + radius)


def _group(
    finding: Finding, members: Sequence[_Member], kind: ShapeKind, uid: str, *, by_class: bool
) -> AnnotationGroup:
    counts = [len(member.points) for member in members]
    starts = np.concatenate([[0], np.cumsum(counts[:-1])]).astype(np.int64)
    side = f", {finding.laterality.meaning}" if finding.laterality is not None else ""
    return AnnotationGroup(
        label=_label(f"{finding.type.meaning}{side}" if by_class else finding.label),
        uid=uid,
        category=finding.category,
        type=finding.type,
        kind=kind,
        points=_smallest(np.array([point for member in members for point in member.points], dtype=np.float64)),
        starts=starts,
        measurements=tuple(_measurements(members)),
        site=finding.site,
        laterality=finding.laterality,
        colour=finding.colour,
        description="" if by_class else finding.comment,
    )


def _label(words: str) -> str:
    """As an LO holds it, in which a backslash parts values (PS3.5 6.2)."""
    return words.replace("\\", "/").strip()[:LONGEST_LABEL].strip()


def _smallest(points: npt.NDArray[np.float64]) -> Coordinates:
    single = points.astype(np.float32)
    return single if np.array_equal(single, points) else points


def _measurements(members: Sequence[_Member]) -> Iterator[GroupMeasurement]:
    keys = dict.fromkeys(key for member in members for key in member.numbers)
    for name, unit in keys:
        values = [member.numbers.get((name, unit), np.nan) for member in members]
        yield GroupMeasurement(name, unit, np.array(values, dtype=np.float32))


def _finding(group: AnnotationGroup, place: Place) -> Finding:
    shapes = [
        Shape(group.kind, tuple(map(tuple, group.points_of(number).tolist())), place) for number in range(len(group))
    ]
    certain = next((one for one in group.measurements if concepts.same(one.name, concepts.CERTAINTY)), None)
    shared = certain is not None and bool((certain.values == certain.values[0]).all())
    told = [one for one in group.measurements if not (shared and one is certain)]
    measurements = tuple(
        Measurement(one.name, float(value), one.unit, shape)
        for one in told
        for shape, value in zip(shapes, one.values, strict=True)
        if np.isfinite(value)
    )
    return Finding(
        label=group.label,
        tracking_uid=group.uid,
        category=group.category,
        type=group.type,
        site=group.site,
        laterality=group.laterality,
        shapes=tuple(shapes),
        measurements=measurements,
        confidence=round(float(certain.values[0]) / 100, 6) if certain is not None and shared else None,
        colour=group.colour or _PLAIN,
        comment=group.description,
    )

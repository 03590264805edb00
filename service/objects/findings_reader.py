"""Findings read back from a measurement report (TID 1500), ours or another maker's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pydicom.dataset import Dataset

from service.core.codes import Code
from service.core.findings import Evaluation, Finding, Measurement
from service.core.geometry import PatientPlace, Shape, ShapeKind
from service.errors import ObjectInvalid
from service.objects import concepts, own_concepts
from service.objects.content_tree import (
    child,
    children,
    code_from,
    coded_child,
    first_code,
    name_of,
    text_child,
)
from service.objects.display_colour import rgb_of
from service.objects.shape_items import ALONE, ILLUSTRATION, image_place, kind_of, namings_of, shape_from
from service.objects.tracking import label_of, points_tracking_uid, tool_of

_UNKNOWN: Final = Code("", "", "")
_FREE_TEXT: Final = "CORNERSTONEFREETEXT"
"""Code Value under which OHIF says a label in words (scheme CORNERSTONEJS)."""
_CONFIDENCE_DIGITS: Final = 15
_NO_ANSWERS: Final = (
    concepts.TRACKING_IDENTIFIER,
    concepts.FINDING_CATEGORY,
    concepts.FINDING,
    concepts.FINDING_SITE,
    concepts.MEASUREMENT_METHOD,
    concepts.COMMENT,
    own_concepts.FINDING_COMMENT,
    own_concepts.KEYPOINT_NAMES,
    own_concepts.SKELETON,
    own_concepts.SHAPE_KINDS,
)
"""CODE and TEXT rows of a group that say what the finding is, and are no answers about it."""


def findings_of(report: Dataset, segmentation: Dataset | None = None) -> list[Finding]:
    """The findings of a report, one for each tracking UID, in the order of the document.

    Shapes come on their images, in pixels, where they were drawn there, else in the patient. Masks stay in the
    segmentation; colours are read from it. Numbers and lines that were added for a viewer are left out.

    Raises
    ------
    ObjectInvalid : it is no measurement report, or what it says has no sense
    """
    if not concepts.same(name_of(report) or _UNKNOWN, concepts.IMAGING_MEASUREMENT_REPORT):
        raise ObjectInvalid("not an Imaging Measurement Report (126000, DCM)")
    groups: dict[str, list[Dataset]] = {}
    for measurements in children(report, concepts.IMAGING_MEASUREMENTS):
        for group in children(measurements, concepts.MEASUREMENT_GROUP):
            tracking = child(group, concepts.TRACKING_UID)
            uid = "" if tracking is None else str(tracking.get("UID", ""))
            groups.setdefault(uid, []).append(group)
    for uid in list(groups):
        if uid in groups and (points := groups.pop(points_tracking_uid(uid), None)):
            groups[uid] += points
    colours = _colours(segmentation)
    found = [_finding(uid, parts) for uid, parts in groups.items()]
    return [
        replace(finding, colour=colours[finding.tracking_uid]) if finding.tracking_uid in colours else finding
        for finding in found
    ]


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Coordinates of a group as a shape; with the number that stands above them, if one was measured."""

    shape: Shape
    measurement: Measurement | None


def _finding(uid: str, groups: Sequence[Dataset]) -> Finding:
    first = groups[0]
    site_item = child(first, concepts.FINDING_SITE)
    drawn = [one for group in groups for one in _drawn(group)] or [
        _Drawn(shape, None) for group in groups for shape in _whole_images(group)
    ]
    numbers = [one.measurement for one in drawn if one.measurement is not None]
    numbers += [number for group in groups for number in _undrawn(group)]
    certainty = [one.value for one in numbers if concepts.same(one.name, concepts.CERTAINTY)]
    evaluations = tuple(answer for group in groups for answer in _evaluations(group))
    side = coded_child(site_item, concepts.LATERALITY) if site_item is not None else None
    lone_side = next((one.value for one in evaluations if concepts.same(one.name, concepts.LATERALITY)), None)
    return Finding(
        label=_label(first),
        tracking_uid=uid,
        category=coded_child(first, concepts.FINDING_CATEGORY) or _UNKNOWN,
        type=coded_child(first, concepts.FINDING) or _UNKNOWN,
        site=first_code(site_item, "ConceptCodeSequence") if site_item is not None else None,
        laterality=side or (lone_side if isinstance(lone_side, Code) else None),
        shapes=tuple(one.shape for one in drawn if one.measurement is None),
        measurements=tuple(one for one in numbers if not concepts.same(one.name, concepts.CERTAINTY)),
        evaluations=tuple(one for one in evaluations if not concepts.same(one.name, concepts.LATERALITY)),
        confidence=round(certainty[0] / 100, _CONFIDENCE_DIGITS) if certainty else None,
        comment=next(filter(None, (text_child(group, own_concepts.FINDING_COMMENT) for group in groups)), ""),
    )


def _label(group: Dataset) -> str:
    """What people call it: within our tracking identifier, in OHIF's words, or the whole identifier of others."""
    identifier = text_child(group, concepts.TRACKING_IDENTIFIER)
    if not tool_of(identifier) or identifier.count(":") > 1:
        return label_of(identifier)
    finding = coded_child(group, concepts.FINDING)
    words = finding.meaning if finding is not None and finding.value == _FREE_TEXT else ""
    return words or text_child(group, concepts.COMMENT) or tool_of(identifier)


def _drawn(group: Dataset) -> Iterator[_Drawn]:
    """What was drawn, in the order of the document; not what was added for a viewer."""
    words = text_child(group, own_concepts.SHAPE_KINDS).split()
    tool = tool_of(text_child(group, concepts.TRACKING_IDENTIFIER))
    boxes, namings = iter(_boxes(group)), iter(namings_of(group))
    for number, (item, above) in enumerate(_coordinates(group)):
        word = words[number] if number < len(words) else str(kind_of(item, tool))
        if word == ILLUSTRATION:
            box = None if above is not None else next(boxes, None)
            if box is not None:
                yield _Drawn(box, None)
            continue
        try:
            kind = ShapeKind(word.removesuffix(ALONE))
        except ValueError as error:
            raise ObjectInvalid(f"a shape of the unknown kind {word[:32]}") from error
        shape = shape_from(item, kind, next(namings, None) if kind is ShapeKind.KEYPOINTS else None)
        measured = above is not None and not word.endswith(ALONE)
        yield _Drawn(shape, _measurement(above, shape, group) if above is not None and measured else None)


def _whole_images(group: Dataset) -> Iterator[Shape]:
    """Images that a group is about as a whole (TID 1501 row 10b), where nothing else says its place."""
    if child(group, concepts.REFERENCED_SEGMENT) is not None:
        return
    for item in children(group, concepts.SOURCE):
        if item.get("ValueType") == "IMAGE" and item.get("ReferencedSOPSequence"):
            yield Shape(ShapeKind.FRAMES, (), image_place(item.ReferencedSOPSequence[0]))


def _coordinates(group: Dataset) -> Iterator[tuple[Dataset, Dataset | None]]:
    """SCOORD and SCOORD3D of a group, each with the NUM that it stands below, if it does."""
    for item in children(group):
        if item.get("ValueType") in ("SCOORD", "SCOORD3D"):
            if not concepts.same(name_of(item) or _UNKNOWN, own_concepts.BOX_CORNERS):
                yield item, None
        elif item.get("ValueType") == "NUM" and item.get("MeasuredValueSequence"):
            for below in children(item):
                if below.get("ValueType") in ("SCOORD", "SCOORD3D"):
                    yield below, item


def _boxes(group: Dataset) -> Iterator[Shape]:
    for item in children(group, own_concepts.BOX_CORNERS):
        numbers = [float(value) for value in item.GraphicData]
        place = PatientPlace(str(item.get("ReferencedFrameOfReferenceUID", "")))
        try:
            yield Shape(ShapeKind.BOX, (tuple(numbers[:3]), tuple(numbers[3:])), place)
        except ValueError as error:
            raise ObjectInvalid(f"coordinates that are no {error}") from error


def _undrawn(group: Dataset) -> Iterator[Measurement]:
    """Numbers without coordinates."""
    for item in children(group):
        if item.get("ValueType") == "NUM" and item.get("MeasuredValueSequence"):
            below = {one.get("ValueType") for one in children(item)}
            if not below & {"SCOORD", "SCOORD3D"}:
                yield _measurement(item, None, group)


def _measurement(item: Dataset, shape: Shape | None, group: Dataset) -> Measurement:
    """A number; a method that its group names is that of all numbers without one (TID 1419 row 1)."""
    value = item.MeasuredValueSequence[0]
    exact = value.get("FloatingPointValue")
    units = value.get("MeasurementUnitsCodeSequence")
    return Measurement(
        name=name_of(item) or _UNKNOWN,
        value=float(value.NumericValue if exact is None else exact),
        unit=code_from(units[0]) if units else _UNKNOWN,
        shape=shape,
        derivation=coded_child(item, concepts.DERIVATION),
        method=coded_child(item, concepts.MEASUREMENT_METHOD) or coded_child(group, concepts.MEASUREMENT_METHOD),
    )


def _evaluations(group: Dataset) -> Iterator[Evaluation]:
    """CODE and TEXT rows that are neither the group's head nor its label."""
    for item in children(group):
        name = name_of(item)
        if name is None or any(concepts.same(name, other) for other in _NO_ANSWERS):
            continue
        value = first_code(item, "ConceptCodeSequence")
        if item.get("ValueType") == "CODE" and value is not None:
            yield Evaluation(name, value)
        elif item.get("ValueType") == "TEXT":
            yield Evaluation(name, str(item.get("TextValue", "")))


def _colours(segmentation: Dataset | None) -> dict[str, tuple[int, int, int]]:
    if segmentation is None:
        return {}
    return {
        str(segment.TrackingUID): rgb_of(tuple(segment.RecommendedDisplayCIELabValue))
        for segment in segmentation.SegmentSequence
        if "TrackingUID" in segment and "RecommendedDisplayCIELabValue" in segment
    }

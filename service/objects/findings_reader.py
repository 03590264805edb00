"""Findings read back from a measurement report (TID 1500) and its segmentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pydicom.dataset import Dataset

from service.core.codes import Code
from service.core.findings import Evaluation, Finding, Line, Measurement
from service.errors import ObjectInvalid
from service.objects import concepts
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
from service.objects.image_plane import plane_of
from service.objects.tracking import label_of, points_tracking_uid

_UNKNOWN = Code("", "", "")


def findings_of(report: Dataset, segmentation: Dataset | None = None, sources: Sequence[Dataset] = ()) -> list[Finding]:
    """The findings of a report, one for each tracking UID, in the order of the document.

    Masks stay in the segmentation. Colours are read from it, lines need the headers of the source images; what is not
    given is left out. A finding that came without a line has one here: the extent that was drawn for it.

    Raises
    ------
    ObjectInvalid : it is no measurement report
    """
    if name_of(report) is None or not concepts.same(name_of(report) or _UNKNOWN, concepts.IMAGING_MEASUREMENT_REPORT):
        raise ObjectInvalid("not an Imaging Measurement Report (126000, DCM)")
    images = {str(source.SOPInstanceUID): source for source in sources}
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
    found = [_finding(uid, parts, images) for uid, parts in groups.items()]
    return [
        replace(finding, colour=colours[finding.tracking_uid]) if finding.tracking_uid in colours else finding
        for finding in found
    ]


def _finding(uid: str, groups: Sequence[Dataset], images: dict[str, Dataset]) -> Finding:
    first = groups[0]
    identifier = text_child(first, concepts.TRACKING_IDENTIFIER)
    site_item = child(first, concepts.FINDING_SITE)
    measurements = tuple(number for group in groups for number in _measurements(group, images))
    certainty = [one.value for one in measurements if concepts.same(one.name, concepts.CERTAINTY)]
    evaluations = tuple(answer for group in groups for answer in _evaluations(group))
    side = coded_child(site_item, concepts.LATERALITY) if site_item is not None else None
    lone_side = next((one.value for one in evaluations if concepts.same(one.name, concepts.LATERALITY)), None)
    return Finding(
        label=label_of(identifier),
        tracking_uid=uid,
        category=coded_child(first, concepts.FINDING_CATEGORY) or _UNKNOWN,
        type=coded_child(first, concepts.FINDING) or _UNKNOWN,
        site=first_code(site_item, "ConceptCodeSequence") if site_item is not None else None,
        laterality=side or (lone_side if isinstance(lone_side, Code) else None),
        measurements=tuple(one for one in measurements if not concepts.same(one.name, concepts.CERTAINTY)),
        evaluations=tuple(one for one in evaluations if not concepts.same(one.name, concepts.LATERALITY)),
        confidence=certainty[0] / 100 if certainty else None,
    )


def _measurements(group: Dataset, images: dict[str, Dataset]) -> Iterator[Measurement]:
    for item in children(group):
        values: list[Dataset] = list(item.get("MeasuredValueSequence") or [])
        if item.get("ValueType") != "NUM" or not values:
            continue
        exact = values[0].get("FloatingPointValue")
        yield Measurement(
            name=name_of(item) or _UNKNOWN,
            value=float(values[0].NumericValue if exact is None else exact),
            unit=code_from(values[0].MeasurementUnitsCodeSequence[0]),
            line=next((line for line in (_line(below, images) for below in children(item)) if line), None),
            derivation=coded_child(item, concepts.DERIVATION),
            method=coded_child(item, concepts.MEASUREMENT_METHOD),
        )


def _line(item: Dataset, images: dict[str, Dataset]) -> Line | None:
    """A polyline of two points, SCOORD on one of the images or SCOORD3D."""
    if item.get("GraphicType") != "POLYLINE":
        return None
    numbers = [float(value) for value in item.GraphicData]
    if item.ValueType == "SCOORD3D" and len(numbers) == 6:
        return Line((numbers[0], numbers[1], numbers[2]), (numbers[3], numbers[4], numbers[5]))
    if item.ValueType != "SCOORD" or len(numbers) != 4:
        return None
    reference = item.ContentSequence[0].ReferencedSOPSequence[0]
    source = images.get(str(reference.ReferencedSOPInstanceUID))
    if source is None:
        return None
    start, end = plane_of(source, int(reference.get("ReferencedFrameNumber") or 1)).to_patient(numbers)
    return Line(start, end)


def _evaluations(group: Dataset) -> Iterator[Evaluation]:
    """CODE and TEXT rows that are neither the group's head nor its label."""
    heads = (
        concepts.TRACKING_IDENTIFIER,
        concepts.FINDING_CATEGORY,
        concepts.FINDING,
        concepts.FINDING_SITE,
        concepts.MEASUREMENT_METHOD,
        concepts.COMMENT,
    )
    for item in children(group):
        name = name_of(item)
        if name is None or any(concepts.same(name, head) for head in heads):
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

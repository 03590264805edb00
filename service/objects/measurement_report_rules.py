"""What viewers and IHE AI Results ask of measurement reports (PS3.16 TID 1500) beyond the rows of their templates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from pydicom.dataset import Dataset

from service.objects import concepts
from service.objects.checking.condition import values_of
from service.objects.checking.object_case import ObjectCase
from service.objects.content_tree import child, children, coded_child, name_of, template_of, text_child
from service.objects.known_instances import KnownInstances
from service.objects.rule_catalogue import Breach

_SHAPES: Final = ("SCOORD", "SCOORD3D")


def measurement_report_breaches(case: ObjectCase) -> Iterator[Breach]:
    """All rules of a measurement report beyond those of any report and of its templates."""
    groups = measurement_groups_of(case.data_set)
    yield from _root_breaches(case.data_set, groups)
    yield from _tracking_breaches(groups)
    yield from _segment_breaches(groups, case.known)
    yield from _equipment_breaches(case.data_set)


def measurement_groups_of(report: Dataset) -> list[Dataset]:
    """The measurement groups of a report, in the order of the document."""
    return [
        group
        for measurements in children(report, concepts.IMAGING_MEASUREMENTS)
        for group in children(measurements, concepts.MEASUREMENT_GROUP)
    ]


def _root_breaches(data_set: Dataset, groups: list[Dataset]) -> Iterator[Breach]:
    title = name_of(data_set)
    if title is None or not concepts.same(title, concepts.IMAGING_MEASUREMENT_REPORT):
        yield "VIEW-SR-ROOT", f"it is titled {title.meaning if title else '(nothing)'}"
    if template_of(data_set) != "1500" or any(not template_of(group) for group in groups):
        yield "TID-IDENTIFIED", "the root or a measurement group does not say which template it follows"


def _tracking_breaches(groups: list[Dataset]) -> Iterator[Breach]:
    by_uid: dict[str, list[Dataset]] = defaultdict(list)
    for number, group in enumerate(groups, 1):
        tracking = child(group, concepts.TRACKING_UID)
        if tracking is None or not text_child(group, concepts.TRACKING_IDENTIFIER):
            yield "VIEW-SR-TRACKING", f"measurement group {number} has no tracking pair"
        else:
            by_uid[str(tracking.get("UID", ""))].append(group)
    bare = [parts for parts in by_uid.values() if not any(_has_shape(part) for part in parts)]
    if bare:
        yield "VIEW-SR-COORDINATES", f"{len(bare)} of {len(by_uid)} tracking UIDs have no coordinates in any group"
    unnamed = [
        parts
        for parts in by_uid.values()
        if not any(text_child(part, concepts.TRACKING_IDENTIFIER).startswith("Cornerstone3DTools@") for part in parts)
    ]
    if unnamed:
        yield "VIEW-SR-TOOL", f"{len(unnamed)} of {len(by_uid)} tracking identifiers name no tool of the viewer"


def _has_shape(group: Dataset) -> bool:
    """Coordinates in the group itself or right below one of its numbers."""
    below = [
        *children(group),
        *(one for item in children(group) if item.get("ValueType") == "NUM" for one in children(item)),
    ]
    return any(item.get("ValueType") in _SHAPES for item in below)


def _segment_breaches(groups: list[Dataset], known: KnownInstances) -> Iterator[Breach]:
    for group in groups:
        tracking = child(group, concepts.TRACKING_UID)
        for item in children(group, concepts.REFERENCED_SEGMENT):
            for reference in item.get("ReferencedSOPSequence") or ():
                yield from _referenced_segment(reference, str(tracking.get("UID", "")) if tracking else "", known)


def _referenced_segment(reference: Dataset, tracking_uid: str, known: KnownInstances) -> Iterator[Breach]:
    """That the number is one of the segmentation's is REF-SEGMENT."""
    wanted = values_of(reference, "ReferencedSegmentNumber")
    if not wanted:
        yield "SR-SEGMENT", "a referenced segment has no number"
    segmentation = known.referenced.get(str(reference.get("ReferencedSOPInstanceUID", "")))
    if segmentation is None:
        if known.referenced and known.covers_series and not known.is_complete:
            yield "SR-SEGMENT", "a referenced segmentation is not known"
        return
    segments = {str(one.get("SegmentNumber")): one for one in segmentation.get("SegmentSequence") or ()}
    for number in wanted:
        if number in segments and tracking_uid and segments[number].get("TrackingUID") not in (None, tracking_uid):
            yield "SR-SEGMENT", f"segment {number} has another tracking UID than its group"


def _equipment_breaches(data_set: Dataset) -> Iterator[Breach]:
    """One item for an algorithm, complete, where a device made the report."""
    kind = coded_child(data_set, concepts.OBSERVER_TYPE)
    if kind is None or not concepts.same(kind, concepts.DEVICE):
        return
    wanted = ("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "DeviceUID")
    items = [
        item for item in data_set.get("ContributingEquipmentSequence") or () if all(item.get(one) for one in wanted)
    ]
    if not items:
        yield "AIR-EQUIPMENT", "no Contributing Equipment names maker, model, versions and Device UID"

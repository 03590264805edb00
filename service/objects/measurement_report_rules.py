"""Rules of measurement reports (PS3.16 TID 1500), and what viewers and IHE AI Results ask of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import cycle
from typing import Final

from pydicom.dataset import Dataset

from service.core.codes import Code
from service.objects import concepts
from service.objects.content_rules import describe
from service.objects.content_tree import (
    child,
    children,
    coded_child,
    descendants,
    name_of,
    template_of,
    text_child,
)
from service.objects.known_instances import KnownInstances, instance_uids_in
from service.objects.rule_catalogue import Breach, RuleCatalogue

_TITLES: Final = ("126000", "126001", "126002", "126003")
"""CID 7021, Measurement Report Document Titles."""
_CONTAINERS: Final = (("126010", "DCM"), ("126011", "DCM"), ("C0034375", "UMLS"), ("C0034375", "UMLS_2011AA"))
_PERSON: Final = Code("121006", "DCM", "Person")
_PERSON_NAME: Final = Code("121008", "DCM", "Person Observer Name")
_REGIONS: Final = {
    "1410": (("111030",), ("121214",), ("130488",)),
    "1411": (("111030",), ("121191",), ("121231",), ("130488",)),
}
_ROUNDING: Final = 0.001
"""Pixels by which rounding may put a coordinate outside."""
_SHAPES: Final = ("SCOORD", "SCOORD3D")


def is_measurement_report(data_set: Dataset) -> bool:
    """Whether it follows TID 1500, by what it says or by its title."""
    name = name_of(data_set)
    return template_of(data_set) == "1500" or (name is not None and name.scheme == "DCM" and name.value in _TITLES)


def measurement_report_breaches(data_set: Dataset, known: KnownInstances, catalogue: RuleCatalogue) -> Iterator[Breach]:
    """All rules of a measurement report beyond those of any report."""
    groups = [
        group
        for measurements in children(data_set, concepts.IMAGING_MEASUREMENTS)
        for group in children(measurements, concepts.MEASUREMENT_GROUP)
    ]
    yield from _root_breaches(data_set, groups)
    yield from _row_breaches(data_set, "1500", catalogue)
    for group in groups:
        yield from _row_breaches(group, template_of(group), catalogue)
        yield from _region_breaches(group)
    yield from _tracking_breaches(groups)
    yield from _coordinate_breaches(data_set, known)
    yield from _segment_breaches(groups, known)
    yield from _equipment_breaches(data_set)


def _root_breaches(data_set: Dataset, groups: list[Dataset]) -> Iterator[Breach]:
    names = [name_of(item) for item in children(data_set)]
    if not any(name and (name.value, name.scheme) in _CONTAINERS for name in names):
        yield "TID-CONTAINERS", "none of the three containers is there"
    title = name_of(data_set)
    if title is None or not concepts.same(title, concepts.IMAGING_MEASUREMENT_REPORT):
        yield "VIEW-SR-ROOT", f"it is titled {title.meaning if title else '(nothing)'}"
    if template_of(data_set) != "1500" or any(not template_of(group) for group in groups):
        yield "TID-IDENTIFIED", "the root or a measurement group does not say which template it follows"
    kind = coded_child(data_set, concepts.OBSERVER_TYPE)
    if kind is not None and concepts.same(kind, concepts.DEVICE):
        if child(data_set, concepts.DEVICE_OBSERVER_UID) is None:
            yield "TID-OBSERVER", "the device observer has no UID"
    elif child(data_set, _PERSON_NAME) is None:
        yield "TID-OBSERVER", "the person observer has no name"


def _row_breaches(holder: Dataset, template: str, catalogue: RuleCatalogue) -> Iterator[Breach]:
    for row in catalogue.template_rows:
        if row.template != template:
            continue
        found = children(holder, Code(row.code, row.scheme, row.meaning))
        for item in found:
            if item.get("RelationshipType") not in row.relationships or item.get("ValueType") not in row.value_types:
                kinds = " or ".join(sorted(row.value_types))
                yield "TID-ROW", f"TID {template}: {describe(item)} is not {'/'.join(row.relationships)} {kinds}"
        if row.most and len(found) > row.most:
            yield "TID-ROW", f"TID {template}: {row.meaning} stands {len(found)} times"


def _region_breaches(group: Dataset) -> Iterator[Breach]:
    kinds = _REGIONS.get(template_of(group))
    if kinds is None:
        return
    values = {name.value for name in map(name_of, children(group)) if name is not None and name.scheme == "DCM"}
    given = [kind for kind in kinds if values.intersection(kind)]
    if len(given) != 1:
        yield "TID-REGION", f"a TID {template_of(group)} group has {len(given)} kinds of region"
    if "121191" in values and len(values & {"121232", "121233"}) != 1:
        yield "TID-REGION", "a referenced segment needs either its source images or its source series"
    if "121214" in values and "121233" not in values:
        yield "TID-REGION", "a referenced segmentation frame needs its source image"


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


def _coordinate_breaches(data_set: Dataset, known: KnownInstances) -> Iterator[Breach]:
    """Images that coordinates were drawn on: known, and large enough."""
    if not known.sources:
        return
    for parent, item in descendants(data_set):
        if parent.get("ValueType") != "SCOORD" or item.get("ValueType") != "IMAGE":
            continue
        for uid in instance_uids_in(item.get("ReferencedSOPSequence")):
            source = known.sources.get(uid)
            if source is None:
                yield "SR-SOURCES", "coordinates were drawn on an image that is not known"
            elif not _lies_on(parent, source):
                yield "SR-SOURCES", "coordinates lie outside their image"


def _lies_on(shape: Dataset, source: Dataset) -> bool:
    numbers = [float(value) for value in shape.get("GraphicData") or ()]
    columns, rows = float(source.get("Columns") or 0), float(source.get("Rows") or 0)
    inside = (-_ROUNDING <= x <= limit + _ROUNDING for x, limit in zip(numbers, cycle((columns, rows)), strict=False))
    return all(inside)


def _segment_breaches(groups: list[Dataset], known: KnownInstances) -> Iterator[Breach]:
    for group in groups:
        tracking = child(group, concepts.TRACKING_UID)
        for item in children(group, concepts.REFERENCED_SEGMENT):
            for reference in item.get("ReferencedSOPSequence") or ():
                yield from _referenced_segment(reference, str(tracking.get("UID", "")) if tracking else "", known)


def _referenced_segment(reference: Dataset, tracking_uid: str, known: KnownInstances) -> Iterator[Breach]:
    numbers = reference.get("ReferencedSegmentNumber")
    wanted = [] if numbers is None else [numbers] if isinstance(numbers, int) else list(numbers)
    if not wanted:
        yield "SR-SEGMENT", "a referenced segment has no number"
    segmentation = known.referenced.get(str(reference.get("ReferencedSOPInstanceUID", "")))
    if segmentation is None:
        if known.referenced:
            yield "SR-SEGMENT", "a referenced segmentation is not known"
        return
    segments = {one.get("SegmentNumber"): one for one in segmentation.get("SegmentSequence") or ()}
    for number in wanted:
        if number not in segments:
            yield "SR-SEGMENT", f"segment {number} does not exist in the segmentation"
        elif tracking_uid and segments[number].get("TrackingUID") not in (None, tracking_uid):
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

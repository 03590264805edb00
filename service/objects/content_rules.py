"""Rules of every structured report's content tree (PS3.3 C.17.3, C.18), key objects included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom.dataset import Dataset

from service.objects.checking.condition import values_of
from service.objects.checking.object_case import ObjectCase
from service.objects.content_tree import children, descendants, name_of
from service.objects.known_instances import instance_uids_in
from service.objects.rule_catalogue import Breach, RuleCatalogue

_BY_VALUE_ONLY: Final = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.88.11",  # Basic Text
        "1.2.840.10008.5.1.4.1.1.88.22",  # Enhanced
        "1.2.840.10008.5.1.4.1.1.88.59",  # Key Object Selection
    }
)
"""SOP classes whose items may not refer to each other (PS3.3 A.35.1.3, A.35.2.3, A.35.4.3)."""
_EVIDENCE: Final = ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")


def content_breaches(case: ObjectCase) -> Iterator[Breach]:
    """The tree, item by item, and the evidence for what it refers to."""
    data_set, catalogue = case.data_set, case.catalogue
    if data_set.get("ValueType") != "CONTAINER" or name_of(data_set) is None or "RelationshipType" in data_set:
        yield "SR-ROOT", "the root is no CONTAINER with a concept name"
    allowed = catalogue.classes.get(case.sop_class_uid)
    for parent, item in descendants(data_set):
        if is_reference(item):
            yield from _pointer_breaches(data_set, parent, item, case.sop_class_uid)
        else:
            yield from _value_breaches(item, catalogue)
            if allowed is not None and item.get("ValueType") in catalogue.value_types.keys() - allowed:
                yield "SR-CLASS", f"{describe(item)} may not stand in this SOP class"
        yield from _relationship_breaches(parent, item, catalogue)
        yield from _coordinate_breaches(item, catalogue)
    yield from _evidence_breaches(data_set)
    yield from _verification_breaches(data_set)


def describe(item: Dataset) -> str:
    """A content item in words: its value type and concept name, no value."""
    name = name_of(item)
    return f"{item.get('ValueType', 'item')} {name.meaning if name else '(unnamed)'}"


def is_reference(item: Dataset) -> bool:
    """Whether it refers to another item of the tree by its place and has no value of its own (C.17.3.2.5)."""
    return "ReferencedContentItemIdentifier" in item


def _pointer_breaches(root: Dataset, parent: Dataset, item: Dataset, sop_class_uid: str) -> Iterator[Breach]:
    """A reference leads to an item that is there, and to none that it stands below."""
    if sop_class_uid in _BY_VALUE_ONLY:
        yield "SR-TREE", "items refer to each other, which they may not in this SOP class"
        return
    target, above = root, [root]
    steps = values_of(item, "ReferencedContentItemIdentifier")
    if not steps or steps[0] != "1":
        yield "SR-TREE", "a reference between items does not begin at the root"
        return
    for step in steps[1:]:
        below = children(target)
        if not step.isdigit() or not 0 < int(step) <= len(below):
            yield "SR-TREE", "a reference between items leads to no item"
            return
        target = below[int(step) - 1]
        above.append(target)
    if is_reference(target):
        yield "SR-TREE", "a reference between items leads to another reference"
    elif target is parent or any(one is parent for _, one in descendants(target)):
        yield "SR-TREE", "a reference between items leads back to what it stands below"


def _value_breaches(item: Dataset, catalogue: RuleCatalogue) -> Iterator[Breach]:
    if not item.get("ValueType"):
        yield "SR-TREE", "an item has neither a value type nor a reference to another item"
        return
    kind = catalogue.value_types.get(str(item.ValueType))
    if kind is None:
        yield "SR-VALUE", f"{describe(item)}: no such value type"
        return
    for keyword in kind.attributes:
        if keyword not in item or item[keyword].is_empty:
            yield "SR-VALUE", f"{describe(item)} has no {keyword}"
    for keyword in kind.present:
        if keyword not in item:
            yield "SR-VALUE", f"{describe(item)} has no {keyword}"
    for measured in item.get("MeasuredValueSequence") or ():
        if measured.get("NumericValue") is None or not measured.get("MeasurementUnitsCodeSequence"):
            yield "SR-VALUE", f"{describe(item)} has a measured value without number or unit"
    if kind.named and name_of(item) is None:
        yield "SR-CONCEPT", f"a {item.ValueType} has no concept name"


def _relationship_breaches(parent: Dataset, item: Dataset, catalogue: RuleCatalogue) -> Iterator[Breach]:
    relation = str(item.get("RelationshipType", ""))
    allowed = catalogue.relationships.get(relation)
    if allowed is None:
        yield "SR-RELATIONSHIP", f"{describe(item)} has relationship {relation or '(none)'}"
        return
    source, target = str(parent.get("ValueType", "")), str(item.get("ValueType", ""))
    if target not in catalogue.value_types or source not in catalogue.value_types:
        return  # what they are is another rule's
    if not ("*" in allowed.sources or source in allowed.sources) or target not in allowed.targets:
        yield "SR-RELATIONSHIP", f"{describe(parent)} {relation} {describe(item)}"


def _coordinate_breaches(item: Dataset, catalogue: RuleCatalogue) -> Iterator[Breach]:
    shapes = catalogue.shapes.get(str(item.get("ValueType", "")))
    if shapes is None or not item.get("GraphicType"):
        return
    kind = str(item.GraphicType)
    limits = shapes.points.get(kind)
    if limits is None:
        yield "SR-COORDINATES", f"{describe(item)}: no such Graphic Type"
        return
    values, each = list(item.get("GraphicData") or ()), 2 if item.ValueType == "SCOORD" else 3
    if len(values) % each or not limits[0] <= len(values) // each <= limits[1]:
        yield "SR-COORDINATES", f"{describe(item)}: {kind} with {len(values)} numbers"
    elif kind in shapes.closed and values[:each] != values[-each:]:
        yield "SR-CLOSED", f"{describe(item)}: a {kind} does not end where it begins"


def _evidence_breaches(data_set: Dataset) -> Iterator[Breach]:
    listed = {
        uid
        for keyword in _EVIDENCE
        for study in data_set.get(keyword) or ()
        for series in study.get("ReferencedSeriesSequence") or ()
        for uid in instance_uids_in(series.get("ReferencedSOPSequence"))
    }
    referred = {uid for _, item in descendants(data_set) for uid in instance_uids_in(item.get("ReferencedSOPSequence"))}
    missing = referred - listed
    if missing:
        yield (
            "SR-EVIDENCE",
            f"{len(missing)} of {len(referred)} instances that are referred to are in no evidence sequence",
        )


def _verification_breaches(data_set: Dataset) -> Iterator[Breach]:
    """Only what is complete can be verified, and only by a person who is named, after it was written."""
    if data_set.get("VerificationFlag") != "VERIFIED":
        return
    if data_set.get("CompletionFlag") == "PARTIAL":
        yield "SR-VERIFIED", "VERIFIED, but not complete"
    machines = {
        str(item.get("TextValue", "")).strip().casefold()
        for item in children(data_set)
        if (name := name_of(item)) is not None and (name.value, name.scheme) == ("121013", "DCM")
    } - {""}
    written = f"{data_set.get('ContentDate') or ''}{data_set.get('ContentTime') or ''}"[:14]
    for observer in data_set.get("VerifyingObserverSequence") or ():
        verifier = str(observer.get("VerifyingObserverName") or "").replace("^", " ").strip().casefold()
        if verifier in machines:
            yield "SR-VERIFIER", "the device that made the report is named as the person who verified it"
        moment = str(observer.get("VerificationDateTime") or "")[:14]
        if moment and len(written) >= 8 and moment < written[: len(moment)]:
            yield "SR-VERIFIER", "it was verified before it was written"

"""Rules of every structured report's content tree (PS3.3 C.17.3, C.18), key objects included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom.dataset import Dataset

from service.objects.content_tree import descendants, name_of
from service.objects.known_instances import instance_uids_in
from service.objects.rule_catalogue import Breach, RuleCatalogue

_CODES: Final = ("ConceptNameCodeSequence", "ConceptCodeSequence", "MeasurementUnitsCodeSequence")


def content_breaches(data_set: Dataset, catalogue: RuleCatalogue) -> Iterator[Breach]:
    """The tree, item by item, and the evidence for what it refers to."""
    if data_set.get("ValueType") != "CONTAINER" or name_of(data_set) is None or "RelationshipType" in data_set:
        yield "SR-ROOT", "the root is no CONTAINER with a concept name"
    yield from _code_breaches(data_set)
    for parent, item in descendants(data_set):
        yield from _value_breaches(item, catalogue)
        yield from _code_breaches(item)
        yield from _relationship_breaches(parent, item, catalogue)
        yield from _coordinate_breaches(item, catalogue)
    yield from _evidence_breaches(data_set)
    yield from _verification_breaches(data_set)


def describe(item: Dataset) -> str:
    """A content item in words: its value type and concept name, no value."""
    name = name_of(item)
    return f"{item.get('ValueType', 'item')} {name.meaning if name else '(unnamed)'}"


def _is_reference(item: Dataset) -> bool:
    """Whether it refers to another item of the tree by its place and has no value of its own (C.17.3.2.5)."""
    return "ReferencedContentItemIdentifier" in item


def _value_breaches(item: Dataset, catalogue: RuleCatalogue) -> Iterator[Breach]:
    if _is_reference(item):
        return
    kind = catalogue.value_types.get(str(item.get("ValueType", "")))
    if kind is None:
        yield "SR-VALUE", f"{describe(item)}: no such value type"
        return
    for keyword in kind.attributes:
        value = item.get(keyword)
        if value is None or (hasattr(value, "__len__") and len(value) == 0):
            yield "SR-VALUE", f"{describe(item)} has no {keyword}"
    for keyword in kind.present:
        if keyword not in item:
            yield "SR-VALUE", f"{describe(item)} has no {keyword}"
    for measured in item.get("MeasuredValueSequence") or ():
        if measured.get("NumericValue") is None or not measured.get("MeasurementUnitsCodeSequence"):
            yield "SR-VALUE", f"{describe(item)} has a measured value without number or unit"
        yield from _code_breaches(measured)
    if kind.named and name_of(item) is None:
        yield "SR-CONCEPT", f"a {item.ValueType} has no concept name"


def _code_breaches(item: Dataset) -> Iterator[Breach]:
    for keyword in _CODES:
        for code in item.get(keyword) or ():
            value = code.get("CodeValue") or code.get("LongCodeValue") or code.get("URNCodeValue")
            scheme = code.get("CodingSchemeDesignator") or code.get("URNCodeValue")
            if not (value and scheme and code.get("CodeMeaning")):
                yield "SR-CODE", f"{describe(item)}: {keyword} lacks value, scheme or meaning"


def _relationship_breaches(parent: Dataset, item: Dataset, catalogue: RuleCatalogue) -> Iterator[Breach]:
    relation = str(item.get("RelationshipType", ""))
    allowed = catalogue.relationships.get(relation)
    if allowed is None:
        yield "SR-RELATIONSHIP", f"{describe(item)} has relationship {relation or '(none)'}"
        return
    source, target = str(parent.get("ValueType", "")), str(item.get("ValueType", ""))
    from_ok = "*" in allowed.sources or source in allowed.sources
    if not from_ok or (target not in allowed.targets and not _is_reference(item)):
        yield "SR-RELATIONSHIP", f"{describe(parent)} {relation} {describe(item)}"


def _coordinate_breaches(item: Dataset, catalogue: RuleCatalogue) -> Iterator[Breach]:
    kind = str(item.get("ValueType", ""))
    if kind not in ("SCOORD", "SCOORD3D") or not item.get("GraphicType"):
        return
    limits = catalogue.graphic_types.get(str(item.GraphicType))
    if limits is None:
        yield "SR-COORDINATES", f"{describe(item)}: no such Graphic Type"
        return
    values, each = len(item.get("GraphicData") or ()), 2 if kind == "SCOORD" else 3
    if values % each or not limits[0] <= values // each <= limits[1]:
        yield "SR-COORDINATES", f"{describe(item)}: {item.GraphicType} with {values} numbers"


def _evidence_breaches(data_set: Dataset) -> Iterator[Breach]:
    listed = {
        uid
        for keyword in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
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
    flag, observers = data_set.get("VerificationFlag"), data_set.get("VerifyingObserverSequence") or ()
    if flag == "VERIFIED" and not observers:
        yield "SR-VERIFIED", "VERIFIED, but nobody is named who did it"
    if flag == "UNVERIFIED" and observers:
        yield "SR-VERIFIED", "UNVERIFIED, but somebody is named who verified it"

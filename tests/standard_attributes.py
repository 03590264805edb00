"""What the standard says about attributes: which an object may have, and what Annex E asks for each.

It reads PS3.15 Table E.1-1 (config/profiles/ps3.15-e1.csv, the table alone) and the module tables of PS3.3 that
highdicom ships. No profile and no rule of the gateway's is looked at: what those forget is found by this.
"""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from pathlib import Path

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

TABLE = Path(__file__).parent.parent / "config" / "profiles" / "ps3.15-e1.csv"
MODIFIED_DATES = "retain_longitudinal_modified_dates"
FULL_DATES = "retain_longitudinal_full_dates"

KINDS = ("SOPClassUID", "SOPClassUIDInFile", "TransferSyntaxUID", "TransferSyntaxUIDInFile", "CodingSchemeUID")
"""How keywords end whose UIDs name a kind of thing (PS3.6 Annex A), never a thing."""
MORE_KINDS = frozenset({"ContextUID", "MappingResourceUID", "SOPClassesInStudy", "SOPClassesSupported"})
PUBLIC_DATES = frozenset({"ContextGroupVersion", "TemplateVersion"})
"""Versions of the standard's own tables (PS3.3 8.8): the same for everybody."""
HIDING_PLACES = frozenset(
    {
        "AcquisitionContextDescription",
        "ApprovalStatusFurtherDescription",
        "AssertionComments",
        "AssessmentSummaryDescription",
        "CalculationComment",
        "CommentsOnPatientPerformanceOfVisualField",
        "CommentsOnTheScheduledProcedureStep",
        "ContentDescription",
        "ContentLabel",
        "DocumentTitle",
        "DoseComment",
        "FiducialDescription",
        "FrameOfInterestDescription",
        "FrameOfReferenceTransformationComment",
        "GraphicGroupDescription",
        "GraphicGroupLabel",
        "GraphicLayer",
        "GraphicLayerDescription",
        "IndicationDescription",
        "IndicationLabel",
        "InformationSummary",
        "InstructionPerformanceComment",
        "InterventionDescription",
        "ObservationDescription",
        "OverrideReason",
        "PatientSetupLabel",
        "PotentialReasonsForProcedure",
        "ProcedureStepProgressDescription",
        "ROIDescription",
        "ROIName",
        "ROIObservationDescription",
        "ROIObservationLabel",
        "RTImageDescription",
        "RTImageLabel",
        "RTImageName",
        "ReasonForCancellation",
        "ReasonForChannelOmissionDescription",
        "SegmentDescription",
        "SegmentLabel",
        "SetupImageComment",
        "SubstanceAdministrationNotes",
        "SurfaceComments",
        "TextValue",
        "TickLabel",
        "TrackSetDescription",
        "TrackSetLabel",
        "TrackingID",
        "TransactionStatusComment",
        "TreatmentStatusComment",
        "TreatmentTerminationDescription",
        "UnformattedTextValue",
    }
)
"""Free text about a patient's findings, named in the table or not."""
NAMED_NOWHERE = frozenset(
    {
        "BreedRegistrationNumber",
        "CodingSchemeResponsibleOrganization",
        "ContactDisplayName",
        "FillerOrderNumberImagingServiceRequestRetired",
        "FillerOrderNumberProcedure",
        "HL7InstanceIdentifier",
        "HangingProtocolCreator",
        "HangingProtocolUserGroupName",
        "LocalNamespaceEntityID",
        "NTPSourceAddress",
        "OwnerID",
        "PatientBirthDateInAlternativeCalendar",
        "PatientDeathDateInAlternativeCalendar",
        "PlacerOrderNumberImagingServiceRequestRetired",
        "PlacerOrderNumberProcedure",
        "UniversalEntityID",
    }
)
"""Who somebody is, or which institution it was, in attributes that the table forgot."""
ISSUERS = frozenset(
    {
        "AssigningFacilitySequence",
        "IssuerOfAccessionNumberSequence",
        "IssuerOfPatientIDQualifiersSequence",
        "OrderFillerIdentifierSequence",
        "OrderPlacerIdentifierSequence",
    }
)
"""Which institution gave an identifier: the table takes the plain Issuer of Patient ID, and forgot these."""
SEALED = frozenset({"EncryptedAttributesSequence", "MACParametersSequence"})
"""What somebody encrypted cannot be searched (PS3.15 E.1.1: it may hold the original attributes); what is told of
signatures goes with them."""
DATED = frozenset({"DA", "DT", "TM"})


class Fate(Enum):
    """What must become of an attribute's value."""

    GOES = "goes"
    """Another value or none; what was planted must not be found again."""
    STAYS = "stays"
    """Byte for byte, unless one of the patient's own values stands in it."""
    OPEN = "open"
    """The standard leaves it to the profile; nothing of a person is planted there, and nothing expected."""


@dataclass
class Attribute:
    """An attribute of an IOD with those of its items, when it is a sequence."""

    keyword: str
    required: bool
    items: dict[int, Attribute] = field(default_factory=dict)

    @property
    def vr(self) -> str:
        """The VR, the first where the dictionary has several."""
        return dictionary_VR(self.keyword_tag).split(" or ")[0]

    @property
    def keyword_tag(self) -> int:
        """The tag."""
        tag = tag_for_keyword(self.keyword)
        assert tag is not None
        return tag


@cache
def table_rows() -> dict[int, dict[str, str]]:
    """Table E.1-1 by tag; its rows for whole groups (private, curves, overlays) are left out."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return {int(row["tag"], 16): row for row in rows if len(row["tag"]) == 8 and "x" not in row["tag"]}


@cache
def _tables() -> tuple[dict[str, list[dict]], dict[str, list[dict]], dict[str, str]]:
    specification = importlib.util.find_spec("highdicom")
    assert specification is not None
    assert specification.submodule_search_locations
    folder = Path(specification.submodule_search_locations[0]) / "_standard"
    names = ("module_attribute_map.json", "iod_module_map.json", "sop_class_iod_map.json")
    modules, iods, classes = (json.loads((folder / name).read_text(encoding="utf-8")) for name in names)
    return modules, iods, classes


@cache
def attributes_of(sop_class_uid: str, depth: int) -> dict[int, Attribute]:
    """The attributes that PS3.3 allows an object of a SOP class, all modules included, nested as far as asked."""
    modules, iods, classes = _tables()
    top: dict[int, Attribute] = {}
    for module in iods[classes[sop_class_uid]]:
        for row in sorted(modules.get(module["key"], ()), key=lambda row: len(row["path"])):
            if len(row["path"]) <= depth:
                _add(top, [*row["path"], row["keyword"]], required=row["type"] in ("1", "1C"))
    return top


def _add(level: dict[int, Attribute], path: list[str], *, required: bool) -> None:
    tag = tag_for_keyword(path[0])
    if tag is None or tag >> 16 < 8:
        return
    found = level.setdefault(tag, Attribute(path[0], required))
    if len(path) > 1:
        _add(found.items, path[1:], required=required)
    else:
        found.required = found.required or required


def fate(tag: int, options: Collection[str]) -> Fate:
    """What Annex E asks for an attribute that is no sequence, under some of its options (PS3.15 E.3)."""
    keyword = keyword_for_tag(tag)
    group = tag >> 16
    if group & 1 or not keyword or group & 0xFF00 in (0x5000, 0x6000):
        return Fate.GOES
    vr = dictionary_VR(tag).split(" or ")[0]
    if keyword in PUBLIC_DATES:
        return Fate.OPEN
    row = table_rows().get(tag)
    asked = _asked(row, options) if row is not None else ""
    if keyword in HIDING_PLACES | NAMED_NOWHERE or (vr in ("PN", "UR") and asked != "K" and keyword != "URNCodeValue"):
        return Fate.GOES
    if vr in DATED or keyword == "TimezoneOffsetFromUTC":
        return _fate_of_date(vr, options)
    if row is not None:
        return Fate.STAYS if asked == "K" else Fate.GOES
    if vr == "UI":
        return Fate.STAYS if _names_a_kind(keyword) or "retain_uids" in options else Fate.GOES
    return Fate.STAYS


def _asked(row: dict[str, str], options: Collection[str]) -> str:
    codes = {row[option] for option in options if row.get(option)}
    return "C" if "C" in codes else "K" if "K" in codes else row["basic"]


def _fate_of_date(vr: str, options: Collection[str]) -> Fate:
    """Dates move or go. Times of day beside them may stay, as the profile likes."""
    if FULL_DATES in options:
        return Fate.STAYS if vr in ("DA", "DT") else Fate.OPEN
    if MODIFIED_DATES in options:
        return Fate.GOES if vr in ("DA", "DT") else Fate.OPEN
    return Fate.GOES


def goes_whole(tag: int, options: Collection[str], *, to_the_letter: bool = False) -> bool:
    """Whether Annex E takes a sequence away (or leaves a dummy in its place), so that nothing within is sure to stay.

    Parameters
    ----------
    to_the_letter : whether references (X/Z/U*) go where they may
    """
    row = table_rows().get(tag)
    if keyword_for_tag(tag) in SEALED | ISSUERS:
        return True
    stay = ("K", "C") if to_the_letter else ("K", "C", "X/Z/U*")
    return tag >> 16 & 1 == 1 or (row is not None and _asked(row, options) not in stay)


def _names_a_kind(keyword: str) -> bool:
    return keyword.endswith(KINDS) or keyword in MORE_KINDS

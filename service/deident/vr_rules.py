"""What the VR of an element asks for, where neither the profile nor Table E.1-1 says more."""

from __future__ import annotations

from service.deident.options import FULL_DATES, MODIFIED_DATES, RETAIN_UIDS
from service.deident.profile import Profile
from service.deident.rules import Action, Rule

CLASS_UIDS = frozenset(
    {
        "SOPClassUID",
        "ReferencedSOPClassUID",
        "AffectedSOPClassUID",
        "RequestedSOPClassUID",
        "SOPClassesInStudy",
        "SOPClassesSupported",
        "RelatedGeneralSOPClassUID",
        "OriginalSpecializedSOPClassUID",
        "ReferencedRelatedGeneralSOPClassUIDInFile",
        "ReferencedSOPClassUIDInFile",
        "AvailableTransferSyntaxUID",
        "ReferencedTransferSyntaxUIDInFile",
        "EncryptedContentTransferSyntaxUID",
        "MACCalculationTransferSyntaxUID",
        "CodingSchemeUID",
        "ContextUID",
        "MappingResourceUID",
    }
)
"""UIDs that name a kind, not a thing (``KnownKinds``)."""
STANDARD_VERSIONS = frozenset({"ContextGroupVersion", "TemplateVersion"})
"""Dates of the standard's own tables: public constants, which would give the shift away if they moved."""
PIXELS = frozenset({"PixelData", "FloatPixelData", "DoubleFloatPixelData"})
FREE_TEXT = frozenset({"SH", "LO", "ST", "LT", "UT", "UC", "UR", "AE"})
BYTES = frozenset({"OB", "UN", "OW", "OL", "OV", "OF", "OD"})
CODE_ELEMENTS = frozenset(
    {"CodeValue", "LongCodeValue", "URNCodeValue", "CodingSchemeDesignator", "CodingSchemeVersion", "CodeMeaning"}
)
"""A code that loses one of these says something else (PS3.3 Table 8.8-1)."""
DATED_VRS = frozenset({"DA", "DT", "TM"})
UTC_OFFSET = "TimezoneOffsetFromUTC"
VR_FAMILIES = (
    frozenset({"SH", "LO", "ST", "LT", "UT", "UC", "UR", "CS", "AE", "PN"}),
    frozenset({"OB", "OW", "UN", "OF", "OD", "OL", "OV"}),
    frozenset({"US", "SS", "OW", "OB"}),
    frozenset({"UL", "SL", "US", "SS", "UV", "SV"}),
    frozenset({"FL", "FD", "OF", "OD"}),
    frozenset({"IS", "DS", "SH", "LO", "CS"}),
    frozenset({"DA", "DT", "TM"}),
)
BY_TYPE = {"1": Action.DUMMY, "2": Action.EMPTY, "3": Action.REMOVE}


class VrRules:
    """The rules by VR of one profile.

    Parameters
    ----------
    profile : its options and settings
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    def rule(self, keyword: str, vr: str, kind: str, source: str, *, kept: bool = False) -> Rule:
        """Return the rule for an element of a VR.

        Parameters
        ----------
        kind : its Type: "1", "2" or "3"
        source : where the rule comes from
        kept : an option keeps it (K), so what the VR alone would take away stays
        """
        otherwise = BY_TYPE[kind]
        action, reason = self._action(keyword, vr, kind, kept=kept)
        return Rule(otherwise if action is None else action, keyword, vr, otherwise, source, reason)

    def _action(  # noqa: PLR0911, PLR0912 - one branch a row of the documentation's table
        self, keyword: str, vr: str, kind: str, *, kept: bool
    ) -> tuple[Action | None, str]:
        """Return what a VR asks for; no action where the value may not stay."""
        options = self._profile.options
        if keyword == "SpecificCharacterSet":
            return Action.CHARACTER_SET, "kept texts stay decodable"
        if keyword in STANDARD_VERSIONS:
            return Action.VERSION, "a date of the standard, not of the patient"
        if vr == "UI":
            if keyword in CLASS_UIDS:
                return Action.KIND_UID, "names a kind, not a thing; a new UID in its place, unless it is known"
            if kept or RETAIN_UIDS in options:
                return Action.CLASS_UID, "the profile keeps UIDs"
            return Action.MAP_UID, "a new UID in its place, unless it is the standard's own"
        if vr == "PN":
            return (Action.DUMMY if kind == "1" else Action.EMPTY), "a person's name"
        if vr in ("DA", "DT"):
            if kept or options & {FULL_DATES, MODIFIED_DATES}:
                return Action.SHIFT, "the profile keeps intervals" if MODIFIED_DATES in options else "kept in full"
            return None, "the profile keeps no dates"
        if vr == "TM" or keyword == UTC_OFFSET:
            dated = kept or bool(options & {FULL_DATES, MODIFIED_DATES})
            if not dated or self._profile.settings["times"] == "remove":
                return None, "the profile keeps no times"
            return (Action.TIME if vr == "TM" else Action.UTC_OFFSET), "the profile keeps times of day"
        if vr == "SQ":
            return Action.CLEAN_ITEMS, "its items are cleaned one by one"
        if vr == "AS":
            return Action.AGE, "over 89 becomes 90"
        if vr == "CS":
            if kind == "1":
                return Action.TERM, "searched, unless it is a term of the standard"
            return Action.SEARCH, "searched for the patient's own values"
        if vr == "UR" and keyword != "URNCodeValue":
            return None, "an address says whose server it is"
        if keyword == "CodeMeaning":
            return Action.MEANING, "searched, unless it is the code's own meaning"
        if vr in FREE_TEXT:
            if (
                self._profile.settings["other_text"] == "by-type"
                and kind != "1"
                and not (kept or keyword in CODE_ELEMENTS)
            ):
                return None, "the profile keeps no text that the table does not name"
            return Action.SEARCH, "searched for the patient's own values"
        if vr in ("DS", "IS"):
            return Action.NUMBER, "a number"
        if keyword in PIXELS:
            return Action.KEEP, "pixels are not part of the header"
        if vr in BYTES:
            return Action.SEARCH_BYTES, "searched for the patient's own values"
        return Action.SEARCH_NUMBERS, "numbers, unless their bytes are one of the patient's own values"


def are_related(encoded_vr: str | None, vr: str) -> bool:
    """Whether a value encoded with one VR can be meant as one of another."""
    return any(encoded_vr in family and vr in family for family in VR_FAMILIES)

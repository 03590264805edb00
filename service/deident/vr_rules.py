"""What the VR of an element asks for, where neither the profile nor Table E.1-1 says more."""

from __future__ import annotations

from service.deident.options import FULL_DATES, MODIFIED_DATES, RETAIN_UIDS
from service.deident.profile import Profile
from service.deident.rules import Action, Rule

SOP_CLASS_UIDS = frozenset(
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
    }
)
"""UIDs by which readers know what an object is: under another one nobody can read it."""
KIND_UIDS = frozenset(
    {
        "AvailableTransferSyntaxUID",
        "ReferencedTransferSyntaxUIDInFile",
        "EncryptedContentTransferSyntaxUID",
        "MACCalculationTransferSyntaxUID",
        "CodingSchemeUID",
        "ContextUID",
        "MappingResourceUID",
    }
)
"""Other UIDs that name a kind, not a thing (``KnownKinds``)."""
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
SEARCHED = "searched for the patient's own values"
BY_KEYWORD: dict[str, tuple[Action, str]] = {
    "SpecificCharacterSet": (Action.CHARACTER_SET, "kept texts stay decodable"),
    "CodeMeaning": (Action.MEANING, "searched, unless it is the code's own meaning"),
} | dict.fromkeys(STANDARD_VERSIONS, (Action.VERSION, "a date of the standard, not of the patient"))
BY_KEYWORD |= dict.fromkeys(PIXELS, (Action.KEEP, "pixels are not part of the header"))
"""What an element is tells more than its VR."""
BY_VR: dict[str, tuple[Action, str]] = {
    "PN": (Action.EMPTY, "a person's name"),
    "SQ": (Action.CLEAN_ITEMS, "its items are cleaned one by one"),
    "AS": (Action.AGE, "over 89 becomes 90"),
    "CS": (Action.SEARCH, SEARCHED),
    "DS": (Action.NUMBER, "a number"),
    "IS": (Action.NUMBER, "a number"),
} | dict.fromkeys(BYTES, (Action.SEARCH_BYTES, SEARCHED))
REQUIRED: dict[str, tuple[Action, str]] = {
    "PN": (Action.DUMMY, "a person's name"),
    "CS": (Action.TERM, "searched, unless it is a term of the standard"),
}
"""Where the IOD requires a value."""
NUMBERS = (Action.SEARCH_NUMBERS, "numbers, unless their bytes are one of the patient's own values")
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

    def _action(self, keyword: str, vr: str, kind: str, *, kept: bool) -> tuple[Action | None, str]:
        """Return what a VR asks for; no action where the value may not stay."""
        if keyword in BY_KEYWORD:
            return BY_KEYWORD[keyword]
        if vr == "UI":
            return self._uid(keyword, kept=kept)
        if vr in DATED_VRS or keyword == UTC_OFFSET:
            return self._dated(keyword, vr, kept=kept)
        if vr in FREE_TEXT:
            return self._text(keyword, vr, kind, kept=kept)
        if kind == "1" and vr in REQUIRED:
            return REQUIRED[vr]
        return BY_VR.get(vr, NUMBERS)

    def _uid(self, keyword: str, *, kept: bool) -> tuple[Action | None, str]:
        if keyword in SOP_CLASS_UIDS:
            return Action.SOP_CLASS, "says what an object is"
        if keyword in KIND_UIDS:
            return Action.KIND_UID, "names a kind, not a thing; a new UID in its place, unless it is known"
        if kept or RETAIN_UIDS in self._profile.options:
            return Action.CLASS_UID, "the profile keeps UIDs"
        return Action.MAP_UID, "a new UID in its place, unless it is the standard's own"

    def _dated(self, keyword: str, vr: str, *, kept: bool) -> tuple[Action | None, str]:
        options = self._profile.options
        dated = kept or bool(options & {FULL_DATES, MODIFIED_DATES})
        if vr in ("DA", "DT"):
            if dated:
                return Action.SHIFT, "the profile keeps intervals" if MODIFIED_DATES in options else "kept in full"
            return None, "the profile keeps no dates"
        if not dated or self._profile.settings["times"] == "remove":
            return None, "the profile keeps no times"
        return (Action.UTC_OFFSET if keyword == UTC_OFFSET else Action.TIME), "the profile keeps times of day"

    def _text(self, keyword: str, vr: str, kind: str, *, kept: bool) -> tuple[Action | None, str]:
        if vr == "UR" and keyword != "URNCodeValue":
            return None, "an address says whose server it is"
        named = kept or kind == "1" or keyword in CODE_ELEMENTS
        if self._profile.settings["other_text"] == "by-type" and not named:
            return None, "the profile keeps no text that the table does not name"
        return Action.SEARCH, SEARCHED


def are_related(encoded_vr: str | None, vr: str) -> bool:
    """Whether a value encoded with one VR can be meant as one of another."""
    return any(encoded_vr in family and vr in family for family in VR_FAMILIES)

"""Which rule an element meets, decided anew for each."""

from __future__ import annotations

from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.valuerep import STANDARD_VR

from service.deident.code_meanings import SCHEMES
from service.deident.vr_rules import KIND_UIDS, SOP_CLASS_UIDS, VR_FAMILIES
from tests.plain_deident.profile import PlainProfile
from tests.plain_deident.reading import octets, text_at

DATES = ("retain_longitudinal_full_dates", "retain_longitudinal_modified_dates")
CODE_NAMES = ("CodeValue", "LongCodeValue", "URNCodeValue", "CodingSchemeDesignator", "CodingSchemeVersion")
BYTES = ("OB", "UN", "OW", "OL", "OV", "OF", "OD")
TEXTS = ("SH", "LO", "ST", "LT", "UT", "UC", "AE")
PRINTABLE = bytes(byte for byte in range(256) if byte >= 0x20 and byte != 0x7F) + b"\t\r\n\f\x1b"
Decision = tuple[str, str, str]
"""What happens, the VR that holds, and what happens to a value that may not stay."""


class PlainRules:
    """The rules of a profile for objects of one IOD."""

    def __init__(self, profile: PlainProfile, sop_class_uid: str) -> None:
        self.profile = profile
        self.iod = profile.types["sop_classes"].get(sop_class_uid, "secondary-capture-image")

    def kind(self, tag: int, parent: int) -> str:
        """Return the element's Type: the strictest of the modules that name it."""
        types = self.profile.types
        if parent:
            found = [types["items"].get(f"{parent:08x}", {})]
        else:
            found = [types["modules"][index][1] for index in types["iods"][self.iod]]
        for kind in ("1", "2"):
            if any(f"{tag:08x}" in module.get(kind, "").split() for module in found):
                return kind
        return "3"

    def is_instance_list(self, tag: int) -> bool:
        """Whether a list at the top is there for the references elsewhere alone."""
        by_type = self.profile.rules["references"] == "by-type"
        return by_type and self.kind(tag, 0) != "1" and tag not in self.profile.elements

    def decide(self, tag: int, parent: int, encoded_vr: str | None) -> Decision:
        """Return the rule for a tag in its place."""
        return self._by_group(tag, parent) or self._by_tag(tag, parent, encoded_vr)

    def _by_group(self, tag: int, parent: int) -> Decision | None:
        group = tag >> 16
        if group & 1 and 8 <= group < 0xFFFE and self.profile.private:
            if 0x10 <= tag & 0xFFFF < 0x100:
                return "creator", "LO", "remove"
            if tag & 0xFFFF >= 0x1000:
                return "safe private", "", "remove"
        if tag & 0xFFFF == 0 or group < 8 or group >= 0xFFFE or group & 1 or group & 0xFF00 == 0x5000:
            return "remove", "", "remove"
        if group & 0xFF00 == 0x6000:
            if tag & 0xFFFF in (0x0100, 0x0102):
                return "embedded", "US", "remove"
            return self.profile.rules["overlays"], "US", "remove"
        if (parent and tag in (0x7FE00008, 0x7FE00009, 0x7FE00010)) or (group & 0xFF00 == 0x7F00 and group != 0x7FE0):
            return "remove", "", "remove"
        return None

    def _by_tag(self, tag: int, parent: int, encoded_vr: str | None) -> Decision:
        row = self.profile.table.get(tag)
        try:
            choices = dictionary_VR(tag).split(" or ")
        except KeyError:
            if row is None:
                return "remove", "", "remove"
            choices = [row["vr"]]
        vr = encoded_vr if encoded_vr in choices else choices[0]
        keyword = keyword_for_tag(tag) or (row["keyword"] if row else "")
        kind = self.kind(tag, parent)
        otherwise = {"1": "dummy", "2": "empty", "3": "remove"}[kind]
        if encoded_vr is not None and encoded_vr not in STANDARD_VR:
            return otherwise, vr, otherwise
        if tag in self.profile.elements:
            return self.profile.elements[tag], vr, otherwise
        if tag == 0x00700022 and parent in (0x00700009, 0x00700209) and "clean_graphics" not in self.profile.options:
            return "flatten", vr, otherwise
        if row is not None:
            return self._by_table(row, keyword, vr, kind, otherwise)
        if encoded_vr not in (None, "UN", vr) and not are_related(encoded_vr, vr):
            return otherwise, vr, otherwise
        if vr == "SQ" and keyword.endswith("CodeSequence") and self._cleans(parent):
            return "clean codes", vr, otherwise
        return self.by_vr(keyword, vr, kind, kept=False) or otherwise, vr, otherwise

    def decide_private(self, element: Any, source: Dataset) -> tuple[str, str]:
        """Return what happens to an element of a private block, and the VR that holds: what the listed VR asks for."""
        group, number = element.tag.group, element.tag.element
        listed = self.profile.private.get((group, text_at(source, group << 16 | number >> 8), number & 0xFF))
        if listed is None:
            return "remove", ""
        vr = listed or element.VR or "UN"
        if "PN" in (vr, element.VR) or (element.VR not in (None, "UN", vr) and not are_related(element.VR, vr)):
            return "remove", ""
        if element.VR not in (None, *STANDARD_VR):
            return "remove", ""
        verb = self.by_vr("", vr, "3", kept=False) or "remove"
        if verb not in ("keep", "search bytes", "search numbers"):
            return verb, vr
        value = octets(element)
        if value.startswith(b"\xfe\xff\x00\xe0"):
            return "items", "SQ"
        return ("search bytes" if value.strip(b"\0").translate(None, PRINTABLE) else "search"), vr

    def _cleans(self, parent: int) -> bool:
        """Whether items are there only because descriptors are cleaned, not because something is kept."""
        row = self.profile.table.get(parent, {})
        return "clean_descriptors" in self.profile.options and row.get("clean_descriptors") == "C"

    def _by_table(self, row: dict[str, str], keyword: str, vr: str, kind: str, otherwise: str) -> Decision:
        options = self.profile.options
        said = {row[option] for option in options if row.get(option)}
        basic = resolved(row["basic"], kind)
        dates = row.get(DATES[1]) == "C" and DATES[1] in options
        if dates and (vr in ("DA", "DT", "TM") or keyword == "TimezoneOffsetFromUTC"):
            return self.by_vr(keyword, vr, kind, kept=False) or otherwise, vr, otherwise
        if any(row.get(option) == "K" and not (option == DATES[0] and vr in BYTES) for option in options):
            return self.by_vr(keyword, vr, kind, kept=True) or otherwise, vr, otherwise
        if "C" in said and vr == "SQ":
            return ("clean codes" if keyword.endswith("CodeSequence") else "items"), vr, otherwise
        if "C" in said and vr in ("CS", *TEXTS):
            return ("words" if vr == "CS" else "clean"), vr, basic
        if row["basic"] == "X/Z/U*" and self.profile.rules["references"] == "mapped":
            return "items", vr, otherwise
        if row["basic"] == "U" or (vr == "UI" and row["basic"] == "D"):
            return "map-uid", vr, otherwise
        if keyword in ("ContextGroupVersion", "TemplateVersion"):
            return "version", vr, otherwise
        if basic == "dummy" and vr == "SQ":
            return ("dummy code" if keyword.endswith("CodeSequence") else "items"), vr, otherwise
        return basic, vr, otherwise

    def by_vr(self, keyword: str, vr: str, kind: str, *, kept: bool) -> str | None:
        """Return what a VR asks for; None where the value may not stay."""
        named = {"SpecificCharacterSet": "character set", "CodeMeaning": "meaning"}
        named |= dict.fromkeys(("ContextGroupVersion", "TemplateVersion"), "version")
        named |= dict.fromkeys(SOP_CLASS_UIDS, "SOP class") | dict.fromkeys(KIND_UIDS, "kind UID")
        if keyword in named:
            return named[keyword]
        options, rules = self.profile.options, self.profile.rules
        dated = kept or bool(options & set(DATES))
        if vr in ("DA", "DT"):
            return "shift" if dated else None
        if vr == "TM" or keyword == "TimezoneOffsetFromUTC":
            verb = "time" if vr == "TM" else "offset"
            return verb if dated and rules["times"] != "remove" else None
        if vr == "UR" and keyword != "URNCodeValue":
            return None
        if vr in (*TEXTS, "UR"):
            stays = kept or kind == "1" or keyword in CODE_NAMES or rules["other_text"] != "by-type"
            return "search" if stays else None
        required = {
            "UI": "class UID" if kept or "retain_uids" in options else "map-uid",
            "PN": "dummy" if kind == "1" else "empty",
            "CS": "term" if kind == "1" else "search",
            "SQ": "items",
            "AS": "age",
            "DS": "number",
            "IS": "number",
        } | dict.fromkeys(BYTES, "search bytes")
        return required.get(vr, "search numbers")

    def code_overrides(self, item: Dataset) -> dict[int, Decision]:
        """Return the rules in an item of a code sequence that is there only because it is cleaned."""
        scheme, value, meaning = (text_at(item, tag) for tag in (0x00080102, 0x00080100, 0x00080104))
        rules = {0x00080121: ("clean codes", "SQ", "remove")}
        if scheme not in self.profile.schemes:
            rules |= dict.fromkeys((0x00080100, 0x00080102), ("clean", "SH", "dummy"))
            rules |= {0x00080103: ("clean", "SH", "remove"), 0x00080119: ("clean", "UC", "dummy")}
            rules |= {0x00080120: ("search", "UR", "remove")}
        if scheme not in self.profile.schemes or not has_meaning(scheme, value, meaning):
            rules[0x00080104] = ("clean", "LO", "dummy")
        return rules


def are_related(encoded_vr: str | None, vr: str) -> bool:
    """Whether a value encoded with one VR can be meant as one of another."""
    return any(encoded_vr in family and vr in family for family in VR_FAMILIES)


def resolved(code: str, kind: str) -> str:
    """Resolve an action code by the element's Type."""
    if code.startswith("X"):
        return {"1": "dummy", "2": "empty", "3": "remove"}[kind]
    if code.startswith("Z"):
        return "dummy" if kind == "1" else "empty"
    return "dummy"


def has_meaning(scheme: str, value: str, meaning: str) -> bool:
    """Whether the code dictionary gives a code this meaning."""
    if scheme not in SCHEMES or not hasattr(codes, scheme):
        return False
    concepts = getattr(codes, scheme).concepts.values()
    return any(held.value == value and held.meaning.casefold() == meaning.strip().casefold() for held in concepts)

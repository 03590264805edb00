"""From a profile to one rule for each tag in each place: made once, then looked up.

The order: private, retired groups and group lengths; the profile's own elements; drawings that are not kept; Table
E.1-1 with the profile's options; what the VR asks for. X/Z/D and the like, and what happens to a value that may not
stay, follow the element's Type in the object's IOD, so that what comes out is as conformant as what went in.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.valuerep import STANDARD_VR

from service.deident.attribute_table import AttributeRow
from service.deident.instance_lists import INSTANCE_LISTS
from service.deident.options import CLEAN_DESCRIPTORS, CLEAN_GRAPHICS, FULL_DATES, MODIFIED_DATES
from service.deident.profile import Profile
from service.deident.rules import Action, Rule
from service.deident.safe_private import SafePrivateElement
from service.deident.vr_rules import BY_TYPE, BYTES, DATED_VRS, STANDARD_VERSIONS, UTC_OFFSET, VrRules, are_related

Place: TypeAlias = dict[tuple[int, str | None], Rule]
"""Rules by (tag, VR as encoded; None in implicit VR)."""

CLEANABLE = frozenset({"SH", "LO", "ST", "LT", "UT", "UC", "AE"})
"""Texts of which something may be kept where an option cleans (C) what the Basic Profile takes away."""
GRAPHIC_DATA = 0x00700022
DRAWINGS = frozenset({0x00700009, 0x00700209})
"""Graphic Object Sequence and Compound Graphic Sequence: drawn by a hand, unlike the coordinates of a report."""
EMBEDDING = frozenset({0x0100, 0x0102})
"""Overlay Bits Allocated and Overlay Bit Position: other than 1 and 0 they say that a plane lies in Pixel Data."""
PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Float Pixel Data, Double Float Pixel Data, Pixel Data."""
PIXEL_GROUP = 0x7FE0
CREATORS = range(0x10, 0x100)
FIRST_PRIVATE = 0x1000
TABLE = "PS3.15 Table E.1-1"
REMEMBERED = 4096


class RuleBook:
    """The rules of one profile.

    Parameters
    ----------
    profile : its options and tables
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._by_vr = VrRules(profile)
        self._places: dict[tuple[str, int], Place] = {}
        self._private: dict[tuple[SafePrivateElement, str | None], Rule] = {}

    def iod(self, sop_class_uid: str) -> str:
        """Return the IOD whose Types hold for a SOP class."""
        return self._profile.types.iod(sop_class_uid)

    def place(self, iod: str, parent: int) -> Place:
        """Return the rules known so far at the top of an IOD (parent 0) or in the items of a sequence."""
        key = ("" if parent else iod, parent)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = {}
        return place

    def rule(self, iod: str, parent: int, tag: int, encoded_vr: str | None) -> Rule:
        """Make the rule for a tag and remember it in its place."""
        place = self.place(iod, parent)
        if len(place) >= REMEMBERED:
            place.clear()
        rule = self._outside_data_set(tag) or _hidden_pixels(parent, tag) or self._make(iod, parent, tag, encoded_vr)
        place[(tag, encoded_vr)] = rule
        return rule

    def private_rule(self, listed: SafePrivateElement, encoded_vr: str | None) -> Rule:
        """Return the rule for a private element that a list of the profile names: what its VR asks for.

        Numbers are looked at as bytes, since only the list says that they are numbers.
        """
        key = (listed, encoded_vr)
        rule = self._private.get(key)
        if rule is None:
            rule = self._private[key] = self._make_private(listed, encoded_vr)
        return rule

    def _make_private(self, listed: SafePrivateElement, encoded_vr: str | None) -> Rule:
        source = f"PS3.15 E.3.10: list {listed.source}"
        vr = listed.vr or encoded_vr or "UN"
        other = encoded_vr not in (None, "UN", vr) and not are_related(encoded_vr, vr)
        if "PN" in (vr, encoded_vr) or other or (encoded_vr is not None and encoded_vr not in STANDARD_VR):
            return _removed("", source, f"encoded as {encoded_vr}, which it is not")
        rule = self._by_vr.rule("", vr, "3", source)
        is_number = rule.action in (Action.KEEP, Action.SEARCH_NUMBERS)
        action = Action.SEARCH_BYTES if is_number else rule.action
        return replace(rule, action=action, reason=f"{listed.meaning or 'listed'}: {rule.reason}")

    def _outside_data_set(self, tag: int) -> Rule | None:
        """Return the rule for whole groups: private, retired and not of a stored object."""
        group = tag >> 16
        if tag & 0xFFFF == 0:
            return _removed("", "PS3.5 7.2", "group lengths are retired")
        if group <= 0x0007 or group >= 0xFFFE:
            return _removed(keyword_for_tag(tag), "PS3.5 7.1", "not an element of a stored object")
        if group & 1:
            return self._private_element(tag)
        if group & 0xFF00 == 0x6000:
            return self._overlay(tag)
        if group & 0xFF00 == 0x5000:
            return _removed("Curve", f"{TABLE}: Curve Data X", "retired, and its content cannot be searched")
        return None

    def _private_element(self, tag: int) -> Rule:
        source = f"{TABLE}: private attributes"
        if self._profile.private and tag & 0xFFFF in CREATORS:
            reason = "stays with the elements of its block"
            return Rule(Action.PRIVATE_CREATOR, "", "LO", Action.REMOVE, source, reason)
        if self._profile.private and tag & 0xFFFF >= FIRST_PRIVATE:
            reason = "no list of the profile names it for the creator of its block"
            return Rule(Action.SAFE_PRIVATE, "", "", Action.REMOVE, source, reason)
        return _removed("", source, "private elements may carry anything")

    def _overlay(self, tag: int) -> Rule:
        """PS3.15 E.3.3 lets an overlay be looked at; here it goes, since any plane may be handwriting."""
        source = f"{TABLE}: Overlay Data X"
        if tag & 0xFFFF in EMBEDDING:
            reason = "Overlay bits embedded in Pixel Data (60xx,0102) cannot be removed"
            return Rule(Action.EMBEDDED_OVERLAY, keyword_for_tag(tag), "US", Action.REMOVE, source, reason)
        if self._profile.settings["overlays"] == "refuse":
            return Rule(Action.REFUSE, "Overlay", "", Action.REMOVE, source, "the profile holds objects with overlays")
        return _removed("Overlay", source, "may be handwriting; the overlay goes whole")

    def _make(  # noqa: PLR0911 - one branch a step of the order above
        self, iod: str, parent: int, tag: int, encoded_vr: str | None
    ) -> Rule:
        row = self._profile.attributes.row(tag)
        vr = _vr(tag, row, encoded_vr)
        if vr is None:
            return _removed("", "unknown public element", "the data dictionary does not know it")
        keyword = keyword_for_tag(tag) or (row.keyword if row else "")
        kind = self._profile.types.level(iod, parent).get(tag, "3")
        otherwise = BY_TYPE[kind]
        if encoded_vr is not None and encoded_vr not in STANDARD_VR:
            return Rule(otherwise, keyword, vr, otherwise, "PS3.5 6.2", "encoded with a VR that does not exist")
        if tag in self._profile.elements:
            action = self._profile.elements[tag]
            source = f"profile {self._profile.name}: elements"
            return Rule(action, keyword, vr, otherwise, source, f"the profile says {action.value}")
        if tag == GRAPHIC_DATA and parent in DRAWINGS and CLEAN_GRAPHICS not in self._profile.options:
            return Rule(Action.FLATTEN, keyword, vr, otherwise, f"{TABLE}: Graphic Annotation Sequence D", "a drawing")
        if row is not None:
            return self._by_table(row, keyword, vr, kind)
        if encoded_vr not in (None, "UN", vr) and not are_related(encoded_vr, vr):
            return Rule(otherwise, keyword, vr, otherwise, "VR", f"encoded as {encoded_vr}, which it is not")
        if tag in INSTANCE_LISTS and not parent and kind != "1" and self._profile.settings["references"] == "by-type":
            return Rule(Action.INSTANCE_LIST, keyword, vr, otherwise, "PS3.3 C.12.2", "the object refers to instances")
        if vr == "SQ" and keyword.endswith("CodeSequence") and self._cleans(parent):
            return Rule(Action.CLEAN_CODES, keyword, vr, otherwise, f"VR {vr}", "in a sequence that is cleaned")
        return self._by_vr.rule(keyword, vr, kind, f"VR {vr}")

    def _cleans(self, parent: int) -> bool:
        """Whether the items around an element are there only because an option cleans their sequence."""
        row = self._profile.attributes.row(parent)
        return (
            row is not None and CLEAN_DESCRIPTORS in self._profile.options and row.options.get(CLEAN_DESCRIPTORS) == "C"
        )

    def _by_table(self, row: AttributeRow, keyword: str, vr: str, kind: str) -> Rule:
        source = f"{TABLE}: {row.basic}"
        chosen = {option: row.options[option] for option in sorted(self._profile.options) if option in row.options}
        cleaned = [option for option, code in chosen.items() if code == "C"]
        if MODIFIED_DATES in cleaned and (vr in DATED_VRS or keyword == UTC_OFFSET):
            return self._by_vr.rule(keyword, vr, kind, f"{TABLE}: {MODIFIED_DATES} C")
        for option, code in chosen.items():
            if code == "K" and not (option == FULL_DATES and vr in BYTES):
                return self._by_vr.rule(keyword, vr, kind, f"{TABLE}: {option} K", kept=True)
        for option in cleaned:
            if (rule := self._cleaned(row, keyword, vr, kind, f"{TABLE}: {option} C")) is not None:
                return rule
        return self._by_code(row.basic, keyword, vr, kind, source)

    def _cleaned(self, row: AttributeRow, keyword: str, vr: str, kind: str, source: str) -> Rule | None:
        """Return the rule of an option that cleans; None where this cannot, and the Basic Profile stands."""
        otherwise = BY_TYPE[kind]
        # A text of which nothing may be kept becomes what the Basic Profile makes of it.
        basic = _resolved(row.basic, kind)
        if vr == "SQ" and keyword.endswith("CodeSequence"):
            return Rule(Action.CLEAN_CODES, keyword, vr, otherwise, source, "codes of public schemes")
        if vr == "SQ":
            return Rule(Action.CLEAN_ITEMS, keyword, vr, otherwise, source, "its items are cleaned one by one")
        if vr == "CS":
            return Rule(Action.WORDS, keyword, vr, basic, source, "known words")
        if vr in CLEANABLE:
            return Rule(Action.CLEAN, keyword, vr, basic, source, "what is known to be harmless of the text")
        return None

    def _by_code(self, code: str, keyword: str, vr: str, kind: str, source: str) -> Rule:
        otherwise = BY_TYPE[kind]
        if code == "X/Z/U*" and self._profile.settings["references"] == "mapped":
            return Rule(Action.CLEAN_ITEMS, keyword, vr, otherwise, source, "kept so that objects find each other")
        if code == "U" or (vr == "UI" and code == "D"):
            return Rule(Action.MAP_UID, keyword, vr, otherwise, source, "a new UID in its place")
        action = _resolved(code, kind)
        reason = f"Type {kind} here" if "/" in code or action is not _resolved(code, "3") else "the Basic Profile"
        if keyword in STANDARD_VERSIONS:
            return Rule(Action.VERSION, keyword, vr, otherwise, source, "a date of the standard, not of the patient")
        if action is Action.DUMMY and vr == "SQ":
            action = Action.DUMMY_CODE if keyword.endswith("CodeSequence") else Action.CLEAN_ITEMS
        if keyword == "EncapsulatedDocument":
            action = Action.DOCUMENT
        return Rule(action, keyword, vr, otherwise, source, reason)


def _hidden_pixels(parent: int, tag: int) -> Rule | None:
    """Return the rule for pixels beside those of the object, at which nobody looks."""
    if parent and tag in PIXELS:
        return _removed(keyword_for_tag(tag), "PS3.3 C.7.6.3", "pixels in an item: nobody looks at them")
    if tag >> 24 == PIXEL_GROUP >> 8 and tag >> 16 != PIXEL_GROUP:
        return _removed("VariablePixelData", "PS3.5 7.6", "retired: pixels at which nobody looks")
    return None


def _removed(keyword: str, rule: str, reason: str) -> Rule:
    return Rule(Action.REMOVE, keyword, "", Action.REMOVE, rule, reason)


def _resolved(code: str, kind: str) -> Action:
    """Resolve an action code by the element's Type (PS3.15 E.3); X, too, yields to what the IOD requires."""
    if code in ("X", "X/Z", "X/D", "X/Z/D", "X/Z/U*"):
        return BY_TYPE[kind]
    if code in ("Z", "Z/D"):
        return Action.DUMMY if kind == "1" else Action.EMPTY
    return Action.DUMMY


def _vr(tag: int, row: AttributeRow | None, encoded_vr: str | None) -> str | None:
    """Return the VR to treat an element as: the standard's, where it has several the encoded one of them."""
    try:
        known = dictionary_VR(tag)
    except KeyError:
        return row.vr if row is not None else None
    choices = known.split(" or ")
    return encoded_vr if encoded_vr in choices else choices[0]

"""Content items of structured reports and of acquisition context: cleaned by concept and value type.

What carries structure stays (containers, codes, numbers, coordinates, references with new UIDs); names and free text
go, dates move (PS3.15 E.3.4 and Table E.3.4-1).
"""

from __future__ import annotations

from pydicom.dataset import Dataset

from service.deident.element_values import ascii_at
from service.deident.options import CLEAN_CONTENT, FULL_DATES, MODIFIED_DATES, RETAIN_UIDS
from service.deident.profile import Profile
from service.deident.rules import Action, Rule
from service.deident.sequence_items import items_of

VALUE_TYPE = 0x0040A040
CONCEPT_NAME = 0x0040A043
CONCEPT_CODE = 0x0040A168
MEASURED_VALUE = 0x0040A300
NUMERIC_VALUE = 0x0040A30A
UNITS = 0x004008EA
CONTENT_SEQUENCE = 0x0040A730
REFERENCED_POSITION = 0x0040DB73
TABLE = "PS3.15 Table E.3.4-1"
VALUE_TAGS = {
    "TEXT": (0x0040A160, "TextValue", "UT"),
    "PNAME": (0x0040A123, "PersonName", "PN"),
    "DATE": (0x0040A121, "Date", "DA"),
    "TIME": (0x0040A122, "Time", "TM"),
    "DATETIME": (0x0040A120, "DateTime", "DT"),
    "UIDREF": (0x0040A124, "UID", "UI"),
    "CODE": (CONCEPT_CODE, "ConceptCodeSequence", "SQ"),
    "NUM": (MEASURED_VALUE, "MeasuredValueSequence", "SQ"),
    "CONTAINER": (CONTENT_SEQUENCE, "ContentSequence", "SQ"),
}
SUBJECT_NAME = ("DCM", "121029")
SUBJECT_AGE = ("DCM", "121033")
UNITS_A_YEAR = {"a": 1.0, "mo": 12.0, "wk": 52.18, "d": 365.25}
OLDEST_YEARS = 90
NEVER_DROPPED = frozenset({"IMAGE", "COMPOSITE", "WAVEFORM", "UIDREF"})
"""Their identity is in UIDs, and those are replaced; without them a report loses what it is about."""


class ContentRules:
    """What becomes of the value of a content item.

    Parameters
    ----------
    profile : its options and what it says about texts
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    def drop_reason(self, item: Dataset) -> str:
        """Return why an item goes whole; the empty text where it stays."""
        value_type = ascii_at(item, VALUE_TYPE)
        if value_type in NEVER_DROPPED:
            return ""
        concept = _concept(item)
        if value_type == "TEXT" and concept in self._profile.content_text:
            return ""
        row = self._profile.content_items.row(*concept, value_type)
        if row is None or row.basic != "X" or self._codes(row.options):
            return ""
        return f"{row.meaning} says who, where or when"

    def overrides(self, item: Dataset) -> dict[int, Rule]:
        """Return the rule for the item's value, which its concept decides."""
        value_type = ascii_at(item, VALUE_TYPE)
        known = VALUE_TAGS.get(value_type)
        if known is None:
            return {}
        tag, keyword, vr = known
        action, reason = self._action(item, value_type)
        if action is None:
            return {}
        return {tag: Rule(action, keyword, vr, Action.DUMMY, TABLE, reason)}

    def refers_by_position(self, header: Dataset) -> bool:
        """Whether an item anywhere in the content tree refers to others by their position."""
        waiting = [header]
        while waiting:
            item = waiting.pop()
            if REFERENCED_POSITION in item:
                return True
            waiting += items_of(item, CONTENT_SEQUENCE)
        return False

    def is_subject_age(self, item: Dataset) -> bool:
        """Whether a content item says how old somebody is."""
        return _concept(item) == SUBJECT_AGE

    def capped_age(self, measured: Dataset) -> str:
        """Return what an age over 89 years becomes, in the unit that it is in; the empty text for a lower one."""
        a_year = UNITS_A_YEAR.get(_first_code(measured, UNITS)[1], 1.0)
        try:
            age = float(ascii_at(measured, NUMERIC_VALUE))
        except ValueError:
            return ""
        return f"{OLDEST_YEARS * a_year:g}" if age >= OLDEST_YEARS * a_year else ""

    def _action(  # noqa: PLR0911 - one branch a value type
        self, item: Dataset, value_type: str
    ) -> tuple[Action | None, str]:
        concept = _concept(item)
        row = self._profile.content_items.row(*concept, value_type)
        codes = set() if row is None else self._codes(row.options)
        kept = bool(codes)
        if value_type == "UIDREF":
            if RETAIN_UIDS in self._profile.options:
                return Action.CLASS_UID, "the profile keeps UIDs"
            return Action.MAP_UID, "a new UID in its place"
        if value_type == "PNAME":
            return (Action.PSEUDONYM if concept == SUBJECT_NAME else Action.DUMMY), "a person's name"
        if value_type == "TEXT":
            if concept in self._profile.content_text:
                action = self._profile.content_text[concept]
                return action, f"the profile says {action.value}"
            return self._text_action(listed=row is not None, codes=codes)
        if value_type in ("DATE", "DATETIME", "TIME"):
            return self._date_action(value_type, kept=kept, listed=row is not None)
        if row is not None and not kept:  # CODE, NUM or CONTAINER that would go, but others refer to by position
            return (Action.DUMMY_CODE if value_type == "CODE" else Action.EMPTY), "says who"
        return None, ""

    def _text_action(self, *, listed: bool, codes: set[str]) -> tuple[Action, str]:
        if "K" in codes:
            return Action.SEARCH, "the profile keeps it"
        if "C" in codes or (not listed and CLEAN_CONTENT in self._profile.options):
            return Action.CLEAN, "what is known to be harmless of the text"
        return Action.DUMMY, "free text"

    def _date_action(self, value_type: str, *, kept: bool, listed: bool) -> tuple[Action, str]:
        dated = bool(self._profile.options & {FULL_DATES, MODIFIED_DATES})
        if not dated or (listed and not kept):
            return Action.DUMMY, "the profile keeps no such dates"
        if value_type == "TIME":
            keeps = self._profile.settings["times"] == "keep"
            return (Action.TIME, "the profile keeps times of day") if keeps else (Action.DUMMY, "no times of day")
        return Action.SHIFT, "the patient's shift"

    def _codes(self, options: dict[str, str]) -> set[str]:
        """Return what the profile's options say of a row: K keeps it, C cleans it; nothing leaves it to the basic."""
        return {code for option, code in options.items() if option in self._profile.options}


def _concept(item: Dataset) -> tuple[str, str]:
    return _first_code(item, CONCEPT_NAME)


def _first_code(item: Dataset, tag: int) -> tuple[str, str]:
    """Return (scheme, code) of the first item of a code sequence; empty texts where there is none."""
    items = items_of(item, tag)
    if not items:
        return "", ""
    first = items[0]
    return ascii_at(first, 0x00080102), ascii_at(first, 0x00080100)

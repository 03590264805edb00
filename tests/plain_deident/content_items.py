"""What becomes of the content items of a report, by concept and value type (PS3.15 Table E.3.4-1)."""

from __future__ import annotations

from pydicom.dataset import Dataset

from tests.plain_deident.profile import PlainProfile
from tests.plain_deident.reading import first_code, items, text_at
from tests.plain_deident.rules import DATES, Decision
from tests.plain_deident.writing import Clean, put

CONCEPT_NAME, VALUE_TYPE = 0x0040A043, 0x0040A040
CONTENT_VALUES = {
    "TEXT": (0x0040A160, "UT"),
    "PNAME": (0x0040A123, "PN"),
    "DATE": (0x0040A121, "DA"),
    "TIME": (0x0040A122, "TM"),
    "DATETIME": (0x0040A120, "DT"),
    "UIDREF": (0x0040A124, "UI"),
    "CODE": (0x0040A168, "SQ"),
    "NUM": (0x0040A300, "SQ"),
    "CONTAINER": (0x0040A730, "SQ"),
}
YEAR = {"a": 1.0, "mo": 12.0, "wk": 52.18, "d": 365.25}
OLD_NAMES = {"SNM3": "SRT", "99SDM": "SRT"}


class PlainContent:
    """The rules of a profile for content items."""

    def __init__(self, profile: PlainProfile) -> None:
        self.profile = profile

    def _said_of(self, item: Dataset) -> tuple[str, dict[str, str] | None, set[str]]:
        scheme, code = first_code(item, CONCEPT_NAME)
        row = self.profile.content.get((OLD_NAMES.get(scheme, scheme), code, text_at(item, VALUE_TYPE)))
        said = {row[option] for option in self.profile.options if row.get(option)} if row else set()
        return f"{scheme}:{code}", row, said

    def drops(self, item: Dataset) -> bool:
        """Whether an item goes whole, where no other refers to it by its position."""
        concept, row, said = self._said_of(item)
        kind = text_at(item, VALUE_TYPE)
        if kind in ("IMAGE", "COMPOSITE", "WAVEFORM", "UIDREF"):
            return False
        if kind == "TEXT" and concept in self.profile.content_text:
            return False
        return row is not None and row["basic"] == "X" and not said

    def overrides(self, item: Dataset) -> dict[int, Decision]:
        """Return the rule for the value of an item."""
        kind = text_at(item, VALUE_TYPE)
        if kind not in CONTENT_VALUES:
            return {}
        tag, vr = CONTENT_VALUES[kind]
        verb = self._verb(item, kind)
        return {} if verb is None else {tag: (verb, vr, "dummy")}

    def _verb(self, item: Dataset, kind: str) -> str | None:
        concept, row, said = self._said_of(item)
        options = self.profile.options
        if kind == "UIDREF":
            return "class UID" if "retain_uids" in options else "map-uid"
        if kind == "PNAME":
            return "pseudonym" if concept == "DCM:121029" else "dummy"
        if kind == "TEXT":
            if concept in self.profile.content_text:
                return str(self.profile.content_text[concept])
            if "K" in said:
                return "search"
            cleaned = "C" in said or (row is None and "clean_structured_content" in options)
            return "clean" if cleaned else "dummy"
        if kind in ("DATE", "DATETIME", "TIME"):
            if not options & set(DATES) or (row is not None and not said):
                return "dummy"
            if kind == "TIME":
                return "time" if self.profile.rules["times"] == "keep" else "dummy"
            return "shift"
        if row is not None and not said:
            return "dummy code" if kind == "CODE" else "empty"
        return None


def refers_by_position(item: Dataset) -> bool:
    """Whether anything refers to a content item by where it stands."""
    return 0x0040DB73 in item or any(refers_by_position(inner) for inner in items(item, 0x0040A730) or [])


def cap_age(measured: Clean) -> None:
    """Make of an age of 90 years and more one of 90."""

    def held(clean: Clean, tag: int) -> bytes | list[Clean]:
        value: bytes | list[Clean] = clean.get(tag, (None, b"", False))[1]
        return value

    def word(clean: Clean, tag: int) -> str:
        value = held(clean, tag)
        return value.decode("latin-1").strip(" \0") if isinstance(value, bytes) else ""

    units = held(measured, 0x004008EA)
    a_year = YEAR.get(word(units[0], 0x00080100), 1.0) if isinstance(units, list) and units else 1.0
    try:
        years = float(word(measured, 0x0040A30A)) / a_year
    except ValueError:
        return
    if years >= 90:
        put(measured, 0x0040A30A, "DS", f"{90 * a_year:g}".encode())

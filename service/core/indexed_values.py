"""The values of an attribute in the form in which the index compares them (PS3.4 C.2.2.2).

One form for both sides, and text in all of them, so that equality and order are the database's own: names are folded,
numbers written one way, date-times in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from service.core.moments import held_moment
from service.core.person_names import name_groups, name_words, sound
from service.core.search import Attributes, MatchKind

LONGEST_VALUE: Final = 500
"""Characters; of a longer value the first are compared."""
TIMEZONE_OFFSET: Final = "00080201"
_MOST_VALUES: Final = 1000  # of one attribute of one instance
_DIGITS: Final = 7  # significant ones of a decimal number: what single precision holds

WORD: Final = ":word"
END: Final = ":end"
SOUND: Final = ":sound"
"""What is kept of a name besides its groups: its words, the same from their end, and by sound."""

_KINDS: Final[Mapping[str, MatchKind]] = {
    **dict.fromkeys(("AE", "AS", "CS"), MatchKind.CODE),
    **dict.fromkeys(("LO", "LT", "SH", "ST", "UC", "UR", "UT", "AT"), MatchKind.TEXT),
    **dict.fromkeys(("IS", "SL", "SS", "SV", "UL", "US", "UV"), MatchKind.NUMBER),
    **dict.fromkeys(("DS", "FD", "FL"), MatchKind.DECIMAL),
    "DA": MatchKind.DATE,
    "DT": MatchKind.DATE_TIME,
    "PN": MatchKind.PERSON,
    "TM": MatchKind.TIME,
    "UI": MatchKind.UID,
}


class IndexEntry(NamedTuple):
    """One value.

    Parameters
    ----------
    facet : "" for the value itself, or one of `WORD`, `END`, `SOUND`
    item : the items in which it stands, four digits each with dots between; "" outside of sequences
    """

    facet: str
    item: str
    value: str


def kind_of_vr(vr: str) -> MatchKind | None:
    """How attributes of a VR are matched; None where they are not: bytes, and sequences as a whole."""
    return _KINDS.get(vr)


def index_entries(attributes: Attributes, path: tuple[int, ...], kind: MatchKind) -> list[IndexEntry]:
    """What the index keeps of one attribute, each entry once.

    Parameters
    ----------
    path : its tag, behind those of the sequences that it stands in
    """
    zone = str(next(iter(attributes.get(TIMEZONE_OFFSET, {}).get("Value", ())), None) or "")
    entries: dict[IndexEntry, None] = {}
    for item, value in _values_at(attributes, path, ""):
        if len(entries) >= _MOST_VALUES:
            break
        for facet, text in _forms(value, kind, zone):
            if text:
                entries.setdefault(IndexEntry(facet, item, cut(text)))
    return list(entries)


def cut(text: str) -> str:
    """As much of a value as is compared; a NUL is nothing a database stores."""
    return text.replace("\0", "")[:LONGEST_VALUE]


def number_form(text: str) -> str:
    """A whole number one way: "+007" is "7"; what is none stays."""
    try:
        return str(int(float(text))) if "." in text else str(int(text))
    except (ValueError, OverflowError):
        return text


def decimal_form(text: str) -> str:
    """A number to seven significant digits, one way; what is none stays."""
    try:
        return f"{float(text):.{_DIGITS}g}"
    except (ValueError, OverflowError):
        return text


def _forms(value: Any, kind: MatchKind, zone: str) -> Iterator[tuple[str, str]]:
    if kind is MatchKind.PERSON:
        yield from _name_forms(value)
        return
    text = str(value).strip()
    if kind is MatchKind.NUMBER:
        text = number_form(text)
    elif kind is MatchKind.DECIMAL:
        text = decimal_form(text)
    elif kind is MatchKind.DATE_TIME:
        text = held_moment(text, zone)
    yield "", text


def _name_forms(value: Any) -> Iterator[tuple[str, str]]:
    groups = name_groups(value if isinstance(value, Mapping) else str(value))
    for group in groups:
        yield "", group
    for word in name_words(groups):
        yield WORD, word
        yield END, word[::-1]
        if code := sound(word):
            yield SOUND, f"{code}:{word}"


def _values_at(attributes: Mapping[str, Any], path: tuple[int, ...], item: str) -> Iterator[tuple[str, Any]]:
    values = (attributes.get(f"{path[0]:08X}") or {}).get("Value", ())
    for number, value in enumerate(values):
        if value is None:
            continue
        if len(path) == 1:
            if not isinstance(value, Mapping) or _is_name(value):
                yield item, value
        elif isinstance(value, Mapping):
            yield from _values_at(value, path[1:], f"{item}.{number:04d}".lstrip("."))


def _is_name(value: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a name rather than an item."""
    return value.keys() <= {"Alphabetic", "Ideographic", "Phonetic"}

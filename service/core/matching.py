"""Attribute matching (PS3.4 C.2.2.2) of one value: what a query may ask, decided without a database.

The index narrows a search down by its columns; what it has no column for is decided here, on the attributes as they
are served.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from service.core.search import Attributes, MatchKind

_LAST_MOMENT = "235959.999999"
_BY_VR: Mapping[str, MatchKind] = {
    "DA": MatchKind.DATE,
    "TM": MatchKind.TIME,
    "UI": MatchKind.UID,
    "PN": MatchKind.PERSON,
    "IS": MatchKind.NUMBER,
    "US": MatchKind.NUMBER,
    "UL": MatchKind.NUMBER,
    "UV": MatchKind.NUMBER,
    "SS": MatchKind.NUMBER,
    "SL": MatchKind.NUMBER,
    "SV": MatchKind.NUMBER,
    "DS": MatchKind.NUMBER,
    "FL": MatchKind.NUMBER,
    "FD": MatchKind.NUMBER,
}


@dataclass(frozen=True, slots=True)
class ValueMatch:
    """One condition on one attribute; ``values`` are alternatives, or the ends of a range ("" for open).

    Parameters
    ----------
    fuzzy : a person's name is compared without its accents too
    """

    tag: str
    kind: MatchKind
    values: tuple[str, ...] = field(repr=False)
    is_range: bool = False
    fuzzy: bool = False

    def holds(self, attributes: Attributes) -> bool:
        """Whether any value of the attribute matches (PS3.4 C.2.2.2.1: one of several is enough)."""
        element = attributes.get(self.tag, {})
        return any(self._matches(value) for value in element.get("Value", ()) if value is not None)

    def _matches(self, value: Any) -> bool:
        if isinstance(value, Mapping):
            return any(
                person_matches(pattern, str(group), fuzzy=self.fuzzy)
                for group in value.values()
                for pattern in self.values
            )
        text = str(value)
        if self.is_range:
            return in_range(text, self.values[0], self.values[1], is_time=self.kind is MatchKind.TIME)
        compare: dict[MatchKind, Callable[[str, str], bool]] = {
            MatchKind.DATE: lambda wanted, held: held == wanted,
            MatchKind.TIME: lambda wanted, held: in_range(held, wanted, wanted, is_time=True),
            MatchKind.UID: lambda wanted, held: held == wanted,
            MatchKind.NUMBER: _same_number,
            MatchKind.PERSON: lambda wanted, held: person_matches(wanted, held, fuzzy=self.fuzzy),
        }
        decide = compare.get(self.kind, text_matches)
        return any(decide(wanted, text) for wanted in self.values)


@dataclass(frozen=True, slots=True)
class ItemMatch:
    """A condition on a sequence: one of its items meets all of the conditions (PS3.4 C.2.2.2.6)."""

    tag: str
    conditions: tuple[ValueMatch | ItemMatch, ...]

    def holds(self, attributes: Attributes) -> bool:
        """Whether there is such an item."""
        items: Sequence[Any] = attributes.get(self.tag, {}).get("Value", ())
        return any(all(condition.holds(item or {}) for condition in self.conditions) for item in items)


AttributeMatch = ValueMatch | ItemMatch


def kind_of(vr: str) -> MatchKind:
    """How attributes of a VR are matched."""
    return _BY_VR.get(vr, MatchKind.TEXT)


def text_matches(pattern: str, value: str) -> bool:
    """Single value or wildcard matching; case matters, leading and trailing spaces do not."""
    return _pattern(pattern.strip()).fullmatch(value.strip()) is not None


def person_matches(pattern: str, name: str, *, fuzzy: bool) -> bool:
    """Case never matters, accents only where they were not negotiated away, and empty last components never."""
    wanted, held = (folded(text, accents=fuzzy).rstrip("^ ") for text in (pattern, name))
    return _pattern(wanted).fullmatch(held) is not None


def in_range(value: str, first: str, last: str, *, is_time: bool) -> bool:
    """Both ends belong to the range; an empty value is in none, a time to the hour or minute stands for all of it."""
    if not value:
        return False
    if is_time:
        last = last + _LAST_MOMENT[len(last) :] if last else ""
    return (not first or value >= first) and (not last or value <= last)


def folded(text: str, *, accents: bool) -> str:
    """Without upper case, and without accents where wanted."""
    if accents:
        text = "".join(part for part in unicodedata.normalize("NFKD", text) if not unicodedata.combining(part))
    return text.casefold()


def _same_number(wanted: str, held: str) -> bool:
    try:
        return float(wanted) == float(held)
    except ValueError:
        return False


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> re.Pattern[str]:
    """A pattern with * and ?; neighbouring stars are one, so that no pattern takes long."""
    parts = (re.escape(part).replace(r"\?", ".") for part in re.split(r"\*+", pattern))
    return re.compile(".*".join(parts), re.DOTALL)

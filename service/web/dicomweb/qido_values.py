"""The value of a key in a search request → the condition that it is, or what is wrong with it (PS3.4 C.2.2.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from math import isfinite
from typing import Final

from service.core.indexed_values import number_form
from service.core.moments import is_date_time
from service.core.search import Match, MatchKind, SearchKey
from service.errors import BadRequest

EMPTY_VALUE: Final = '""'
_UID: Final = re.compile(r"[0-9.]{1,64}")
_TIME: Final = re.compile(r"([01][0-9]|2[0-3])(([0-5][0-9])(([0-5][0-9]|60)(\.[0-9]{1,6})?)?)?")
_WHOLE_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,9}")
_LONG_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,20}")
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[Ee][+-]?[0-9]{1,3})?")
_WILDCARD: Final = re.compile(r"[*?]")
_VALUES_AT_MOST: Final = 5000
_STARS_AT_MOST: Final = 8
_CHARACTERS_AT_MOST: Final = 4096
# What stands between values that may each match; a comma may be part of any other text (PS3.18 8.3.4.1).
_SEPARATORS: Final[Mapping[MatchKind, str]] = {MatchKind.UID: r"[,\\]", MatchKind.CODE: r"[,\\]"}


@dataclass(frozen=True, slots=True)
class MatchingRules:
    """The flags of a request that bear on every key (PS3.18 8.3.4.4 to 8.3.4.6)."""

    fuzzy: bool = False
    empty_values: bool = False
    multiple_values: bool = False


def match_of(key: SearchKey, value: str, rules: MatchingRules) -> Match | None:
    """The condition that a value is; None where anything matches.

    Raises
    ------
    BadRequest : it is no value of this attribute
    """
    if value == EMPTY_VALUE and rules.empty_values:
        return Match(key, is_empty=True)
    if value == EMPTY_VALUE or not value.strip("*"):
        return None
    if "\0" in value:
        raise BadRequest(f"{key.keyword}: a control character is no part of a value")
    if key.kind in _MOMENTS:
        return _moment_match(key, value)
    values = _values(key, value)
    for one in values:
        _check(key, one)
    if key.kind is MatchKind.NUMBER:
        values = tuple(number_form(one) for one in values)
    all_of = rules.multiple_values and key.several and len(values) > 1
    if all_of and any(_WILDCARD.search(one) for one in values):
        raise BadRequest(f"{key.keyword}: several values that all have to be there take no wildcards")
    return Match(key, values, all_of=all_of, fuzzy=rules.fuzzy and key.kind is MatchKind.PERSON)


def _values(key: SearchKey, value: str) -> tuple[str, ...]:
    pieces = re.split(_SEPARATORS.get(key.kind, r"\\"), value)
    values = tuple(piece.strip() for piece in pieces if piece.strip())
    if not values or len(values) > _VALUES_AT_MOST:
        raise BadRequest(f"{key.keyword}: no value, or more than {_VALUES_AT_MOST}")
    return values


def _check(key: SearchKey, value: str) -> None:
    if key.kind is MatchKind.UID and not _UID.fullmatch(value):
        raise BadRequest(f"{key.keyword}: not a UID")
    # A column of the index holds what PS3.5 lets an IS be; a value that was added may be longer.
    if key.kind is MatchKind.NUMBER and not (_LONG_NUMBER if key.has_table else _WHOLE_NUMBER).fullmatch(value):
        raise BadRequest(f"{key.keyword}: not an integer")
    if key.kind is MatchKind.DECIMAL and not (_DECIMAL.fullmatch(value) and isfinite(float(value))):
        raise BadRequest(f"{key.keyword}: not a number")
    if len(value) > _CHARACTERS_AT_MOST or value.count("*") > _STARS_AT_MOST:
        raise BadRequest(
            f"{key.keyword}: more than {_CHARACTERS_AT_MOST} characters, or more than {_STARS_AT_MOST} wildcards *"
        )


def _moment_match(key: SearchKey, value: str) -> Match:
    """One date or time, or a range with one end or both (PS3.4 C.2.2.2.5)."""
    is_one, words = _MOMENTS[key.kind]
    if is_one(value):
        return Match(key, (value,))
    # The hyphen of a range, not one of an offset from UTC: both sides have to be moments.
    for place in (found.start() for found in re.finditer("-", value)):
        first, last = value[:place].strip(), value[place + 1 :].strip()
        if (first or last) and all(is_one(end) for end in (first, last) if end):
            return Match(key, (first, last), is_range=True)
    raise BadRequest(f"{key.keyword}: not {words}, or a range of two")


def _is_date(value: str) -> bool:
    if len(value) != 8 or not value.isdecimal() or not value.isascii():
        return False
    try:
        date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError:
        return False
    return True


def _is_time(value: str) -> bool:
    return _TIME.fullmatch(value) is not None


_MOMENTS: Final[Mapping[MatchKind, tuple[Callable[[str], bool], str]]] = {
    MatchKind.DATE: (_is_date, "a date of the form YYYYMMDD"),
    MatchKind.TIME: (_is_time, "a time of the form HHMMSS"),
    MatchKind.DATE_TIME: (is_date_time, "a moment of the form YYYYMMDDHHMMSS.FFFFFF&ZZXX"),
}

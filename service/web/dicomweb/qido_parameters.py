"""The query of a search request → what the archive is asked, or what is wrong with it (PS3.18 8.3.4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from pydicom.datadict import tag_for_keyword

from service.core.search import SEARCH_KEYS, Level, Match, MatchKind, SearchKey, SearchQuery
from service.errors import BadRequest

_UID: Final = re.compile(r"[0-9.]{1,64}")
_TIME: Final = re.compile(r"([01][0-9]|2[0-3])(([0-5][0-9])(([0-5][0-9]|60)(\.[0-9]{1,6})?)?)?")
_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")
_SPEAKABLE: Final = re.compile(r"[A-Za-z0-9.]{1,100}")
_UIDS_AT_MOST: Final = 5000
_KEYS: Final[Mapping[tuple[int, ...], SearchKey]] = {key.path: key for key in SEARCH_KEYS}

FUZZY_WARNING: Final = "The fuzzymatching parameter is not supported. Only literal matching has been performed."
EMPTY_VALUE_WARNING: Final = (
    "The emptyvaluematching parameter is not supported. Empty Value Matching has not been performed."
)


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search as it was understood.

    Parameters
    ----------
    included : tags of the attributes that are wanted beyond the usual ones, eight hex digits each
    include_all : whether every known attribute is wanted
    warnings : what was not done as asked, in words
    """

    query: SearchQuery
    included: frozenset[str]
    include_all: bool
    warnings: tuple[str, ...]


def parse_search(query: SearchQuery, parameters: Iterable[tuple[str, str]], page_limit: int) -> SearchRequest:
    """Read the parameters, percent-decoded, into ``query``, which says what resource is searched.

    A key that cannot be matched at this level is left out and named in a warning; so is an unknown parameter.

    Raises
    ------
    BadRequest : a bad value of a key or parameter that is supported, or a key that is given twice
    """
    reader = _Reader(query.level)
    for name, value in parameters:
        reader.read(name.strip(), value.strip())
    limited = replace(
        query,
        matches=tuple(reader.matches.values()),
        limit=page_limit if reader.limit is None else min(reader.limit, page_limit),
        offset=reader.offset,
    )
    return SearchRequest(limited, frozenset(reader.included), reader.include_all, tuple(reader.warnings()))


class _Reader:
    """Collects what the parameters say, one after the other."""

    def __init__(self, level: Level) -> None:
        self._level = level
        self._unsupported: list[str] = []
        self._notes: list[str] = []
        self._seen: set[tuple[int, ...]] = set()
        self.matches: dict[tuple[int, ...], Match] = {}
        self.included: set[str] = set()
        self.include_all = False
        self.limit: int | None = None
        self.offset = 0

    def read(self, name: str, value: str) -> None:
        if name in _PARAMETERS:
            _PARAMETERS[name](self, value)
            return
        path = _path(name)
        key = _KEYS.get(path)
        if key is None or key.level > self._level:
            self._unsupported.append(name)
            return
        if path in self._seen:
            raise BadRequest(f"{key.keyword} is given more than once")
        self._seen.add(path)
        self.included.add(f"{path[0]:08X}")
        if value not in ("", "*", '""'):
            self.matches[path] = _match(key, value)

    def warnings(self) -> list[str]:
        """What was not done, in words; a name that could be anything is not repeated."""
        notes = list(self._notes)
        if self._unsupported:
            names = sorted({name if _SPEAKABLE.fullmatch(name) else "(unreadable)" for name in self._unsupported})
            notes.append(f"These keys are not supported here and were ignored: {', '.join(names)}")
        return notes

    def include(self, value: str) -> None:
        for field in filter(None, (piece.strip() for piece in value.split(","))):
            if field == "all":
                self.include_all = True
            elif path := _path(field):
                self.included.add(f"{path[0]:08X}")
            else:
                self._unsupported.append(field)

    def limit_to(self, value: str) -> None:
        self.limit = _count("limit", value, least=1)

    def skip(self, value: str) -> None:
        self.offset = _count("offset", value, least=0)

    def fuzzy(self, value: str) -> None:
        if _flag("fuzzymatching", value):
            self._notes.append(FUZZY_WARNING)

    def empty_values(self, value: str) -> None:
        if _flag("emptyvaluematching", value):
            self._notes.append(EMPTY_VALUE_WARNING)

    def several_values(self, value: str) -> None:
        _flag("multiplevaluematching", value)  # several values of a key are alternatives in any case

    def nothing(self, value: str) -> None:
        """Read elsewhere: what the caller accepts."""


_PARAMETERS: Final[Mapping[str, Callable[[_Reader, str], None]]] = {
    "includefield": _Reader.include,
    "limit": _Reader.limit_to,
    "offset": _Reader.skip,
    "fuzzymatching": _Reader.fuzzy,
    "emptyvaluematching": _Reader.empty_values,
    "multiplevaluematching": _Reader.several_values,
    "accept": _Reader.nothing,
    "charset": _Reader.nothing,
}


def _path(name: str) -> tuple[int, ...]:
    """The tags of a key, given as keywords or eight hex digits and nested with dots; () where one is unknown."""
    path = []
    for piece in name.split("."):
        tag = int(piece, 16) if _TAG.fullmatch(piece) else tag_for_keyword(piece)
        if tag is None:
            return ()
        path.append(int(tag))
    return tuple(path)


def _match(key: SearchKey, value: str) -> Match:
    if key.kind in (MatchKind.DATE, MatchKind.TIME):
        return _moment_match(key, value)
    separators = {MatchKind.UID: r"[,\\]", MatchKind.CODE: r"[,\\]", MatchKind.TEXT: r"\\", MatchKind.PERSON: r"\\"}
    separator = separators.get(key.kind)
    values = re.split(separator, value) if separator else [value]
    values = [piece.strip() for piece in values if piece.strip()]
    if not values or len(values) > _UIDS_AT_MOST:
        raise BadRequest(f"{key.keyword}: no value, or more than {_UIDS_AT_MOST}")
    if key.kind is MatchKind.UID and not all(_UID.fullmatch(piece) for piece in values):
        raise BadRequest(f"{key.keyword}: not a UID")
    if key.kind is MatchKind.NUMBER:
        values = [str(_integer(key.keyword, value))]
    return Match(key, tuple(values))


def _moment_match(key: SearchKey, value: str) -> Match:
    """One date or time, or a range with one end or both (PS3.4 C.2.2.2.5)."""
    check = _check_date if key.kind is MatchKind.DATE else _check_time
    first, dash, last = value.partition("-")
    first, last = first.strip(), last.strip()
    if not dash:
        check(key.keyword, first)
        return Match(key, (first,))
    if not first and not last:
        raise BadRequest(f"{key.keyword}: a range without an end")
    for end in filter(None, (first, last)):
        check(key.keyword, end)
    return Match(key, (first, last), is_range=True)


def _check_date(keyword: str, value: str) -> None:
    digits = value if len(value) == 8 and value.isdecimal() else "00000000"
    try:
        date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        raise BadRequest(f"{keyword}: not a date of the form YYYYMMDD, or a range of two") from None


def _check_time(keyword: str, value: str) -> None:
    if not _TIME.fullmatch(value):
        raise BadRequest(f"{keyword}: not a time of the form HHMMSS, or a range of two")


def _integer(keyword: str, value: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", value):
        raise BadRequest(f"{keyword}: not an integer")
    return int(value)


def _count(name: str, value: str, *, least: int) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) < least:
        raise BadRequest(f"{name}: not an integer of {least} or more")
    return int(value)


def _flag(name: str, value: str) -> bool:
    if value not in ("true", "false"):
        raise BadRequest(f"{name}: neither true nor false")
    return value == "true"

"""The query of a search request → what the archive is asked, or what is wrong with it (PS3.18 8.3.4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from service.core.moments import combined
from service.core.query_values import count_of, flag_of
from service.core.search import SEARCH_KEYS, Level, Match, MomentMatch, SearchKey, SearchQuery
from service.core.search_attributes import attribute_path
from service.errors import BadRequest
from service.web.dicomweb.qido_values import MatchingRules, match_of

_SPEAKABLE: Final = re.compile(r"[A-Za-z0-9.]{1,100}")
_KEYS: Final[Mapping[tuple[int, ...], SearchKey]] = {key.path: key for key in SEARCH_KEYS}
# Dates with the times that belong to them: ranges of both are one range (PS3.4 C.2.2.2.5.4).
_MOMENTS: Final = (((0x00080020,), (0x00080030,)), ((0x00400244,), (0x00400245,)))

Path = tuple[int, ...]
AddedKeys = Callable[[], Mapping[Path, SearchKey | None]]


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search as it was understood.

    Parameters
    ----------
    included : the attributes that are wanted beyond the usual ones; a path leads into sequences
    include_all : whether every known attribute is wanted
    warnings : what was not done as asked, in words
    """

    query: SearchQuery
    included: frozenset[Path]
    include_all: bool
    warnings: tuple[str, ...]


def _none_added() -> Mapping[Path, SearchKey | None]:
    return {}


def parse_search(
    query: SearchQuery, parameters: Iterable[tuple[str, str]], page_limit: int, added: AddedKeys = _none_added
) -> SearchRequest:
    """Read the parameters, percent-decoded, into ``query``, which says what resource is searched.

    A key that cannot be matched at this level is left out and named in a warning; so is an unknown parameter.

    Parameters
    ----------
    added : the attributes that were made searchable; asked only where a key is none of those that always are

    Raises
    ------
    BadRequest : a bad value of a key or parameter that is supported, or a key that is given twice
    """
    reader = _Reader(query.level, added)
    keys = []
    for name, value in parameters:
        if not reader.read_parameter(name.strip(), value.strip()):
            keys.append((name.strip(), value.strip()))
    for name, value in keys:  # once it is known by which rules
        reader.read_key(name, value)
    moments, matches = _combined(reader.matches)
    limited = replace(
        query,
        matches=matches,
        moments=moments,
        limit=page_limit if reader.limit is None else min(reader.limit, page_limit),
        offset=reader.offset,
    )
    return SearchRequest(limited, frozenset(reader.included), reader.include_all, tuple(reader.warnings()))


class _Reader:
    """Collects what the parameters say, one after the other."""

    def __init__(self, level: Level, added: AddedKeys) -> None:
        self._level = level
        self._added = added
        self._found: Mapping[Path, SearchKey | None] | None = None
        self._unsupported: list[str] = []
        self._unready: list[str] = []
        self._seen: set[Path] = set()
        self._rules = MatchingRules()
        self.matches: dict[Path, Match] = {}
        self.included: set[Path] = set()
        self.include_all = False
        self.limit: int | None = None
        self.offset = 0

    def read_parameter(self, name: str, value: str) -> bool:
        """Take a parameter; whether it is one and no key."""
        if name not in PARAMETERS:
            return False
        PARAMETERS[name](self, value)
        return True

    def read_key(self, name: str, value: str) -> None:
        path = attribute_path(name)
        key = self._key(path, name)
        if key is None:
            return
        if path in self._seen:
            raise BadRequest(f"{key.keyword} is given more than once")
        self._seen.add(path)
        self.included.add(path)
        match = match_of(key, value, self._rules)
        if match is not None:
            self.matches[path] = match

    def warnings(self) -> list[str]:
        """What was not done, in words; a name that could be anything is not repeated."""
        notes = []
        if self._unready:
            keywords = ", ".join(sorted(self._unready))
            notes.append(f"The values of these keys are still being gathered, and they were ignored: {keywords}")
        if self._unsupported:
            names = sorted({name if _SPEAKABLE.fullmatch(name) else "(unreadable)" for name in self._unsupported})
            notes.append(f"These keys are not supported here and were ignored: {', '.join(names)}")
        return notes

    def _key(self, path: Path, name: str) -> SearchKey | None:
        key = _KEYS.get(path)
        if key is None and path:
            if self._found is None:
                self._found = self._added()
            key = self._found.get(path)
            if key is None and path in self._found:
                self._unready.append(name)
                return None
        if key is None or key.level > self._level:
            self._unsupported.append(name)
            return None
        return key

    def include(self, value: str) -> None:
        for field in filter(None, (piece.strip() for piece in value.split(","))):
            if field == "all":
                self.include_all = True
            elif path := attribute_path(field):
                self.included.add(path)
            else:
                self._unsupported.append(field)

    def limit_to(self, value: str) -> None:
        self.limit = count_of("limit", value, least=1)

    def skip(self, value: str) -> None:
        self.offset = count_of("offset", value, least=0)

    def fuzzy(self, value: str) -> None:
        self._rules = replace(self._rules, fuzzy=flag_of("fuzzymatching", value))

    def empty_values(self, value: str) -> None:
        self._rules = replace(self._rules, empty_values=flag_of("emptyvaluematching", value))

    def multiple_values(self, value: str) -> None:
        self._rules = replace(self._rules, multiple_values=flag_of("multiplevaluematching", value))

    def nothing(self, value: str) -> None:
        """Read elsewhere: what the caller accepts."""


PARAMETERS: Final[Mapping[str, Callable[[_Reader, str], None]]] = {
    "includefield": _Reader.include,
    "limit": _Reader.limit_to,
    "offset": _Reader.skip,
    "fuzzymatching": _Reader.fuzzy,
    "emptyvaluematching": _Reader.empty_values,
    "multiplevaluematching": _Reader.multiple_values,
    "accept": _Reader.nothing,
    "charset": _Reader.nothing,
}


def _combined(matches: Mapping[Path, Match]) -> tuple[tuple[MomentMatch, ...], tuple[Match, ...]]:
    """Ranges of a date and of its time as one, where both are ranges; and the rest."""
    rest, found = dict(matches), []
    for date_path, time_path in _MOMENTS:
        date, time = matches.get(date_path), matches.get(time_path)
        if date is not None and time is not None and date.is_range and time.is_range:
            first, last = combined((date.values[0], date.values[1]), (time.values[0], time.values[1]))
            found.append(MomentMatch(date.key, time.key, first, last))
            del rest[date_path], rest[time_path]
    return tuple(found), tuple(rest.values())

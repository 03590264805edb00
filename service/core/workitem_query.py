"""A search for work items, and a subscription's filter: parameters → conditions (PS3.18 11.9, 8.3.4; PS3.4 C.2.2.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from pydicom.datadict import tag_for_keyword

from service.core import workitem as tags
from service.core.matching import ValueMatch, kind_of
from service.core.query_values import count_of, flag_of
from service.core.search import Attributes, MatchKind
from service.core.workitem import has_value
from service.core.workitem_rules import AttributeRule, Rules, WorkitemRules
from service.errors import BadRequest

_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_UID: Final = re.compile(r"[0-9.]{1,64}", re.ASCII)
_SPEAKABLE: Final = re.compile(r"[A-Za-z0-9.]{1,100}", re.ASCII)
_MOMENT: Final = re.compile(r"[0-9]{4,14}(\.[0-9]{1,6})?([+-][0-9]{4})?", re.ASCII)
_WILDCARDS: Final = re.compile(r"[*?]")
_LAST_MOMENT: Final = "99991231235959.999999"
_VALUES_AT_MOST: Final = 1000
_KEYS_AT_MOST: Final = 100
# What the index has a column for, so that it need not look at every work item.
_COLUMNS: Final[Mapping[str, str]] = {
    tags.SOP_INSTANCE_UID: "workitem_uid",
    tags.STATE: "state",
    tags.PRIORITY: "priority",
    tags.WORKLIST_LABEL: "worklist_label",
    tags.INPUT_READINESS: "readiness",
    tags.STUDY_INSTANCE_UID: "study_uid",
    tags.PATIENT_ID: "patient_id",
}


class Condition(Protocol):
    """Holds of a data set or not."""

    def holds(self, attributes: Attributes) -> bool:
        """Whether it does."""


@dataclass(frozen=True, slots=True)
class EmptyMatch:
    """Empty Value Matching (PS3.4 C.2.2.2.7): the attribute is not there, or has no value."""

    tag: str

    def holds(self, attributes: Attributes) -> bool:
        """Whether there is none."""
        return not has_value(attributes, self.tag)


@dataclass(frozen=True, slots=True)
class NestedMatch:
    """Conditions of any kind on one item of a sequence."""

    tag: str
    conditions: tuple[Condition, ...]

    def holds(self, attributes: Attributes) -> bool:
        """Whether one item meets them all."""
        return any(all(one.holds(item) for one in self.conditions) for item in tags.items(attributes, self.tag))


@dataclass(frozen=True, slots=True)
class WorkitemQuery:
    """What is looked for.

    Parameters
    ----------
    columns : values of columns of the index, any of which may be it; they only narrow the search down
    included : tags of the outermost attributes that are wanted beyond those that always come
    warnings : what was not done as asked, in words
    """

    conditions: tuple[Condition, ...] = ()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    included: frozenset[str] = frozenset()
    include_all: bool = False
    limit: int | None = None
    offset: int = 0
    warnings: tuple[str, ...] = ()

    def holds(self, attributes: Attributes) -> bool:
        """Whether a work item is one of those."""
        return all(condition.holds(attributes) for condition in self.conditions)


def parse_query(parameters: Iterable[tuple[str, str]], rules: WorkitemRules) -> WorkitemQuery:
    """Read the parameters of a search, percent-decoded.

    Raises
    ------
    BadRequest : a bad value of a key that is supported, or a key that is given twice
    """
    reader = _Reader(rules)
    for name, value in parameters:
        reader.read(name.strip(), value.strip())
    return reader.query()


class _Reader:
    """Collects what the parameters say, one after the other."""

    def __init__(self, rules: WorkitemRules) -> None:
        self._rules = rules
        self._values: dict[tuple[str, ...], str] = {}
        self._unsupported: list[str] = []
        self._included: set[str] = set()
        self._include_all = False
        self._limit: int | None = None
        self._offset = 0
        self._fuzzy = False

    def read(self, name: str, value: str) -> None:
        if name in _PARAMETERS:
            _PARAMETERS[name](self, value)
            return
        path = _path(name)
        rule = _rule_at(self._rules.rules, path)
        if rule is None or rule.match == "-":
            self._unsupported.append(name)
            return
        if path in self._values:
            raise BadRequest(f"{rule.name} is given more than once")
        if len(self._values) >= _KEYS_AT_MOST:
            raise BadRequest(f"There are more than {_KEYS_AT_MOST} keys")
        self._values[path] = value
        self._included.add(path[0])

    def query(self) -> WorkitemQuery:
        columns: dict[str, tuple[str, ...]] = {}
        found: list[tuple[tuple[str, ...], Condition]] = []
        for path, value in self._values.items():
            rule = _rule_at(self._rules.rules, path)
            if rule is None or value in ("", "*"):
                continue
            found.append((path[:-1], _condition(rule, value, fuzzy=self._fuzzy)))
            column = _COLUMNS.get(path[0]) if len(path) == 1 else None
            if column and value != '""' and not _WILDCARDS.search(value):
                columns[column] = _values_of(rule, value)
        return WorkitemQuery(
            conditions=_joined(found),
            columns=columns,
            included=frozenset(self._included),
            include_all=self._include_all,
            limit=self._limit,
            offset=self._offset,
            warnings=self._warnings(),
        )

    def _warnings(self) -> tuple[str, ...]:
        if not self._unsupported:
            return ()
        names = sorted({name if _SPEAKABLE.fullmatch(name) else "(unreadable)" for name in self._unsupported})
        return (f"These keys are not supported here and were ignored: {', '.join(names[:20])}",)

    def include(self, value: str) -> None:
        for piece in filter(None, (piece.strip() for piece in value.split(","))):
            path = _path(piece)
            if piece == "all":
                self._include_all = True
            elif path and path[0] in self._rules.rules:
                self._included.add(path[0])
            else:
                self._unsupported.append(piece)

    def limit_to(self, value: str) -> None:
        self._limit = count_of("limit", value, least=1)

    def skip(self, value: str) -> None:
        self._offset = count_of("offset", value, least=0)

    def match_fuzzily(self, value: str) -> None:
        self._fuzzy = flag_of("fuzzymatching", value)

    def check_flag(self, value: str) -> None:
        """Several values and the empty value are matched in any case."""
        flag_of("The parameter", value)

    def nothing(self, value: str) -> None:
        """Read elsewhere: what the caller accepts."""


_PARAMETERS: Final[Mapping[str, Callable[[_Reader, str], None]]] = {
    "includefield": _Reader.include,
    "limit": _Reader.limit_to,
    "offset": _Reader.skip,
    "fuzzymatching": _Reader.match_fuzzily,
    "emptyvaluematching": _Reader.check_flag,
    "multiplevaluematching": _Reader.check_flag,
    "accept": _Reader.nothing,
    "charset": _Reader.nothing,
}


def _path(name: str) -> tuple[str, ...]:
    """The tags of a key, given as keywords or eight hex digits and nested with dots; () where one is unknown."""
    path = []
    for piece in name.split("."):
        tag = int(piece, 16) if _TAG.fullmatch(piece) else tag_for_keyword(piece)
        if tag is None:
            return ()
        path.append(f"{int(tag):08X}")
    return tuple(path)


def _rule_at(rules: Rules, path: Sequence[str]) -> AttributeRule | None:
    found: AttributeRule | None = None
    for tag in path:
        found = rules.get(tag)
        if found is None:
            return None
        rules = found.items
    return found


def _joined(found: Sequence[tuple[tuple[str, ...], Condition]]) -> tuple[Condition, ...]:
    """Conditions on the same sequence hold of the same item (PS3.4 C.2.2.2.6)."""
    deeper: dict[str, list[tuple[tuple[str, ...], Condition]]] = {}
    for path, condition in found:
        if path:
            deeper.setdefault(path[0], []).append((path[1:], condition))
    nested = (NestedMatch(tag, _joined(rest)) for tag, rest in deeper.items())
    return (*(condition for path, condition in found if not path), *nested)


def _condition(rule: AttributeRule, value: str, *, fuzzy: bool) -> Condition:
    if value == '""':
        return EmptyMatch(rule.tag)
    if rule.vr == "SQ":
        raise BadRequest(f"{rule.name}: a sequence is matched by what is in its items")
    if rule.vr in ("DA", "TM", "DT"):
        return _moment(rule, value)
    values = _values_of(rule, value)
    if rule.vr == "UI" and not all(_UID.fullmatch(one) for one in values):
        raise BadRequest(f"{rule.name}: not a UID")
    return ValueMatch(rule.tag, kind_of(rule.vr), values, fuzzy=fuzzy)


def _values_of(rule: AttributeRule, value: str) -> tuple[str, ...]:
    separator = r"[,\\]" if rule.vr in ("UI", "CS") else r"\\"
    values = tuple(piece.strip() for piece in re.split(separator, value) if piece.strip())
    if not values or len(values) > _VALUES_AT_MOST:
        raise BadRequest(f"{rule.name}: no value, or more than {_VALUES_AT_MOST}")
    return values


def _moment(rule: AttributeRule, value: str) -> Condition:
    """A day, time or moment to any precision, or a range with one end or both; a short one stands for all of it."""
    zone = re.search(r"-[0-9]{4}$", value) if rule.vr == "DT" and value.count("-") == 1 else None
    # One hyphen before four digits at the end is a zone only where a moment down to the minute stands before it.
    if zone is not None and len(value) - 5 >= 12:
        first, dash, last = value, "", value
    else:
        first, dash, last = value.partition("-")
        last = last if dash else first
    if not first and not last:
        raise BadRequest(f"{rule.name}: a range without an end")
    for end in filter(None, (first, last)):
        if not (_MOMENT.fullmatch(end) if rule.vr == "DT" else re.fullmatch(r"[0-9]{2,8}(\.[0-9]{1,6})?", end)):
            raise BadRequest(f"{rule.name}: not a moment, or a range of two")
    full = {"DA": "99991231", "TM": "235959.999999"}.get(rule.vr, _LAST_MOMENT)
    last = last + full[len(last) :] if last else ""
    return ValueMatch(rule.tag, MatchKind.DATE, (first, last), is_range=True)

"""What each attribute has to be, where it has to be there, and how many items a sequence has, compiled for one IOD."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final, TypeVar

from pydicom.dataset import Dataset

from service.objects.checking.condition import Condition, parse_condition
from service.objects.iod_tables import (
    PATIENT_AND_STUDY_MODULES,
    TYPES,
    Shape,
    modules_of,
    shape,
    shape_of_module,
)
from service.objects.rule_catalogue import shipped_directory

_Row = TypeVar("_Row")

_ANYWHERE: Final = "*"
_FUNCTIONAL_GROUPS: Final = frozenset({"SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"})


@dataclass(frozen=True, slots=True)
class Demand:
    """When an attribute of Type 1C or 2C is asked for or forbidden; ``rule`` says so, where it is a rule of its own."""

    required: Condition | None
    forbidden: Condition | None
    rule: str


@dataclass(frozen=True, slots=True)
class ValueRule:
    """What the values of an attribute may be; ``position`` 0 is every one of them."""

    position: int
    kind: str
    values: tuple[str, ...]
    when: Condition | None
    rule: str


@dataclass(frozen=True, slots=True)
class ItemTable:
    """What holds for the items of one place.

    Parameters
    ----------
    always : attributes of Type 1 and 2
    perhaps : attributes of Type 1C and 2C whose conditions are known
    below : the tables of the sequences in it, by keyword
    """

    always: tuple[tuple[str, str], ...]
    perhaps: tuple[tuple[str, str, Demand], ...]
    below: Mapping[str, ItemTable]


NOTHING_ASKED: Final = ItemTable((), (), MappingProxyType({}))


class AttributeTables:
    """The tables of one IOD; which modules an object has decides what is asked of its top."""

    def __init__(self, iod: str | None) -> None:
        self._iod = iod
        self._modules = () if iod is None else modules_of(iod)
        self._demands = _for_iod(_demands(), iod)
        self._values = _for_iod(_value_rules(), iod)
        self._single = {(parent, name) for parent, name, iods in _single_items() if not iods or iod in iods}
        held = Counter(keyword for module, _ in self._modules for keyword in shape_of_module(module).types)
        self._own = {
            module: frozenset(keyword for keyword in shape_of_module(module).types if held[keyword] == 1)
            for module, usage in self._modules
            if usage != "M" and module not in PATIENT_AND_STUDY_MODULES  # what is copied is as its source has it
        }
        self._tops: dict[tuple[str, ...], ItemTable] = {}
        self._belows: dict[tuple[str, tuple[int, ...]], ItemTable] = {}

    def table_of(self, data_set: Dataset) -> ItemTable:
        """What is asked of the top of an object: by its mandatory modules, and by those of which it has something."""
        present = tuple(
            module
            for module, usage in self._modules
            if usage == "M" or any(keyword in data_set for keyword in self._own.get(module, ()))
        )
        if present not in self._tops:
            self._tops[present] = self._compiled([shape_of_module(module) for module in present], "")
        return self._tops[present]

    def values_of(self, sequence: str, keyword: str) -> Iterator[ValueRule]:
        """What the values of an attribute may be in the items of a sequence."""
        for place, rule in self._values.get(keyword, ()):
            if place in (_ANYWHERE, sequence):
                yield rule

    def is_single(self, parent: str, sequence: str) -> bool:
        """Whether a sequence holds one item at most."""
        return (_ANYWHERE, sequence) in self._single or (parent, sequence) in self._single

    def _compiled(self, shapes: Iterable[Shape], sequence: str) -> ItemTable:
        types: dict[str, str] = {}
        below: dict[str, set[int]] = defaultdict(set)
        for one in shapes:
            for keyword, kind in one.types.items():
                types[keyword] = min(types.get(keyword, "3"), kind, key=TYPES.index)
            for keyword, number in one.items.items():
                below[keyword].add(number)
        if sequence in _FUNCTIONAL_GROUPS:
            types = {}  # a group may stand in either of two places: rules of their own ask for them
        perhaps = [
            (keyword, kind, demand)
            for keyword, kind in types.items()
            if kind in ("1C", "2C")
            for place, demand in self._demands.get(keyword, ())
            if place in (_ANYWHERE, sequence)
        ]
        return ItemTable(
            tuple((keyword, kind) for keyword, kind in types.items() if kind in ("1", "2")),
            tuple(perhaps),
            MappingProxyType(
                {keyword: self._below(tuple(sorted(numbers)), keyword) for keyword, numbers in below.items()}
            ),
        )

    def _below(self, numbers: tuple[int, ...], sequence: str) -> ItemTable:
        key = (sequence, numbers)
        if key not in self._belows:
            self._belows[key] = self._compiled([shape(number) for number in numbers], sequence)
        return self._belows[key]


@cache
def tables_of(iod: str | None) -> AttributeTables:
    """The tables of an IOD; of None what holds everywhere."""
    return AttributeTables(iod)


def _for_iod(
    rows: Iterable[tuple[str, str, frozenset[str], _Row]], iod: str | None
) -> dict[str, list[tuple[str, _Row]]]:
    """Rows that hold in an IOD, by keyword, each with the sequence that it holds in."""
    chosen: dict[str, list[tuple[str, _Row]]] = defaultdict(list)
    for sequence, keyword, iods, row in rows:
        if not iods or iod in iods:
            chosen[keyword].append((sequence, row))
    return chosen


def rows_of(name: str) -> list[dict[str, str]]:
    """The rows of a table of config/validation."""
    text = (shipped_directory() / name).read_text(encoding="utf-8")
    return list(csv.DictReader(line for line in text.splitlines() if line and not line.startswith("#")))


@cache
def _demands() -> tuple[tuple[str, str, frozenset[str], Demand], ...]:
    return tuple(
        (
            row["sequence"],
            row["attribute"],
            frozenset(row["iods"].split()),
            Demand(_condition(row["required"]), _condition(row["forbidden"]), row["rule"]),
        )
        for row in rows_of("conditions.csv")
    )


@cache
def _value_rules() -> tuple[tuple[str, str, frozenset[str], ValueRule], ...]:
    return tuple(
        (
            row["sequence"],
            row["attribute"],
            frozenset(row["iods"].split()),
            ValueRule(
                int(row["position"] or 0),
                row["kind"],
                tuple(row["values"].split("|")),
                _condition(row["when"]),
                row["rule"],
            ),
        )
        for row in rows_of("values.csv")
    )


@cache
def _single_items() -> tuple[tuple[str, str, frozenset[str]], ...]:
    return tuple(
        (row["parent"], row["sequence"], frozenset(row["iods"].split())) for row in rows_of("single_items.csv")
    )


def _condition(text: str) -> Condition | None:
    return parse_condition(text) if text else None

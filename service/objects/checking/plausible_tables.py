"""Which numbers of a report can be held against what they were taken from (config/validation/plausible.toml)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from pydicom.dataset import Dataset

from service.core.codes import Code
from service.objects.content_tree import children, first_code, name_of
from service.objects.rule_catalogue import shipped_directory


@dataclass(frozen=True, slots=True)
class Range:
    """Least and greatest value of numbers of these concepts in a unit; ``*`` is any."""

    concepts: frozenset[str]
    unit: str
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Stated:
    """A number as it stands in a report; ``size`` is in mm, mm² or mm³, None where its unit is none of those."""

    item: Dataset
    name: Code
    value: float
    unit: str
    size: float | None

    @property
    def concept(self) -> str:
        """Scheme and value."""
        return f"{self.name.scheme} {self.name.value}"


@dataclass(frozen=True, slots=True)
class PlausibleTables:
    """Concepts by what they measure, units, and ranges."""

    concepts: dict[str, frozenset[str]]
    units: dict[str, float]
    ranges: tuple[Range, ...]


@cache
def plausible_tables() -> PlausibleTables:
    """The tables that come with the program."""
    data = tomllib.loads((shipped_directory() / "plausible.toml").read_text(encoding="utf-8"))
    return PlausibleTables(
        {name: frozenset(codes) for name, codes in data["concepts"].items()},
        data["units"],
        tuple(
            Range(
                frozenset(row["concepts"]),
                row["unit"],
                float(row["least"]),
                float(row.get("most", "inf")),
            )
            for row in data["ranges"]
        ),
    )


def numbers_below(item: Dataset) -> Iterator[Stated]:
    """The numbers right below an item that have a value and a unit."""
    units = plausible_tables().units
    for below in children(item):
        name = name_of(below)
        if below.get("ValueType") != "NUM" or name is None:
            continue
        for measured in below.get("MeasuredValueSequence") or ():
            unit, value = first_code(measured, "MeasurementUnitsCodeSequence"), measured.get("NumericValue")
            if unit is None or value is None:
                continue
            try:
                number = float(value)
            except (TypeError, ValueError):
                continue
            factor = units.get(unit.value) if unit.scheme == "UCUM" else None
            yield Stated(below, name, number, unit.value, None if factor is None else number * factor)

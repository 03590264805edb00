"""The rules that objects are held against: what each says, on which clause it rests, and what to do about a breach."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

Breach = tuple[str, str]
"""A rule's name, and in words what breaks it; no patient value, UIDs only where they are replaced ones."""


class Severity(StrEnum):
    """What a breach means: an error refuses an object of ours, a warning is said and lets it pass."""

    ERROR = "ERROR"
    WARNING = "WARNING"


class OnArrival(StrEnum):
    """What becomes of somebody else's object that breaks a rule."""

    LIST = "list"
    """It is taken, and the breach is listed with it."""
    REFUSE = "refuse"
    """It would mislead, or break what reads it."""
    REFUSE_IF_MADE_HERE = "refuse-if-made-here"
    """It is refused where it was made on a study as it is served here, whose images its maker therefore had."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A rule that an object breaks; ``remedy`` says in one sentence what to do."""

    rule: str
    severity: Severity
    message: str
    clause: str = ""
    remedy: str = ""
    on_arrival: OnArrival = OnArrival.LIST

    def __str__(self) -> str:
        advice = f" ({self.remedy})" if self.remedy else ""
        return f"{self.severity} {self.rule} ({self.clause}): {self.message}{advice}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of config/validation/rules.toml."""

    severity: Severity
    clause: str
    says: str
    remedy: str
    on_arrival: OnArrival


@dataclass(frozen=True, slots=True)
class ValueType:
    """What a content item of a value type has (PS3.3 C.17.3.2.1)."""

    attributes: tuple[str, ...]
    present: tuple[str, ...]
    named: bool


@dataclass(frozen=True, slots=True)
class Relationship:
    """Between which value types a relationship may stand; ``*`` is any (PS3.3 A.35)."""

    sources: frozenset[str]
    targets: frozenset[str]


@dataclass(frozen=True, slots=True)
class Shapes:
    """Coordinates of one kind: least and most points of each Graphic Type, and those that end where they begin."""

    points: MappingProxyType[str, tuple[int, int]]
    closed: frozenset[str]


@dataclass(frozen=True, slots=True)
class RuleCatalogue:
    """The rules, and what content items are made of."""

    rules: MappingProxyType[str, Rule]
    value_types: MappingProxyType[str, ValueType]
    relationships: MappingProxyType[str, Relationship]
    shapes: MappingProxyType[str, Shapes]
    classes: MappingProxyType[str, frozenset[str]]
    """By SOP class, the value types that its content tree may hold."""

    def problem(self, breach: Breach) -> Problem:
        """The breach with what its rule says of it."""
        name, message = breach
        rule = self.rules[name]
        return Problem(name, rule.severity, message, rule.clause, rule.remedy, rule.on_arrival)

    @classmethod
    def load(cls, directory: Path) -> RuleCatalogue:
        """Read the catalogue from a directory like config/validation."""
        rules = tomllib.loads((directory / "rules.toml").read_text(encoding="utf-8"))
        items = tomllib.loads((directory / "content_items.toml").read_text(encoding="utf-8"))
        return cls(
            rules=MappingProxyType({name: _rule(row) for name, row in rules.items()}),
            value_types=MappingProxyType(
                {
                    name: ValueType(tuple(row["attributes"]), tuple(row.get("present", ())), row["named"])
                    for name, row in items["value_types"].items()
                }
            ),
            relationships=MappingProxyType(
                {
                    name: Relationship(frozenset(row["from"]), frozenset(row["to"]))
                    for name, row in items["relationships"].items()
                }
            ),
            shapes=MappingProxyType({name: _shapes(row) for name, row in items["graphic_types"].items()}),
            classes=MappingProxyType({uid: frozenset(types) for uid, types in items["sop_classes"].items()}),
        )


def _rule(row: dict[str, Any]) -> Rule:
    return Rule(
        Severity(row["severity"].upper()),
        row["clause"],
        row["says"],
        row["remedy"],
        OnArrival(row.get("on_arrival", "list")),
    )


def _shapes(row: dict[str, Any]) -> Shapes:
    points = {name: (limits[0], limits[1]) for name, limits in row["points"].items()}
    return Shapes(MappingProxyType(points), frozenset(row["closed"]))


_BESIDE_SOURCES: Final = Path(__file__).resolve().parents[2] / "config" / "validation"
_IN_WHEEL: Final = Path(__file__).resolve().parents[1] / "_config" / "validation"


def shipped_directory() -> Path:
    """The tables that come with the program, beside the source tree or inside the wheel."""
    return _BESIDE_SOURCES if _BESIDE_SOURCES.is_dir() else _IN_WHEEL


@cache
def shipped_catalogue() -> RuleCatalogue:
    """The catalogue that comes with the program; read once."""
    return RuleCatalogue.load(shipped_directory())

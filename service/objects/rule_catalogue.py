"""The rules that objects are held against: what each says, on which clause it rests, and what a breach of it means."""

from __future__ import annotations

import csv
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

Breach = tuple[str, str]
"""A rule's name, and in words what breaks it; no patient value, UIDs only where they are replaced ones."""


class Severity(StrEnum):
    """What a breach means: an error refuses an object of ours, a warning is said and lets it pass."""

    ERROR = "ERROR"
    WARNING = "WARNING"


@dataclass(frozen=True, slots=True)
class Problem:
    """A rule that an object breaks."""

    rule: str
    severity: Severity
    message: str
    clause: str = ""

    def __str__(self) -> str:
        return f"{self.severity} {self.rule} ({self.clause}): {self.message}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of config/validation/rules.toml."""

    severity: Severity
    clause: str
    says: str


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
class TemplateRow:
    """Where a concept stands in a template of PS3.16, as what, and how often; ``most`` 0 is any number of times."""

    template: str
    code: str
    scheme: str
    meaning: str
    relationships: frozenset[str]
    value_types: frozenset[str]
    most: int


@dataclass(frozen=True, slots=True)
class RuleCatalogue:
    """All of config/validation."""

    rules: MappingProxyType[str, Rule]
    value_types: MappingProxyType[str, ValueType]
    relationships: MappingProxyType[str, Relationship]
    graphic_types: MappingProxyType[str, tuple[int, int]]
    template_rows: tuple[TemplateRow, ...]

    def problem(self, breach: Breach) -> Problem:
        """The breach with what its rule says of it."""
        name, message = breach
        rule = self.rules[name]
        return Problem(name, rule.severity, message, rule.clause)

    @classmethod
    def load(cls, directory: Path) -> RuleCatalogue:
        """Read the catalogue from a directory like config/validation."""
        rules = tomllib.loads((directory / "rules.toml").read_text(encoding="utf-8"))
        items = tomllib.loads((directory / "content_items.toml").read_text(encoding="utf-8"))
        return cls(
            rules=MappingProxyType(
                {
                    name: Rule(Severity(row["severity"].upper()), row["clause"], row["says"])
                    for name, row in rules.items()
                }
            ),
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
            graphic_types=MappingProxyType({name: (low, high) for name, (low, high) in items["graphic_types"].items()}),
            template_rows=_template_rows(directory / "template_rows.csv"),
        )


def _template_rows(path: Path) -> tuple[TemplateRow, ...]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return tuple(
        TemplateRow(
            template=row["template"],
            code=row["code"],
            scheme=row["scheme"],
            meaning=row["meaning"],
            relationships=frozenset(row["relationships"].split("|")),
            value_types=frozenset(row["value_types"].split("|")),
            most=int(row["most"] or 0),
        )
        for row in csv.DictReader(lines)
    )


_BESIDE_SOURCES: Final = Path(__file__).resolve().parents[2] / "config" / "validation"
_IN_WHEEL: Final = Path(__file__).resolve().parents[1] / "_config" / "validation"


@cache
def shipped_catalogue() -> RuleCatalogue:
    """The catalogue that comes with the program, beside the source tree or inside the wheel; read once."""
    return RuleCatalogue.load(_BESIDE_SOURCES if _BESIDE_SOURCES.is_dir() else _IN_WHEEL)

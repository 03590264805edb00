"""Templates of PS3.16 as trees of rows, put together from config/validation when a document asks for one."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from service.core.codes import Code
from service.objects.checking.attribute_tables import rows_of
from service.objects.rule_catalogue import shipped_directory

Concept = tuple[str, str]
"""Coding scheme and value."""


@dataclass(frozen=True, slots=True)
class ValueSet:
    """A context group that codes are taken from.

    Parameters
    ----------
    is_closed : from no other
    is_baseline : a suggestion
    """

    group: int
    is_closed: bool
    is_baseline: bool


@dataclass(frozen=True, slots=True)
class TemplateRow:
    """One row with what stands below it.

    Parameters
    ----------
    template, row : where it stands in PS3.16
    inclusion : the inclusion that brought it here; a row that has to be there has to where another of its inclusion is
    concept : its concept name; None where ``group`` names it, or anything does
    most : how often it may stand there, 0 any number of times
    container_of : the template that begins with this row, empty where none does
    """

    template: str
    row: str
    inclusion: tuple[str, ...]
    relationship: str
    value_type: str
    concept: Concept | None
    meaning: str
    group: int | None
    most: int
    is_mandatory: bool
    values: ValueSet | None
    units: str
    container_of: str
    below: tuple[TemplateRow, ...]

    @property
    def inclusion_below(self) -> tuple[str, ...]:
        """The inclusion of the rows of its own template that stand below it."""
        return (*self.inclusion, self.container_of) if self.container_of else self.inclusion


@dataclass(frozen=True, slots=True)
class Choice:
    """Rows of one template of which so many are there."""

    template: str
    rows: frozenset[str]
    once: frozenset[str]
    title: Concept | None
    least: int
    most: int
    rule: str
    says: str


@dataclass(frozen=True, slots=True)
class TemplateBook:
    """Everything about templates that is not in their rows."""

    ordered: frozenset[str]
    roots: dict[str, frozenset[Concept]]
    aliases: dict[Concept, Concept]
    choices: tuple[Choice, ...]
    numbers: tuple[int, int]

    def concept_of(self, code: Code) -> Concept:
        """A concept as it is coded now."""
        concept = code.scheme, code.value
        return self.aliases.get(concept, concept)


@cache
def template_book() -> TemplateBook:
    """The book that comes with the program."""
    data = _book_data()
    roots = {
        name: group_concepts(root["group"]) | {_concept(code) for code in root.get("codes", ())}
        for name, root in data["roots"].items()
    }
    aliases = {_concept(before): _concept(now) for before, now in data["aliases"].items()}
    numbers = data["numbers"]["least"], data["numbers"]["most"]
    return TemplateBook(frozenset(data["ordered"]), roots, aliases, tuple(map(_choice, data["choices"])), numbers)


@cache
def template_rows(template: str) -> tuple[TemplateRow, ...]:
    """What may stand below the root of a template."""
    rows = _raw_rows(template)
    return _built(template, rows[1:], 1, _Inclusion((template,)))


@cache
def group_concepts(number: int) -> frozenset[Concept]:
    """The codes of a context group; empty where it is not at hand."""
    schemes = _groups().get(str(number), {})
    return frozenset((scheme, value) for scheme, values in schemes.items() for value in values.split())


@dataclass(frozen=True, slots=True)
class _Inclusion:
    """What an INCLUDE row hands on to the rows that it stands for."""

    path: tuple[str, ...]
    relationship: str = ""
    repeats: bool = False


_RawRow = dict[str, str]
_DEEPEST: Final = 12
"""Inclusions within inclusions; templates that include themselves end here."""


def _built(template: str, rows: Sequence[_RawRow], level: int, inclusion: _Inclusion) -> tuple[TemplateRow, ...]:
    """The rows of one level, each with those below it."""
    built: list[TemplateRow] = []
    for place, row in enumerate(rows):
        if int(row["level"]) != level:
            continue
        if row["by_reference"]:
            continue  # such an item has no concept name of its own to know it by
        if row["include"]:
            built += _included(row, inclusion)
        else:
            built.append(_row(template, row, _below(template, rows[place + 1 :], level, inclusion), inclusion))
    return tuple(built)


def _below(template: str, following: Sequence[_RawRow], level: int, inclusion: _Inclusion) -> tuple[TemplateRow, ...]:
    own = []
    for row in following:
        if int(row["level"]) <= level:
            break
        own.append(row)
    return _built(template, own, level + 1, replace(inclusion, relationship="", repeats=False))


def _included(row: _RawRow, outer: _Inclusion) -> Iterator[TemplateRow]:
    template = row["include"]
    rows = _raw_rows(template)
    if not rows or len(outer.path) >= _DEEPEST:
        return
    inclusion = _Inclusion(
        (*outer.path, template), row["relationship"] or outer.relationship, repeats=not row["most"] or outer.repeats
    )
    for built in _built(template, rows, 0, inclusion):
        if rows[0]["value_type"] != "CONTAINER" or built.row != rows[0]["row"]:
            yield built
            continue
        # A template that is a container of its own stands in the place of the row that includes it.
        yield replace(
            built,
            template=outer.path[-1],
            row=row["row"],
            inclusion=outer.path,
            is_mandatory=row["required"] == "M",
            container_of=template,
        )


def _row(template: str, row: _RawRow, below: tuple[TemplateRow, ...], inclusion: _Inclusion) -> TemplateRow:
    group = row["group"].partition(" ")[0]
    return TemplateRow(
        template=template,
        row=row["row"],
        inclusion=inclusion.path,
        relationship=row["relationship"] or inclusion.relationship,
        value_type=row["value_type"],
        concept=(row["scheme"], row["code"]) if row["code"] else None,
        meaning=row["meaning"],
        group=int(group) if group else None,
        most=0 if inclusion.repeats else int(row["most"] or 0),
        is_mandatory=row["required"] == "M",
        values=_value_set(row["values"]),
        units=row["units"],
        container_of="",
        below=below,
    )


def _value_set(text: str) -> ValueSet | None:
    number, _, kind = text.partition(" ")
    if not number:
        return None
    return ValueSet(int(number), int(number) in _book_data()["closed_groups"], kind == "baseline")


@cache
def _raw_rows(template: str) -> tuple[_RawRow, ...]:
    return tuple(row for row in _all_rows() if row["template"] == template)


@cache
def _all_rows() -> tuple[_RawRow, ...]:
    return tuple(rows_of("templates.csv"))


@cache
def _groups() -> dict[str, dict[str, str]]:
    groups: dict[str, dict[str, str]] = json.loads(
        (shipped_directory() / "context_groups.json").read_text(encoding="utf-8")
    )["groups"]
    return groups


@cache
def _book_data() -> dict[str, Any]:
    return tomllib.loads((shipped_directory() / "templates.toml").read_text(encoding="utf-8"))


def _choice(row: dict[str, Any]) -> Choice:
    return Choice(
        row["template"],
        frozenset(row["rows"]),
        frozenset(row.get("once", ())),
        _concept(row["title"]) if "title" in row else None,
        row.get("least", 0),
        row.get("most", 0),
        row["rule"],
        row["says"],
    )


def _concept(text: str) -> Concept:
    scheme, _, value = text.partition(" ")
    return scheme, value

"""Which attributes an IOD asks for: PS3.3's module tables, as config/validation/modules.json holds them.

A shape says what the items of one place hold: keywords by Type, and the shapes of the sequences below. Macros stand in
many places and are kept once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from service.objects.rule_catalogue import shipped_directory

PATIENT_AND_STUDY_MODULES: Final = (
    "patient",
    "clinical-trial-subject",
    "general-study",
    "patient-study",
    "clinical-trial-study",
)
"""Modules that every composite instance shares with its patient and study (PS3.3 A.1.2)."""
TYPES: Final = ("1", "1C", "2", "2C", "3")
"""Types of attributes, the strictest first (PS3.5 7.4)."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the items of one place hold: the Type of each attribute, and the number of each sequence's own shape."""

    types: dict[str, str]
    items: dict[str, int]


@cache
def _tables() -> dict[str, Any]:
    tables: dict[str, Any] = json.loads((shipped_directory() / "modules.json").read_text(encoding="utf-8"))
    return tables


def iod_of(sop_class_uid: str) -> str | None:
    """The IOD's name ("segmentation") behind a SOP class, None where the tables have none."""
    name: str | None = _tables()["sop_classes"].get(sop_class_uid)
    return name


@cache
def modules_of(iod: str) -> tuple[tuple[str, str], ...]:
    """The modules of an IOD, each with its usage M, C or U (PS3.3 Annex A)."""
    pairs = (entry.rpartition(":") for entry in _tables()["iods"][iod].split())
    return tuple((name, usage) for name, _, usage in pairs)


def shape_of_module(module: str) -> Shape:
    """What a module asks for at the top of an object (PS3.3 Annex C)."""
    return shape(_tables()["modules"].get(module, 0))


@cache
def shape(number: int) -> Shape:
    """A shape by its number."""
    kept = _tables()["shapes"][number]
    types = {keyword: kind for kind in TYPES for keyword in kept.get(kind, "").split()}
    return Shape(types, kept.get("items", {}))


@cache
def code_sequences() -> frozenset[str]:
    """Keywords of the sequences whose items are codes (PS3.3 8.8)."""
    return frozenset(_tables()["code_sequences"].split())


def root_keywords(modules: Iterable[str]) -> frozenset[str]:
    """Keywords of the attributes that the modules hold at the root of a data set."""
    return frozenset(keyword for module in modules for keyword in shape_of_module(module).types)

"""Which attributes an IOD asks for: PS3.3's module tables, as the highdicom package carries them.

The tables are read as data from where the package lies; highdicom itself is not imported, so the web process may
validate without it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from service.errors import ObjectInvalid

PATIENT_AND_STUDY_MODULES: Final = (
    "patient",
    "clinical-trial-subject",
    "general-study",
    "patient-study",
    "clinical-trial-study",
)
"""Modules that every composite instance shares with its patient and study (PS3.3 A.1.2)."""


@dataclass(frozen=True, slots=True)
class AttributeRow:
    """One row of a module table: an attribute below ``path`` (sequence keywords from the root), and its type."""

    path: tuple[str, ...]
    keyword: str
    type: str


def _tables() -> Path:
    package = find_spec("highdicom")
    if package is None or package.origin is None:
        raise ObjectInvalid("the module tables of PS3.3 are not installed (highdicom)")
    return Path(package.origin).parent / "_standard"


def _load(name: str) -> Any:
    return json.loads((_tables() / name).read_text(encoding="utf-8"))


@cache
def iod_of(sop_class_uid: str) -> str | None:
    """The IOD's name ("segmentation") behind a SOP class, None where the tables have none."""
    name: str | None = _load("sop_class_iod_map.json").get(sop_class_uid)
    return name


@cache
def mandatory_modules(iod: str) -> tuple[str, ...]:
    """Modules with usage M of an IOD (PS3.3 Annex A)."""
    return tuple(row["key"] for row in _load("iod_module_map.json")[iod] if row["usage"] == "M")


@cache
def module_rows(modules: tuple[str, ...]) -> dict[str, tuple[AttributeRow, ...]]:
    """Every row of the named modules (PS3.3 Annex C), read in one go since the table is large."""
    table = _load("module_attribute_map.json")
    return {
        module: tuple(AttributeRow(tuple(row["path"]), row["keyword"], row["type"]) for row in table.get(module, ()))
        for module in modules
    }


def root_keywords(modules: Iterable[str]) -> frozenset[str]:
    """Keywords of the attributes that the modules hold at the root of a data set."""
    rows = module_rows(tuple(modules))
    return frozenset(row.keyword for module in rows.values() for row in module if not row.path)

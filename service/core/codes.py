"""Coded concepts (PS3.3 8.8): the triplet that names a finding, a site, a measurement or a unit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """Code Value, Coding Scheme Designator and Code Meaning, as in ``(39607008, SCT, Lung)``."""

    value: str
    scheme: str
    meaning: str


def ucum(unit: str, meaning: str | None = None) -> Code:
    """A UCUM unit (PS3.16 CID 82); the meaning is the unit itself unless given."""
    return Code(unit, "UCUM", meaning or unit)

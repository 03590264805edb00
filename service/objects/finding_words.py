"""A finding in one line of words, for objects that show text: ``Nodule 1  8.4 x 5.1 mm, Volume 212 mm3``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from service.core.annotations import Answer, Author, PersonObserver
from service.core.codes import Code
from service.core.findings import Finding, Measurement
from service.objects import concepts

_UNITS: Final = {"[hnsf'U]": "HU", "1": ""}
_REMARK: Final = re.compile(r"\{[^}]*\}")
_SPOKEN_FOR: Final = (concepts.LENGTH, concepts.LONG_AXIS, concepts.SHORT_AXIS)
"""Numbers that say by their unit what they are."""


def line_of(finding: Finding, measurements: Sequence[Measurement]) -> str:
    """The label, and what was measured."""
    values = ", ".join(measured_words(measurements))
    return f"{finding.label}  {values}" if values else finding.label


def measured_words(measurements: Sequence[Measurement]) -> list[str]:
    """Each number with its unit and, where that does not say it, its name; the two axes together."""
    axes = [one for axis in (concepts.LONG_AXIS, concepts.SHORT_AXIS) for one in measurements if _is(one, axis)]
    words = []
    if len(axes) == len({one.name.value for one in axes}) == 2 and axes[0].unit.value == axes[1].unit.value:
        words.append(f"{_number(axes[0].value)} x {value_words(axes[1])}")
        measurements = [one for one in measurements if one not in axes]
    for one in measurements:
        named = any(_is(one, name) for name in _SPOKEN_FOR)
        words.append(value_words(one) if named else f"{one.name.meaning} {value_words(one)}")
    return words


def value_words(measurement: Measurement) -> str:
    """A number as people read it, with its unit."""
    unit = _UNITS.get(measurement.unit.value, _REMARK.sub("", measurement.unit.value))
    return f"{_number(measurement.value)} {unit}".rstrip()


def answer_words(answer: Answer) -> str:
    """A question and its answer."""
    value = answer.value.meaning if isinstance(answer.value, Code) else answer.value
    return f"{answer.name.meaning}: {value}"


def author_words(author: Author) -> str:
    """Who marked: a person by name, a program by name and version."""
    if isinstance(author, PersonObserver):
        family, _, given = author.name.partition("^")
        return " ".join(part for part in (*given.split("^"), family) if part)
    return f"{author.name} {author.version}"


def _is(measurement: Measurement, name: Code) -> bool:
    return concepts.same(measurement.name, name)


def _number(value: float) -> str:
    """One decimal where that says something, else three figures."""
    if value == 0 or 1 <= abs(value) < 1000:
        return f"{value:.1f}".removesuffix(".0") if abs(value) >= 100 else f"{value:.1f}"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"

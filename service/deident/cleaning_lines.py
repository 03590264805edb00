"""Decisions about single elements as the lines of a report."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from service.core.cleaning_report import CleaningLine
from service.deident.rules import Decision

MOST_LINES = 2000
"""More places than any real object has; the rest is counted together, so that a report stays small."""
REST = "further elements"
_ITEM = re.compile(r"\[\d+\]")


def cleaning_lines(decisions: Iterable[Decision]) -> tuple[CleaningLine, ...]:
    """Count decisions by place, action and rule."""
    found: Counter[tuple[str, str, str, str]] = Counter()
    for one in decisions:
        key = (_ITEM.sub("", one.path), one.keyword, one.action, one.rule)
        found[key if key in found or len(found) < MOST_LINES else (REST, "", one.action, "")] += 1
    return tuple(CleaningLine(*key, count) for key, count in sorted(found.items()))

"""The values before and after a decision, for whoever may see them: ``annogate deid --what-if``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from service.deident.rules import Decision
from service.deident.sequence_items import as_sequence, items_of

LONGEST = 80
_STEP = re.compile(r"\(([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)(?:\[(\d+)\])?")
_UNREADABLE = "cannot be read"
_BINARY = frozenset({"OB", "OW", "OD", "OF", "OL", "OV", "UN"})


def with_values(decisions: Iterable[Decision], before: Dataset | None, after: Dataset | None) -> tuple[Decision, ...]:
    """Return decisions with the values that they are about; those of a data set that is not given stay out.

    Parameters
    ----------
    before, after : the data set that was cleaned, and what it became
    """
    listed = tuple(decisions)
    dropped = {tuple(_steps(one.path)) for one in listed if one.path.endswith("]")}
    return tuple(
        replace(
            one,
            before=None if before is None else _value_at(before, tuple(_steps(one.path))),
            after=None if after is None else _value_at(after, _place_after(one, dropped)),
        )
        for one in listed
    )


Step = tuple[int, int | None]
"""A tag, and the number of an item below it."""


def _steps(path: str) -> Iterator[Step]:
    for group, element, item in _STEP.findall(path):
        yield int(group + element, 16), int(item) if item else None


def _place_after(decision: Decision, dropped: set[tuple[Step, ...]]) -> tuple[Step, ...]:
    """Return where a decision's element stands now: items behind one that went whole have moved up."""
    steps: list[Step] = []
    before: list[Step] = []
    for tag, item in _steps(decision.path):
        gone = 0 if item is None else sum((*before, (tag, number)) in dropped for number in range(item))
        steps.append((tag, None if item is None else item - gone))
        before.append((tag, item))
    return () if tuple(before) in dropped else tuple(steps)


def _value_at(data_set: Dataset, steps: tuple[Step, ...]) -> str:
    """Return the value at a place in words; the empty text where there is nothing."""
    if not steps:
        return ""
    for tag, item in steps[:-1]:
        items = items_of(data_set, tag)
        if item is None or item >= len(items):
            return ""
        data_set = items[item]
    tag, item = steps[-1]
    if item is not None:
        return f"item of {len(items_of(data_set, tag))}"
    return _shown(data_set, tag)


def _shown(data_set: Dataset, tag: int) -> str:
    if tag not in data_set:
        return ""
    raw = data_set.get_item(tag, keep_deferred=True)
    if isinstance(raw.value, bytes) and (raw.VR in _BINARY or len(raw.value) > 64 * LONGEST):
        return f"{len(raw.value)} bytes"
    if (sequence := as_sequence(data_set, tag)) is not None:
        return f"{len(sequence.value or ())} items"
    try:
        value = data_set[Tag(tag)].value
    except Exception:  # noqa: BLE001 - pydicom raises whatever the bytes lead it to
        return _UNREADABLE
    text = "" if value is None else f"{len(value)} bytes" if isinstance(value, bytes) else str(value)
    printable = "".join(char if char.isprintable() else " " for char in text)
    return printable if len(printable) <= LONGEST else f"{printable[: LONGEST - 1]}…"

"""Rules of functional groups: which each frame has, by itself or shared with all (PS3.3 C.7.6.16)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from service.objects.checking.attribute_tables import rows_of
from service.objects.checking.condition import Condition, parse_condition
from service.objects.checking.frame_table import SHARED
from service.objects.checking.iod_rules import PER_FRAME
from service.objects.checking.object_case import ObjectCase
from service.objects.rule_catalogue import Breach


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A functional group of an IOD, or several of which one will do."""

    groups: frozenset[str]
    required: Condition
    may_be_shared: bool
    rule: str


def functional_group_breaches(case: ObjectCase) -> Iterator[Breach]:
    """Groups that frames miss, and those that stand where they may not; then what is wrong inside them."""
    rows = _rows(case.iod)
    if PER_FRAME not in case.data_set and SHARED not in case.data_set:
        return
    frames, shared = case.frames.frames, case.frames.shared.groups
    kinds = Counter(frame.groups for frame in frames)
    for row in rows:
        if not row.may_be_shared and row.groups & shared:
            yield "GROUP-PLACE", f"{_names(row)} is shared by all frames, which it may not be"
        elif row.required(case.data_set, case.data_set) and not row.groups & shared and not case.is_tiled_full:
            lacking = sum(count for groups, count in kinds.items() if not row.groups & groups)
            if lacking:
                yield row.rule or "GROUP-REQUIRED", f"{_names(row)} is given neither for {lacking} frames nor for all"
    for group in sorted(shared & frozenset().union(*kinds)):
        yield "GROUP-PLACE", f"{group} is given for all frames and again for single ones"
    yield from case.frames.breaches


def _names(row: GroupRow) -> str:
    return " or ".join(sorted(row.groups))


@cache
def _rows(iod: str) -> tuple[GroupRow, ...]:
    return tuple(
        GroupRow(
            frozenset(row["groups"].split("|")),
            parse_condition(row["required"]),
            row["place"] != "per-frame",
            row["rule"],
        )
        for row in rows_of("functional_groups.csv")
        if row["iod"] == iod
    )

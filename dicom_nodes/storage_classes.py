"""The Storage SOP Classes that a node takes (PS3.4 Annex B and Annex GG), as data beside this module."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

VERIFICATION: Final = "1.2.840.10008.1.1"

# Components with a leading zero break PS3.5 9.1, but scanners send them and they harm nobody.
_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)+")


def is_uid(value: str) -> bool:
    """Whether a value is a UID (PS3.5 9.1) and so safe in names and keys; leading zeros are let pass."""
    return len(value) <= 64 and _UID.fullmatch(value) is not None


@cache
def standard_storage_classes() -> MappingProxyType[str, str]:
    """Name by UID of every Storage SOP Class of the standard, retired ones included."""
    text = files(__package__).joinpath("data", "storage_classes.csv").read_text(encoding="ascii")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return MappingProxyType({row["uid"]: row["name"] for row in rows})


def storage_classes(extra: Iterable[str] = ()) -> frozenset[str]:
    """UIDs of all classes that a node takes: the standard's and ``extra``, private ones of a site.

    Raises
    ------
    ValueError : an extra class is not a UID
    """
    private = frozenset(extra)
    for uid in sorted(private):
        if not is_uid(uid):
            raise ValueError(f"{uid!r} is not a UID of a SOP class")
    return frozenset(standard_storage_classes()) | private

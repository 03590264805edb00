"""PS3.16 Table 8-1 as data: coding schemes that somebody publishes, whose codes are nobody's free text."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class CodingSchemes:
    """The schemes of the table.

    Parameters
    ----------
    published : Coding Scheme Designators; not those whose codes are persons or anybody's numbers
    uids : Coding Scheme UIDs of the published ones, as far as they have one
    """

    published: frozenset[str]
    uids: frozenset[str]

    @classmethod
    def of(cls, uid_by_designator: Mapping[str, str]) -> CodingSchemes:
        """Collect published schemes; one without a UID has the empty text."""
        return cls(frozenset(uid_by_designator), frozenset(filter(None, uid_by_designator.values())))

    @classmethod
    def load(cls, path: Path) -> CodingSchemes:
        """Read the table."""
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(line for line in file if not line.startswith("#"))
            return cls.of({row["designator"]: row["uid"] for row in rows if row["codes"] == PUBLISHED})

"""PS3.15 Table E.3.4-1 as data: what becomes of a content item, by its concept and value type."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

OLD_NAMES = {"SNM3": "SRT", "99SDM": "SRT"}
"""What else the scheme of SNOMED's old codes was called (PS3.16 Table 8-1)."""


@dataclass(frozen=True, slots=True)
class ContentItemRow:
    """One concept with one value type: the basic action code and those of the options."""

    meaning: str
    basic: str
    options: dict[str, str]


class ContentItemTable:
    """The rows by (scheme, code, value type)."""

    def __init__(self, rows: dict[tuple[str, str, str], ContentItemRow]) -> None:
        self._rows = rows

    @classmethod
    def load(cls, path: Path) -> ContentItemTable:
        """Read the table."""
        rows = {}
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(line for line in file if not line.startswith("#"))
            columns = (reader.fieldnames or ())[5:]
            for row in reader:
                options = {column: row[column] for column in columns if row[column]}
                key = (row["scheme"], row["code"], row["value_type"])
                rows[key] = ContentItemRow(row["meaning"], row["basic"], options)
        return cls(rows)

    def row(self, scheme: str, code: str, value_type: str) -> ContentItemRow | None:
        """Return the row of a concept; None where the table is silent."""
        return self._rows.get((OLD_NAMES.get(scheme, scheme), code, value_type))

"""PS3.15 Table E.1-1 as data: what the Basic Profile and each option say about an attribute."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from service.errors import SettingsInvalid

ACTIONS = frozenset({"X", "Z", "D", "K", "C", "U", "X/Z", "X/D", "X/Z/D", "Z/D", "X/Z/U*"})

EDITION = "# edition: "
"""How the file says which edition of the standard its rows are of."""


@dataclass(frozen=True, slots=True)
class AttributeRow:
    """One row: the Basic Profile's action code, and those of the options that say something else."""

    keyword: str
    vr: str
    basic: str
    options: dict[str, str]


class AttributeTable:
    """The rows by tag; overlays, curves and private attributes stand for their whole groups."""

    def __init__(self, rows: dict[str, AttributeRow], columns: tuple[str, ...], edition: str = "") -> None:
        self._by_tag = {int(tag, 16): row for tag, row in rows.items() if len(tag) == 8 and "x" not in tag}
        self._by_keyword = {row.keyword: tag for tag, row in self._by_tag.items()}
        self._repeating = {tag: row for tag, row in rows.items() if "x" in tag}
        self.columns = columns
        self.edition = edition

    @classmethod
    def load(cls, path: Path) -> AttributeTable:
        """Read the table.

        Raises
        ------
        SettingsInvalid : a row has an action code that is none
        """
        lines = path.read_text(encoding="utf-8").splitlines()
        edition = next((line.removeprefix(EDITION) for line in lines if line.startswith(EDITION)), "unknown")
        reader = csv.DictReader(line for line in lines if not line.startswith("#"))
        columns = tuple((reader.fieldnames or ())[4:])
        rows = {}
        for row in reader:
            options = {column: row[column] for column in columns if row[column]}
            for code in (row["basic"], *options.values()):
                if code not in ACTIONS:
                    raise SettingsInvalid(f"{path.name}: {row['keyword']}: {code!r} is no action code")
            rows[row["tag"]] = AttributeRow(row["keyword"], row["vr"], row["basic"], options)
        return cls(rows, columns, edition)

    def row(self, tag: int) -> AttributeRow | None:
        """Return the row of a tag; None where the table is silent."""
        found = self._by_tag.get(tag)
        if found is not None or not self._repeating:
            return found
        group = tag >> 16
        if group & 0xFF01 == 0x5000:
            return self._repeating.get("50xxxxxx")
        if group & 0xFF01 == 0x6000:
            return self._repeating.get(f"60xx{tag & 0xFFFF:04x}")
        return None

    def tag(self, keyword: str) -> int | None:
        """Return the tag of a keyword of the table."""
        return self._by_keyword.get(keyword)

    def rows(self) -> dict[int, AttributeRow]:
        """Return the rows that have a tag of their own."""
        return dict(self._by_tag)

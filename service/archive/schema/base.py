"""What the tables of the index are kept in, and what several of them share."""

from __future__ import annotations

from sqlalchemy import Column, Index, MetaData

metadata = MetaData()


def wildcards_index(name: str, column: Column[str]) -> None:
    """Make an index that finds what begins alike: in PostgreSQL LIKE 'A%' needs the order of the letters' codes."""
    Index(name, column.table.c.project, column, postgresql_ops={column.name: "text_pattern_ops"})

"""What is searched by value: people's names, what stands in sequences, what somebody made searchable."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, String, Table

from service.archive.schema.archive import instances, series, studies
from service.archive.schema.base import metadata

# Attributes that somebody made searchable, by path: eight hex digits, nested with dots.
search_attributes = Table(
    "search_attributes",
    metadata,
    Column("attribute", String(64), primary_key=True),
    Column("level", Integer, nullable=False),  # service.core.search.Level at which it is asked for
    Column("held_at", Integer, nullable=False),  # the level whose attributes hold it
    Column("state", String(16), nullable=False),  # service.core.search_attributes.FillState
    Column("position", Integer, nullable=False, server_default="0"),  # id of the last row whose values were gathered
    Column("added_at", Float, nullable=False),
    Column("ready_at", Float, nullable=True),
)


def _values_of(name: str, owner: Table) -> Table:
    """What is searched by value of one level: people's names, what stands in sequences, what somebody added."""
    owner_id = f"{name}_id"
    # The order of the letters' codes, in which what begins alike stands together, and which both databases share.
    value = String(500).with_variant(String(500, collation="C"), "postgresql")
    table = Table(
        f"{name}_values",
        metadata,
        Column(owner_id, ForeignKey(f"{owner.name}.id", ondelete="CASCADE"), primary_key=True),
        Column("attribute", String(64), primary_key=True),  # its path, and for names the facet
        Column("item", String(32), primary_key=True),  # the items in which it stands
        Column("value", value, primary_key=True),  # service.core.indexed_values
        Column("project", String(64), nullable=False),
        sqlite_with_rowid=False,
    )
    Index(f"{name}_values_by_value", table.c.project, table.c.attribute, table.c.value, table.c[owner_id])
    return table


study_values = _values_of("study", studies)
series_values = _values_of("series", series)
instance_values = _values_of("instance", instances)

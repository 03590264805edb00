"""What a search finds by: names without case and accents, sequences, attributes that somebody adds, and more indexes.

Revision ID: 0017
Revises: 0016
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from service.core.indexed_values import index_entries
from service.core.search import MatchKind

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_NEW = {
    "studies_by_birth_date": ("studies", ["project", "patient_birth_date"]),
    "studies_by_study_id": ("studies", ["project", "study_id"]),
    "studies_by_description": ("studies", ["project", "study_description"]),
    "series_of_modality": ("series", ["project", "modality", "id", "study_id"]),
    "series_by_number": ("series", ["project", "series_number", "id", "study_id"]),
    "series_by_start": ("series", ["project", "start_date", "start_time"]),
    "series_by_body_part": ("series", ["project", "body_part"]),
    "series_by_description": ("series", ["project", "series_description"]),
    "instances_by_class": (
        "instances",
        ["project", "sop_class_uid", "id", "visible", "study_id", "series_id"],
    ),
    "instances_by_number": (
        "instances",
        ["project", "instance_number", "id", "visible", "study_id", "series_id"],
    ),
}
_CHANGED = {
    "studies_by_date": (["project", "study_date", "study_time", "id"], ["project", "study_date"]),
    "studies_by_patient": (["project", "patient_id"], ["project", "patient_id"]),
    "studies_by_accession": (["project", "accession_number"], ["project", "accession_number"]),
}
# Where wildcards are looked for: PostgreSQL needs the order of the letters' codes.
_WILDCARDS = {
    "studies_by_patient",
    "studies_by_accession",
    "studies_by_study_id",
    "studies_by_description",
    "series_by_body_part",
    "series_by_description",
}
_OWNERS = {"study": "studies", "series": "series", "instance": "instances"}
_KEPT = {
    "study": (((0x00080090,), MatchKind.PERSON), ((0x00100010,), MatchKind.PERSON)),
    "series": (((0x00400275, 0x00400009), MatchKind.TEXT), ((0x00400275, 0x00401001), MatchKind.TEXT)),
}
_AT_ONCE = 500
_LONGEST = 500


def upgrade() -> None:
    """Make the tables and indexes, and fill them from what is there."""
    op.create_table(
        "search_attributes",
        sa.Column("attribute", sa.String(64), primary_key=True),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("held_at", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("added_at", sa.Float(), nullable=False),
        sa.Column("ready_at", sa.Float(), nullable=True),
    )
    for name, owner in _OWNERS.items():
        _make_values(name, owner)
    for name, owner in _OWNERS.items():
        _fill(name, owner)
    for table, column in (("studies", "study_description"), ("series", "series_description")):
        # An index takes no row beyond its page.
        long = sa.table(table, sa.column(column))
        op.execute(long.update().values({column: sa.func.substr(long.c[column], 1, _LONGEST)}))
    for index, (columns, _) in _CHANGED.items():
        op.drop_index(index, "studies")
        _make_index(index, "studies", columns)
    for index, (table, columns) in _NEW.items():
        _make_index(index, table, columns)


def downgrade() -> None:
    """Forget them."""
    for index, (table, _) in _NEW.items():
        op.drop_index(index, table)
    for index, (_, columns) in _CHANGED.items():
        op.drop_index(index, "studies")
        op.create_index(index, "studies", columns)
    for name in _OWNERS:
        op.drop_table(f"{name}_values")
    op.drop_table("search_attributes")


def _make_values(name: str, owner: str) -> None:
    value = sa.String(500).with_variant(sa.String(500, collation="C"), "postgresql")
    op.create_table(
        f"{name}_values",
        sa.Column(f"{name}_id", sa.Integer(), sa.ForeignKey(f"{owner}.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("attribute", sa.String(64), primary_key=True),
        sa.Column("item", sa.String(32), primary_key=True),
        sa.Column("value", value, primary_key=True),
        sa.Column("project", sa.String(64), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index(f"{name}_values_by_value", f"{name}_values", ["project", "attribute", "value", f"{name}_id"])


def _make_index(name: str, table: str, columns: list[str]) -> None:
    operators = {columns[-1]: "text_pattern_ops"} if name in _WILDCARDS else {}
    op.create_index(name, table, columns, postgresql_ops=operators)


def _fill(name: str, owner: str) -> None:
    """Keep the values of what is stored already, some rows at a time."""
    connection = op.get_bind()
    columns = [f"{name}_id", "attribute", "item", "value", "project"]
    values = sa.table(f"{name}_values", *(sa.column(column) for column in columns))
    for rows in _portions(connection, owner if name in _KEPT else ""):
        entries = [
            dict(zip(columns, (row.id, attribute, item, value, row.project), strict=True))
            for row in rows
            for attribute, item, value in _entries(name, json.loads(row.attributes))
        ]
        if entries:
            connection.execute(values.insert(), entries)


def _portions(connection: sa.Connection, owner: str) -> Iterator[Any]:
    last = 0
    while owner:
        held = sa.table(owner, sa.column("id"), sa.column("project"), sa.column("attributes"))
        query = sa.select(held).where(held.c.id > last).order_by(held.c.id).limit(_AT_ONCE)
        rows = connection.execute(query).all()
        if not rows:
            return
        yield rows
        last = rows[-1].id


def _entries(name: str, attributes: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for path, kind in _KEPT[name]:
        text = ".".join(f"{tag:08X}" for tag in path)
        for facet, item, value in index_entries(attributes, path, kind):
            yield text + facet, item, value

"""Studies and series say that an image of them is shown, beside what they are searched by.

Revision ID: 0019
Revises: 0018
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_LEVELS = {"studies": "study_id", "series": "series_id"}
_INDEXES = {
    "studies_by_date": ("studies", ["project", "study_date", "study_time", "id"]),
    "series_by_modality": ("series", ["study_id", "modality"]),
    "series_of_modality": ("series", ["project", "modality", "id", "study_id"]),
    "series_by_number": ("series", ["project", "series_number", "id", "study_id"]),
}


def upgrade() -> None:
    """Add the column, fill it from what is there, and put it into the indexes that searches walk."""
    for table, key in _LEVELS.items():
        op.add_column(table, sa.Column("shows_image", sa.Boolean(), server_default="0", nullable=False))
        level = sa.table(table, sa.column("id", sa.Integer), sa.column("shows_image", sa.Boolean))
        instances = sa.table(
            "instances", sa.column(key, sa.Integer), sa.column("visible", sa.Boolean), sa.column("kind", sa.String)
        )
        shown = sa.select(instances.c[key]).where(instances.c.visible, instances.c.kind == "image")
        op.execute(level.update().where(level.c.id.in_(shown)).values(shows_image=True))
    for name, (table, columns) in _INDEXES.items():
        op.drop_index(name, table)
        op.create_index(name, table, [*columns, "shows_image"])


def downgrade() -> None:
    """Forget it."""
    for name, (table, columns) in _INDEXES.items():
        op.drop_index(name, table)
        op.create_index(name, table, columns)
    for table in _LEVELS:
        op.drop_column(table, "shows_image")

"""One row for each conflict, however often the instance is sent again.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KEY = ("project", "sop_instance_uid", "action", "calling_ae_title")


def upgrade() -> None:
    """Count rows that say the same in the newest of them, and let no second one come."""
    op.add_column("conflicts", sa.Column("times_seen", sa.Integer(), server_default="1", nullable=False))
    conflicts = sa.table("conflicts", *(sa.column(name) for name in ("id", "times_seen", *_KEY)))
    other = conflicts.alias()
    same = sa.and_(*(conflicts.c[name] == other.c[name] for name in _KEY))
    how_often = sa.select(sa.func.count()).select_from(other).where(same).scalar_subquery()
    newest = sa.select(sa.func.max(conflicts.c.id)).group_by(*(conflicts.c[name] for name in _KEY))
    op.execute(conflicts.update().values(times_seen=how_often))
    op.execute(conflicts.delete().where(conflicts.c.id.not_in(newest)))
    op.create_index("conflicts_once", "conflicts", list(_KEY), unique=True)


def downgrade() -> None:
    """Take the count back; the rows that were merged stay merged."""
    op.drop_index("conflicts_once", table_name="conflicts")
    op.drop_column("conflicts", "times_seen")

"""Which account an annotation was stored by, and what an account is called that is never called otherwise.

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_COUNTED = {
    "instances_by_series": ["series_id", "visible", "instance_number"],
    "instances_by_study": ["study_id", "visible", "series_id"],
}


def upgrade() -> None:
    """Name no author for what is there: nobody wrote down who it was."""
    op.add_column("instances", sa.Column("author", sa.String(32), server_default="", nullable=False))
    for name, columns in _COUNTED.items():
        op.drop_index(name, "instances")
        op.create_index(name, "instances", [*columns, "kind", "author"])
    op.add_column("users", sa.Column("id", sa.String(32), server_default="", nullable=False))
    users = sa.table("users", sa.column("name", sa.String), sa.column("id", sa.String))
    connection = op.get_bind()
    for name in connection.execute(sa.select(users.c.name)).scalars().all():
        connection.execute(users.update().where(users.c.name == name).values(id=secrets.token_hex(16)))
    op.create_index("users_by_id", "users", ["id"], unique=True)


def downgrade() -> None:
    """Forget both."""
    op.drop_index("users_by_id", "users")
    with op.batch_alter_table("users") as users:
        users.drop_column("id")
    for name, columns in _COUNTED.items():
        op.drop_index(name, "instances")
        op.create_index(name, "instances", columns)
    with op.batch_alter_table("instances") as instances:
        instances.drop_column("author")

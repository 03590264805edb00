"""Runs that wait for earlier studies, and pulls that an annotator asked for.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let runs wait, and pulls be an annotator's."""
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("not_before", sa.Float(), server_default="0", nullable=False))
    with op.batch_alter_table("pulls") as pulls:
        pulls.add_column(sa.Column("annotator", sa.String(64), server_default="", nullable=False))


def downgrade() -> None:
    """Forget both."""
    with op.batch_alter_table("pulls") as pulls:
        pulls.drop_column("annotator")
    with op.batch_alter_table("runs") as runs:
        runs.drop_column("not_before")

"""Peers that are told of complete studies.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for notices on their way."""
    op.create_table(
        "availability_notices",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("study_uid", sa.String(64), primary_key=True),
        sa.Column("peer", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(16), server_default="open", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.Column("next_at", sa.Float(), nullable=False),
        sa.Column("completed_at", sa.Float(), nullable=False),
    )
    op.create_index("availability_notices_due", "availability_notices", ["state", "next_at"])


def downgrade() -> None:
    """Forget them."""
    op.drop_table("availability_notices")

"""What routing rules say of a study, and what says that it is complete.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for routes and signs, and let runs have a priority."""
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("priority", sa.Integer(), server_default="0", nullable=False))
    op.create_table(
        "study_routes",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("study_uid", sa.String(64), primary_key=True),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
        sa.Column("annotators", sa.Text(), server_default="", nullable=False),
    )
    op.create_table(
        "study_signs",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("study_uid", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("images", sa.Integer(), server_default="0", nullable=False),
    )


def downgrade() -> None:
    """Forget them."""
    op.drop_table("study_signs")
    op.drop_table("study_routes")
    with op.batch_alter_table("runs") as runs:
        runs.drop_column("priority")

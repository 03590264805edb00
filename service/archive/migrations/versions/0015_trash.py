"""What people deleted, and the trash from which it can be restored.

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing was deleted so far."""
    op.create_table(
        "deletions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("study_uid", sa.String(64), nullable=False),
        sa.Column("series_uid", sa.String(64), server_default="", nullable=False),
        sa.Column("sop_instance_uid", sa.String(64), server_default="", nullable=False),
        sa.Column("state", sa.String(16), server_default="trashed", nullable=False),
        sa.Column("instances", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("deleted_by", sa.String(64), nullable=False),
        sa.Column("remove_at", sa.Float(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.Column("ended_by", sa.String(64), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("deletions_by_study", "deletions", ["project", "study_uid"], unique=False)
    op.create_index("deletions_due", "deletions", ["state", "remove_at"], unique=False)
    op.create_table(
        "trash",
        sa.Column("instance_id", sa.Integer(), nullable=False),
        sa.Column("deletion_id", sa.Integer(), nullable=False),
        sa.Column("shown_before", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["deletion_id"], ["deletions.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("instance_id"),
    )
    op.create_index("trash_by_deletion", "trash", ["deletion_id", "instance_id"], unique=False)


def downgrade() -> None:
    """Forget it: what was in the trash stays hidden."""
    op.drop_table("trash")
    op.drop_table("deletions")

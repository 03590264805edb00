"""Studies that are fetched from peers.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for requests, and for the studies that each of them comes to."""
    op.create_table(
        "pulls",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("peer", sa.String(64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("origin_study_uid", sa.String(64), server_default="", nullable=False),
        sa.Column("state", sa.String(16), server_default="waiting", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("requested_by", sa.String(64), nullable=False),
        sa.Column("requested_at", sa.Float(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_at", sa.Float(), nullable=False),
        sa.Column("lease_owner", sa.String(64), server_default="", nullable=False),
        sa.Column("lease_until", sa.Float(), server_default="0", nullable=False),
        sa.Column("finished_at", sa.Float(), nullable=True),
    )
    op.create_index("pulls_due", "pulls", ["state", "next_at"])
    op.create_index("pulls_by_digest", "pulls", ["project", "digest"])
    op.create_index("pulls_by_origin", "pulls", ["project", "origin_study_uid"])
    op.create_table(
        "pull_studies",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("pull_id", sa.Integer(), sa.ForeignKey("pulls.id", ondelete="CASCADE"), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("study_uid", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), server_default="waiting", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("expected", sa.Integer(), nullable=True),
        sa.Column("held", sa.Integer(), server_default="0", nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.UniqueConstraint("pull_id", "digest"),
    )
    op.create_index("pull_studies_by_uid", "pull_studies", ["project", "study_uid"])


def downgrade() -> None:
    """Forget them."""
    op.drop_table("pull_studies")
    op.drop_table("pulls")

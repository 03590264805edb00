"""Work items, who is subscribed to them, and what subscribers have yet to be told.

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for them, and note of runs who carries them out."""
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("performer", sa.String(16), server_default="", nullable=False))
    op.create_table(
        "workitems",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("workitem_uid", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("transaction_digest", sa.String(64), server_default="", nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("study_uid", sa.String(64), server_default="", nullable=False),
        sa.Column("series_uid", sa.String(64), server_default="", nullable=False),
        sa.Column("run_id", sa.Integer(), sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=True),
        sa.Column("annotator", sa.String(64), server_default="", nullable=False),
        sa.Column("performer", sa.String(16), server_default="", nullable=False),
        sa.Column("priority", sa.String(16), server_default="", nullable=False),
        sa.Column("readiness", sa.String(16), server_default="", nullable=False),
        sa.Column("worklist_label", sa.String(64), server_default="", nullable=False),
        sa.Column("patient_id", sa.String(64), server_default="", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.UniqueConstraint("project", "workitem_uid"),
        sqlite_autoincrement=True,
    )
    op.create_index("workitems_by_state", "workitems", ["project", "state", "id"])
    op.create_index("workitems_by_study", "workitems", ["project", "study_uid"])
    op.create_index("workitems_by_run", "workitems", ["run_id"])
    op.create_table(
        "workitem_subscribers",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("ae_title", sa.String(16), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("takes_new", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("filter", sa.Text(), server_default="", nullable=False),
        sa.Column("deletion_lock", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("channel", sa.String(32), server_default="", nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
    )
    op.create_table(
        "workitem_subscriptions",
        sa.Column("workitem_id", sa.Integer(), sa.ForeignKey("workitems.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("ae_title", sa.String(16), primary_key=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("deletion_lock", sa.Boolean(), server_default="0", nullable=False),
    )
    op.create_index("workitem_subscriptions_by_subscriber", "workitem_subscriptions", ["project", "ae_title"])
    op.create_table(
        "workitem_events",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("ae_title", sa.String(16), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("workitem_events_by_subscriber", "workitem_events", ["project", "ae_title", "id"])


def downgrade() -> None:
    """Forget them."""
    op.drop_table("workitem_events")
    op.drop_table("workitem_subscriptions")
    op.drop_table("workitem_subscribers")
    op.drop_table("workitems")
    with op.batch_alter_table("runs") as runs:
        runs.drop_column("performer")

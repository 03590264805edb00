"""What may leave, the outbox, and what rejection notes hid.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for releases, deliveries and rejections."""
    op.create_table(
        "releases",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("study_uid", sa.String(64), nullable=False),
        sa.Column("series_uid", sa.String(64), nullable=False, server_default=""),
        sa.Column("annotator", sa.String(64), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True, unique=True),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("objects", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, server_default="waiting"),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("recall_code", sa.String(16), nullable=False, server_default=""),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("decided_at", sa.Float(), nullable=True),
        sa.Column("decided_by", sa.String(64), nullable=False, server_default=""),
    )
    op.create_index("releases_by_state", "releases", ["state", "project", "annotator"])
    op.create_index("releases_by_study", "releases", ["project", "study_uid"])
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("release_id", sa.Integer(), sa.ForeignKey("releases.id", ondelete="CASCADE"), nullable=False),
        sa.Column("study_uid", sa.String(64), nullable=False),
        sa.Column("peer", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False, server_default="result"),
        sa.Column("objects", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, server_default="waiting"),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("next_at", sa.Float(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False, server_default=""),
        sa.Column("warning", sa.Text(), nullable=False, server_default=""),
        sa.Column("found_identity", sa.String(64), nullable=False, server_default=""),
        sa.Column("accepted_identity", sa.String(64), nullable=False, server_default=""),
        sa.Column("commitment", sa.String(16), nullable=False, server_default=""),
        sa.Column("commitment_uid", sa.String(64), nullable=False, server_default=""),
        sa.Column("commitment_at", sa.Float(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("queued_at", sa.Float(), nullable=False),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.Column("decided_by", sa.String(64), nullable=False, server_default=""),
    )
    op.create_index("deliveries_by_commitment", "deliveries", ["commitment_uid"])
    op.create_index("deliveries_by_release", "deliveries", ["release_id"])
    op.create_index("deliveries_by_state", "deliveries", ["project", "state"])
    op.create_index("deliveries_by_study", "deliveries", ["project", "study_uid", "peer"])
    op.create_index("deliveries_due", "deliveries", ["peer", "state", "next_at"])
    op.create_table(
        "delivery_items",
        sa.Column("delivery_id", sa.Integer(), sa.ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("sop_class_uid", sa.String(64), nullable=False),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, server_default="waiting"),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("words", sa.Text(), nullable=False, server_default=""),
        sa.Column("sent_at", sa.Float(), nullable=True),
    )
    op.create_index("delivery_items_by_instance", "delivery_items", ["sop_instance_uid"])
    op.create_table(
        "delivery_peers",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("lease_owner", sa.String(64), nullable=False, server_default=""),
        sa.Column("lease_until", sa.Float(), nullable=False, server_default="0"),
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("next_at", sa.Float(), nullable=False, server_default="0"),
        sa.Column("last_error", sa.Text(), nullable=False, server_default=""),
    )
    op.create_table(
        "rejections",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("sop_instance_uid", sa.String(64), primary_key=True),
        sa.Column("study_uid", sa.String(64), nullable=False),
        sa.Column("note_uid", sa.String(64), nullable=False),
        sa.Column("code", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, server_default="hidden"),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("acted_at", sa.Float(), nullable=True),
        sa.Column("restored_at", sa.Float(), nullable=True),
        sa.Column("restored_by", sa.String(64), nullable=False, server_default=""),
    )
    op.create_index("rejections_by_study", "rejections", ["project", "study_uid"])
    op.create_index("rejections_open", "rejections", ["acted_at"])


def downgrade() -> None:
    """Forget them."""
    for table in ("rejections", "delivery_peers", "delivery_items", "deliveries", "releases"):
        op.drop_table(table)

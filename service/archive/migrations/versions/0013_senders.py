"""Who sent which instance: what storage commitment may be asked for.

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for senders, and for what each of them sent."""
    op.create_table(
        "senders",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("ae_title", sa.String(64), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.UniqueConstraint("ae_title", "address"),
    )
    op.create_table(
        "sent_instances",
        sa.Column("instance_id", sa.Integer(), sa.ForeignKey("instances.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("sender_id", sa.Integer(), sa.ForeignKey("senders.id", ondelete="CASCADE"), primary_key=True),
    )


def downgrade() -> None:
    """Forget them."""
    op.drop_table("sent_instances")
    op.drop_table("senders")

"""Which reader claimed a work item, what work items name, and as whom their subscribers see.

Revision ID: 0018
Revises: 0017
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Have subscribers see what every reader sees until they come again: nobody wrote down who is one."""
    op.add_column("workitems", sa.Column("claimed_by", sa.String(32), server_default="", nullable=False))
    op.create_table(
        "workitem_references",
        sa.Column("workitem_id", sa.Integer(), sa.ForeignKey("workitems.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("uid", sa.String(64), primary_key=True),
    )
    op.add_column("workitem_subscribers", sa.Column("reader", sa.String(32), nullable=True))
    op.add_column("workitem_subscribers", sa.Column("sees_results", sa.Boolean(), server_default="1", nullable=False))
    subscribers = sa.table(
        "workitem_subscribers", sa.column("reader", sa.String), sa.column("sees_results", sa.Boolean)
    )
    op.execute(subscribers.update().values(reader="", sees_results=False))


def downgrade() -> None:
    """Forget all of it."""
    for name in ("sees_results", "reader"):
        with op.batch_alter_table("workitem_subscribers") as subscribers:
            subscribers.drop_column(name)
    op.drop_table("workitem_references")
    with op.batch_alter_table("workitems") as workitems:
        workitems.drop_column("claimed_by")

"""How many deliveries each peer has taken, for monitoring.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Count what was sent so far."""
    with op.batch_alter_table("delivery_peers") as peers:
        peers.add_column(sa.Column("sent", sa.Integer(), server_default="0", nullable=False))
    op.execute(
        "UPDATE delivery_peers SET sent = (SELECT count(*) FROM deliveries"
        " WHERE deliveries.peer = delivery_peers.name AND deliveries.state = 'sent')"
    )


def downgrade() -> None:
    """Forget it."""
    with op.batch_alter_table("delivery_peers") as peers:
        peers.drop_column("sent")

"""Who stored an annotation over the web, reader or not: whoever performs a run may name no one else's as its results.

Revision ID: 0020
Revises: 0019
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Name nobody for what is there: nobody wrote down who it was."""
    op.add_column("instances", sa.Column("stored_by", sa.String(32), server_default="", nullable=False))


def downgrade() -> None:
    """Forget it."""
    op.drop_column("instances", "stored_by")

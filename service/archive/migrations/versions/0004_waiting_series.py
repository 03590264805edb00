"""Objects in quarantine that wait for the rest of their series.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let the objects of one series be found by a keyed digest of its UID."""
    op.add_column("quarantine", sa.Column("waits_for", sa.String(64), nullable=False, server_default=""))
    op.create_index("quarantine_by_series", "quarantine", ["project", "waits_for", "state"])


def downgrade() -> None:
    """Let them wait for a person."""
    op.drop_index("quarantine_by_series", table_name="quarantine")
    op.drop_column("quarantine", "waits_for")

"""Vault keys that are no longer used, and backups of the key file.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let entries be found by the key that sealed them, and remember what became of keys."""
    op.create_index("vault_by_key_id", "vault", ["key_id"])
    op.create_table(
        "retired_vault_keys",
        sa.Column("key_id", sa.String(32), primary_key=True),
        sa.Column("retired_at", sa.Float(), nullable=False),
    )
    op.create_table(
        "key_backups",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("key_file_digest", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    """Forget them."""
    op.drop_table("key_backups")
    op.drop_table("retired_vault_keys")
    op.drop_index("vault_by_key_id", table_name="vault")

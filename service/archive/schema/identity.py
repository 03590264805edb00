"""Projects, the vault, and what became of its keys."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, String, Table

from service.archive.schema.base import metadata

projects = Table(
    "projects",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("created_at", Float, nullable=False),
    # SHA-256 fingerprint of the project's identity keys: a key file that does not fit is noticed at start.
    Column("key_fingerprint", String(64), nullable=False, server_default=""),
)

vault = Table(
    "vault",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("key_id", String(32), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)
Index("vault_by_key_id", vault.c.key_id)

# Keys that no entry was sealed with when they left the key file: nothing is stored under them again.
retired_vault_keys = Table(
    "retired_vault_keys",
    metadata,
    Column("key_id", String(32), primary_key=True),
    Column("retired_at", Float, nullable=False),
)

# When which content of the key file was copied to where it outlives this machine.
key_backups = Table(
    "key_backups",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("key_file_digest", String(64), nullable=False),
)

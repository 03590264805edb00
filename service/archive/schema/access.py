"""Who may, and who did: accounts and the audit trail."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Integer, LargeBinary, String, Table, Text

from service.archive.schema.base import metadata

users = Table(
    "users",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("projects", Text, nullable=False, server_default='["*"]'),  # JSON list of names, or *
    Column("disabled", Boolean, nullable=False, server_default="0"),
    Column("created_at", Float, nullable=False),
    Column("id", String(32), nullable=False, server_default=""),  # stays when the name does not
)
Index("users_by_id", users.c.id, unique=True)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("projects", Text, nullable=False, server_default='["*"]'),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=True),
    Column("revoked_at", Float, nullable=True),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("actor", String(64), nullable=False),  # user or token name, AE title, or "annogate"
    Column("address", String(64), nullable=False, server_default=""),
    Column("action", String(64), nullable=False),  # "study.read", "instance.received", "access.denied" …
    Column("outcome", Integer, nullable=False),  # Event Outcome Indicator: 0, 4, 8, 12 (PS3.15 A.5)
    Column("project", String(64), nullable=False, server_default=""),
    Column("object", String(200), nullable=False, server_default=""),  # UIDs as served, never an original
    Column("detail", Text, nullable=False, server_default="{}"),  # JSON
    Column("chain", String(64), nullable=False),  # SHA-256 over the row before and this one
)
Index("audit_by_time", audit.c.at)

"""What came in, and what became of it that is no instance."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from service.archive.schema.base import metadata

intake = Table(
    "intake",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source_key", String(128), nullable=False, unique=True),  # spool segment and offset
    Column("project", String(64), nullable=False),
    Column("state", String(16), nullable=False, server_default="received"),  # received, or an OutcomeKind
    Column("reason", Text, nullable=False, server_default=""),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("received_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
)
Index("intake_by_state", intake.c.state, intake.c.received_at)

conflicts = Table(
    "conflicts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String(64), nullable=False),
    Column("sop_instance_uid", String(64), nullable=False),  # as served
    Column("action", String(16), nullable=False),
    Column("calling_ae_title", String(16), nullable=False, server_default=""),
    Column("at", Float, nullable=False),  # the last time
    Column("times_seen", Integer, nullable=False, server_default="1"),
)
Index(
    "conflicts_once",
    conflicts.c.project,
    conflicts.c.sop_instance_uid,
    conflicts.c.action,
    conflicts.c.calling_ae_title,
    unique=True,
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("project", String(64), nullable=False),
    Column("state", String(16), nullable=False, server_default="held"),  # held, released, discarded, expired
    Column("failure_reason", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("source", String(16), nullable=False),
    Column("calling_ae_title", String(16), nullable=False, server_default=""),
    Column("sop_class_uid", String(64), nullable=False, server_default=""),
    Column("transfer_syntax_uid", String(64), nullable=False, server_default=""),
    Column("size", BigInteger, nullable=False),
    Column("content_digest", LargeBinary, nullable=False),  # keyed; the same object again is one row
    Column("times_seen", Integer, nullable=False, server_default="1"),
    Column("received_at", Float, nullable=False),
    Column("decided_at", Float, nullable=True),
    Column("decided_by", String(64), nullable=False, server_default=""),
    Column("waits_for", String(64), nullable=False, server_default=""),  # keyed digest of a series that is not whole
    UniqueConstraint("project", "content_digest"),
)
Index("quarantine_by_series", quarantine.c.project, quarantine.c.waits_for, quarantine.c.state)
Index("quarantine_by_state", quarantine.c.state, quarantine.c.received_at)

counters = Table(
    "counters",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("value", BigInteger, nullable=False, server_default="0"),
)

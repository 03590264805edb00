"""What was deleted: the memory of it, and the trash."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text

from service.archive.schema.base import metadata

# What somebody deleted, in UIDs as served; the rows stay for good, as a memory of what is gone.
deletions = Table(
    "deletions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String(64), nullable=False),
    Column("study_uid", String(64), nullable=False),
    Column("series_uid", String(64), nullable=False, server_default=""),
    Column("sop_instance_uid", String(64), nullable=False, server_default=""),
    Column("state", String(16), nullable=False, server_default="trashed"),  # service.core.deletion.DeletionState
    Column("instances", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("at", Float, nullable=False),
    Column("deleted_by", String(64), nullable=False),
    Column("remove_at", Float, nullable=False),
    Column("ended_at", Float, nullable=True),  # when it was restored or removed
    Column("ended_by", String(64), nullable=False, server_default=""),
)
Index("deletions_by_study", deletions.c.project, deletions.c.study_uid)
Index("deletions_due", deletions.c.state, deletions.c.remove_at)

# What is in the trash: hidden, and to be shown again if it was shown before.
trash = Table(
    "trash",
    metadata,
    Column("instance_id", ForeignKey("instances.id", ondelete="CASCADE"), primary_key=True),
    Column("deletion_id", ForeignKey("deletions.id", ondelete="CASCADE"), nullable=False),
    Column("shown_before", Boolean, nullable=False),
)
Index("trash_by_deletion", trash.c.deletion_id, trash.c.instance_id)

"""Work items, and who is told of them."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from service.archive.schema.base import metadata

# Work items (PS3.4 Annex CC). In a de-identifying project they hold what is served; the Transaction UID is a digest.
workitems = Table(
    "workitems",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String(64), nullable=False),
    Column("workitem_uid", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # service.core.workitem.WorkitemState
    Column("transaction_digest", String(64), nullable=False, server_default=""),
    Column("attributes", Text, nullable=False),  # DICOM JSON
    Column("study_uid", String(64), nullable=False, server_default=""),  # as served
    Column("series_uid", String(64), nullable=False, server_default=""),
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), nullable=True),
    Column("annotator", String(64), nullable=False, server_default=""),
    Column("performer", String(16), nullable=False, server_default=""),  # "gateway", or whoever claims it
    Column("priority", String(16), nullable=False, server_default=""),
    Column("readiness", String(16), nullable=False, server_default=""),
    Column("worklist_label", String(64), nullable=False, server_default=""),
    Column("patient_id", String(64), nullable=False, server_default=""),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_by", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    Column("finished_at", Float, nullable=True),
    Column("claimed_by", String(32), nullable=False, server_default=""),  # account of the reader who claimed it
    UniqueConstraint("project", "workitem_uid"),
    sqlite_autoincrement=True,
)
Index("workitems_by_state", workitems.c.project, workitems.c.state, workitems.c.id)
Index("workitems_by_study", workitems.c.project, workitems.c.study_uid)
Index("workitems_by_run", workitems.c.run_id)

# Series and instances that a work item names, those left out that are images: whoever may not see one of them does not
# see the work item.
workitem_references = Table(
    "workitem_references",
    metadata,
    Column("workitem_id", ForeignKey("workitems.id", ondelete="CASCADE"), primary_key=True),
    Column("uid", String(64), primary_key=True),
)

# Who wants to be told of work items, and by which channel they listen now.
workitem_subscribers = Table(
    "workitem_subscribers",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("ae_title", String(16), primary_key=True),
    Column("owner", String(64), nullable=False),  # the caller whose title it is
    Column("takes_new", Boolean, nullable=False, server_default="0"),  # new work items are subscribed to as they come
    Column("filter", Text, nullable=False, server_default=""),  # JSON: keys with values; "" for all
    Column("deletion_lock", Boolean, nullable=False, server_default="0"),
    Column("channel", String(32), nullable=False, server_default=""),
    Column("seen_at", Float, nullable=False),
    Column("reader", String(32), nullable=True),  # account of the reader who owns it; none for who sees everything
    Column("sees_results", Boolean, nullable=False, server_default="1"),  # of models
)
workitem_subscriptions = Table(
    "workitem_subscriptions",
    metadata,
    Column("workitem_id", ForeignKey("workitems.id", ondelete="CASCADE"), primary_key=True),
    Column("ae_title", String(16), primary_key=True),
    Column("project", String(64), nullable=False),
    Column("deletion_lock", Boolean, nullable=False, server_default="0"),
)
Index("workitem_subscriptions_by_subscriber", workitem_subscriptions.c.project, workitem_subscriptions.c.ae_title)

# What each subscriber has not been told yet; a row goes when its receipt was confirmed.
workitem_events = Table(
    "workitem_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String(64), nullable=False),
    Column("ae_title", String(16), nullable=False),
    Column("content", Text, nullable=False),  # DICOM JSON
    Column("at", Float, nullable=False),
    sqlite_autoincrement=True,
)
Index("workitem_events_by_subscriber", workitem_events.c.project, workitem_events.c.ae_title, workitem_events.c.id)

"""What is done with studies: routes, signs that they are complete, reports, runs of annotators."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from service.archive.schema.base import metadata

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String(64), nullable=False),
    Column("study_id", ForeignKey("studies.id", ondelete="CASCADE"), nullable=False),
    Column("annotator", String(64), nullable=False),
    Column("series_uid", String(64), nullable=False),
    Column("inputs_digest", String(64), nullable=False),  # over the SOP Instance UIDs it looks at
    Column("version", Integer, nullable=False),  # of this annotator on this series, from 1
    Column("state", String(16), nullable=False, server_default="queued"),  # queued, running, done, refused, failed
    Column("reason", Text, nullable=False, server_default=""),
    Column("summary", Text, nullable=False, server_default=""),
    Column("findings", Text, nullable=False, server_default="[]"),  # JSON
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("lease_owner", String(64), nullable=False, server_default=""),
    Column("lease_until", Float, nullable=True),
    Column("queued_at", Float, nullable=False),
    Column("started_at", Float, nullable=True),
    Column("finished_at", Float, nullable=True),
    Column("priority", Integer, nullable=False, server_default="0"),  # the higher is run first
    Column("not_before", Float, nullable=False, server_default="0"),  # until then it waits for earlier studies
    Column("performer", String(16), nullable=False, server_default=""),  # "ups": somebody outside, by its work item
    UniqueConstraint("study_id", "annotator", "series_uid", "inputs_digest"),
)
Index("runs_by_state", runs.c.state, runs.c.queued_at)

# What routing rules said of a study, by what they saw of its first objects.
study_routes = Table(
    "study_routes",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("study_uid", String(64), primary_key=True),  # as served
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("annotators", Text, nullable=False, server_default=""),  # JSON; "" where no rule says so
)

# What says that a study is complete, besides quiet.
study_signs = Table(
    "study_signs",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("study_uid", String(64), primary_key=True),  # as served
    Column("kind", String(16), primary_key=True),  # commitment, notification, count
    Column("at", Float, nullable=False),
    Column("images", Integer, nullable=False, server_default="0"),  # how many there have to be
)

# What was done to the first object of each SOP class in a series: places, actions and rules, never a value.
cleaning_reports = Table(
    "cleaning_reports",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("study_uid", String(64), primary_key=True),
    Column("series_uid", String(64), primary_key=True),
    Column("sop_class_uid", String(64), primary_key=True),
    Column("profile", String(64), nullable=False),
    Column("edition", Text, nullable=False),  # of PS3.15 Table E.1-1
    Column("lines", Text, nullable=False),  # JSON
)

study_counters = Table(
    "study_counters",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("study_uid", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("value", BigInteger, nullable=False, server_default="0"),
)

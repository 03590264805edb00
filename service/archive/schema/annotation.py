"""Versions of annotations: what stands in which, by whom, and after which."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from service.archive.schema.base import metadata

# Rows are only added. A line holds the versions of one thing by one author; it bears the id of its first version.
annotation_versions = Table(
    "annotation_versions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String(64), nullable=False),
    Column("study_uid", String(64), nullable=False),  # as served
    Column("line", Integer, nullable=True),  # not set only inside the transaction that adds a first version
    Column("number", Integer, nullable=False),  # in the line, from 1
    Column("parent", Integer, nullable=True),  # the version that it was made from, perhaps of another line
    Column("restored", Integer, nullable=True),  # the version that it says again
    Column("author", String(32), nullable=False, server_default=""),  # account of a reader
    Column("stored_by", String(32), nullable=False, server_default=""),  # who stored it over the web, reader or not
    Column("sender", String(16), nullable=False, server_default=""),  # AE title of the node that sent it
    Column("annotator", String(64), nullable=False, server_default=""),
    Column("run_id", Integer, nullable=True),
    Column("series_uid", String(64), nullable=False, server_default=""),  # that the annotator looked at, as served
    Column("reason", Text, nullable=False, server_default=""),
    Column("protocol", Text, nullable=False, server_default=""),  # the reading protocol
    Column("protocol_version", Text, nullable=False, server_default=""),
    Column("created_at", Float, nullable=False),
    UniqueConstraint("line", "number"),
)
Index("annotation_versions_by_study", annotation_versions.c.project, annotation_versions.c.study_uid)
Index("annotation_versions_by_run", annotation_versions.c.run_id)

annotation_objects = Table(
    "annotation_objects",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("sop_instance_uid", String(64), primary_key=True),  # as served
    Column("version_id", ForeignKey("annotation_versions.id", ondelete="CASCADE"), nullable=False),
    Column("family", String(64), nullable=False),  # what a later version has another of: service.core.versions
    Column("refers_to", Text, nullable=False, server_default="[]"),  # UIDs of other annotations that it rests on, JSON
)
Index("annotation_objects_by_version", annotation_objects.c.version_id)

# Tracking UIDs, which join what is said of one thing across objects, series and times.
annotation_marks = Table(
    "annotation_marks",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("tracking_uid", String(64), primary_key=True),
    Column("sop_instance_uid", String(64), primary_key=True),
    Column("version_id", ForeignKey("annotation_versions.id", ondelete="CASCADE"), nullable=False),
)
Index("annotation_marks_by_version", annotation_marks.c.version_id)
Index("annotation_marks_by_instance", annotation_marks.c.project, annotation_marks.c.sop_instance_uid)

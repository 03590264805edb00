"""Studies, series and instances, and who sent them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from service.archive.schema.base import metadata, wildcards_index

studies = Table(
    "studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String(64), nullable=False),
    Column("study_uid", String(64), nullable=False),
    Column("patient_id", String(64), nullable=False, server_default=""),
    Column("patient_name", Text, nullable=False, server_default=""),
    Column("patient_birth_date", String(8), nullable=False, server_default=""),
    Column("patient_sex", String(16), nullable=False, server_default=""),
    Column("study_date", String(8), nullable=False, server_default=""),
    Column("study_time", String(16), nullable=False, server_default=""),
    Column("accession_number", String(64), nullable=False, server_default=""),
    Column("study_id", String(64), nullable=False, server_default=""),
    Column("study_description", Text, nullable=False, server_default=""),
    Column("referring_physician_name", Text, nullable=False, server_default=""),
    # The study's own attributes as served, DICOM JSON.
    Column("attributes", Text, nullable=False, server_default="{}"),
    # HMAC of the original Patient ID and Issuer: two patients under one Study Instance UID are noticed without it.
    Column("patient_digest", LargeBinary, nullable=True),
    Column("state", String(16), nullable=False, server_default="receiving"),  # receiving, complete
    Column("version", Integer, nullable=False, server_default="0"),  # completions so far
    Column("created_at", Float, nullable=False),
    Column("last_image_at", Float, nullable=False),
    Column("completed_at", Float, nullable=True),
    Column("changed_at", Float, nullable=False),
    Column("shows_image", Boolean, nullable=False, server_default="0"),  # service.archive.shown_images
    UniqueConstraint("project", "study_uid"),
)


wildcards_index("studies_by_patient", studies.c.patient_id)
# A list of studies comes in this order, read from its end.
_moment = (studies.c.study_date, studies.c.study_time)
Index("studies_by_date", studies.c.project, *_moment, studies.c.id, studies.c.shows_image)
wildcards_index("studies_by_accession", studies.c.accession_number)
Index("studies_by_birth_date", studies.c.project, studies.c.patient_birth_date)
wildcards_index("studies_by_study_id", studies.c.study_id)
wildcards_index("studies_by_description", studies.c.study_description)
Index("studies_by_state", studies.c.state, studies.c.last_image_at)

series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String(64), nullable=False),
    Column("study_id", ForeignKey("studies.id", ondelete="CASCADE"), nullable=False),
    Column("series_uid", String(64), nullable=False),
    Column("modality", String(16), nullable=False, server_default=""),
    Column("series_number", Integer, nullable=True),
    Column("series_description", Text, nullable=False, server_default=""),
    Column("body_part", String(64), nullable=False, server_default=""),
    Column("start_date", String(8), nullable=False, server_default=""),  # Performed Procedure Step Start Date
    Column("start_time", String(16), nullable=False, server_default=""),
    Column("attributes", Text, nullable=False, server_default="{}"),
    Column("changed_at", Float, nullable=False),
    Column("shows_image", Boolean, nullable=False, server_default="0"),  # as in studies
    UniqueConstraint("study_id", "series_uid"),
)
Index("series_by_uid", series.c.project, series.c.series_uid)
Index("series_by_modality", series.c.study_id, series.c.modality, series.c.shows_image)
# With the id behind them: what has one of these values comes in order without being sorted.
_places_of_series = (series.c.id, series.c.study_id, series.c.shows_image)
Index("series_of_modality", series.c.project, series.c.modality, *_places_of_series)
Index("series_by_number", series.c.project, series.c.series_number, *_places_of_series)
Index("series_by_start", series.c.project, series.c.start_date, series.c.start_time)
wildcards_index("series_by_body_part", series.c.body_part)
wildcards_index("series_by_description", series.c.series_description)

instances = Table(
    "instances",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String(64), nullable=False),
    Column("study_id", ForeignKey("studies.id", ondelete="CASCADE"), nullable=False),
    Column("series_id", ForeignKey("series.id", ondelete="CASCADE"), nullable=False),
    Column("sop_instance_uid", String(64), nullable=False),
    Column("sop_class_uid", String(64), nullable=False),
    Column("transfer_syntax_uid", String(64), nullable=False),
    Column("kind", String(16), nullable=False),  # service.core.records.ObjectKind
    Column("annotator", String(64), nullable=False, server_default=""),
    Column("run_id", Integer, nullable=True),
    Column("visible", Boolean, nullable=False, server_default="1"),  # an older version of a result is kept, not shown
    Column("instance_number", Integer, nullable=True),
    Column("rows", Integer, nullable=True),
    Column("columns", Integer, nullable=True),
    Column("bits_allocated", Integer, nullable=True),
    Column("number_of_frames", Integer, nullable=True),
    Column("content_digest", LargeBinary, nullable=False),
    Column("blob_key", String(200), nullable=False),
    Column("blob_size", BigInteger, nullable=False),
    Column("data_set_offset", BigInteger, nullable=False),
    Column("pixel_tag", Integer, nullable=True),
    Column("pixel_offset", BigInteger, nullable=True),
    Column("pixel_length", BigInteger, nullable=True),
    Column("pixel_encapsulated", Boolean, nullable=True),
    Column("metadata", LargeBinary, nullable=False),  # service.archive.metadata_cache
    Column("received_at", Float, nullable=False),
    Column("indexed_at", Float, nullable=False),
    Column("author", String(32), nullable=False, server_default=""),  # account of the reader who made an annotation
    Column("stored_by", String(32), nullable=False, server_default=""),  # who stored an annotation over the web
    UniqueConstraint("project", "sop_instance_uid"),
)
# Counting what is shown, and to whom, needs these alone, without the rows and their metadata.
_shown = (instances.c.kind, instances.c.author)
Index("instances_by_series", instances.c.series_id, instances.c.visible, instances.c.instance_number, *_shown)
Index("instances_by_study", instances.c.study_id, instances.c.visible, instances.c.series_id, *_shown)
_places = (instances.c.id, instances.c.visible, instances.c.study_id, instances.c.series_id)
Index("instances_by_class", instances.c.project, instances.c.sop_class_uid, *_places)
Index("instances_by_number", instances.c.project, instances.c.instance_number, *_places)

# Who sent an instance, by DICOM: storage commitment is nobody else's business.
senders = Table(
    "senders",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("ae_title", String(64), nullable=False),
    Column("address", String(64), nullable=False),
    UniqueConstraint("ae_title", "address"),
)
sent_instances = Table(
    "sent_instances",
    metadata,
    Column("instance_id", ForeignKey("instances.id", ondelete="CASCADE"), primary_key=True),
    Column("sender_id", ForeignKey("senders.id", ondelete="CASCADE"), primary_key=True),
)

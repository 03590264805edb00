"""The tables of the index.

Nothing here holds a patient's identity outside the sealed column of ``vault``: in a de-identifying project the
attributes are those that are served. Times are seconds since the epoch, UTC. A column ``project`` stands first in
each key, since no query ever crosses projects.
"""

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
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

projects = Table(
    "projects",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("created_at", Float, nullable=False),
    # SHA-256 fingerprint of the project's identity keys: a key file that does not fit is noticed at start.
    Column("key_fingerprint", String(64), nullable=False, server_default=""),
)

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
    UniqueConstraint("project", "study_uid"),
)
Index("studies_by_patient", studies.c.project, studies.c.patient_id)
Index("studies_by_date", studies.c.project, studies.c.study_date)
Index("studies_by_accession", studies.c.project, studies.c.accession_number)
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
    UniqueConstraint("study_id", "series_uid"),
)
Index("series_by_uid", series.c.project, series.c.series_uid)
Index("series_by_modality", series.c.study_id, series.c.modality)

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
    UniqueConstraint("project", "sop_instance_uid"),
)
# Counting what is shown needs these alone, without the rows and their metadata.
Index("instances_by_series", instances.c.series_id, instances.c.visible, instances.c.instance_number)
Index("instances_by_study", instances.c.study_id, instances.c.visible, instances.c.series_id)

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

# Peers that are told of a complete study (PS3.4 Annex R), and how far that came.
availability_notices = Table(
    "availability_notices",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("study_uid", String(64), primary_key=True),  # as served
    Column("peer", String(64), primary_key=True),
    Column("state", String(16), nullable=False, server_default="open"),  # open, sent, failed
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("last_error", Text, nullable=False, server_default=""),
    Column("next_at", Float, nullable=False),  # not before; the end of its lease while somebody is at it
    Column("completed_at", Float, nullable=False),
)
Index("availability_notices_due", availability_notices.c.state, availability_notices.c.next_at)

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

# Storage commitment, both ways (PS3.4 Annex J): what peers asked us, and what we asked them. UIDs of instances are
# identity where they are original ones, so they stand in the sealed column alone.
commitments = Table(
    "commitments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("role", String(8), nullable=False),  # scp: we were asked; scu: we asked
    Column("project", String(64), nullable=False),
    Column("peer", String(64), nullable=False),  # the AE title that asked us, or the name of the peer that we asked
    Column("called_ae_title", String(16), nullable=False, server_default=""),
    Column("transaction_digest", String(64), nullable=False),  # keyed
    Column("content_digest", String(64), nullable=False),  # keyed, over the instances that were named
    Column("sealed", LargeBinary, nullable=False),  # JSON: Transaction UID, instances, and what was answered
    Column("state", String(16), nullable=False, server_default="open"),  # open, sent, done, failed
    Column("instances", Integer, nullable=False),
    Column("committed", Integer, nullable=False, server_default="0"),
    Column("failed", Integer, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("last_error", Text, nullable=False, server_default=""),
    Column("lease_owner", String(64), nullable=False, server_default=""),
    Column("next_at", Float, nullable=False),  # not before; the end of its lease while somebody is at it
    Column("requested_at", Float, nullable=False),
    Column("ended_at", Float, nullable=True),
    UniqueConstraint("role", "peer", "transaction_digest", "content_digest"),
)
Index("commitments_due", commitments.c.role, commitments.c.state, commitments.c.next_at)

users = Table(
    "users",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("projects", Text, nullable=False, server_default='["*"]'),  # JSON list of names, or *
    Column("disabled", Boolean, nullable=False, server_default="0"),
    Column("created_at", Float, nullable=False),
)

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

# What was made here and may leave: one row for each version of a result, from its making to its recall.
releases = Table(
    "releases",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String(64), nullable=False),
    Column("study_uid", String(64), nullable=False),  # as served
    Column("series_uid", String(64), nullable=False, server_default=""),  # of what was looked at, as served
    Column("annotator", String(64), nullable=False),
    Column("run_id", Integer, nullable=True, unique=True),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("objects", Text, nullable=False),  # JSON: by form, SOP Instance UIDs in the order in which they leave
    Column("state", String(16), nullable=False, server_default="waiting"),  # service.core.deliveries.ReleaseState
    Column("reason", Text, nullable=False, server_default=""),
    Column("recall_code", String(16), nullable=False, server_default=""),  # title of the rejection note (DCM)
    Column("created_at", Float, nullable=False),
    Column("decided_at", Float, nullable=True),
    Column("decided_by", String(64), nullable=False, server_default=""),
)
Index("releases_by_state", releases.c.state, releases.c.project, releases.c.annotator)
Index("releases_by_study", releases.c.project, releases.c.study_uid)

# The outbox: what goes to which peer, how far it came, and what stands in its way. No identity.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String(64), nullable=False),
    Column("release_id", ForeignKey("releases.id", ondelete="CASCADE"), nullable=False),
    Column("study_uid", String(64), nullable=False),  # as served
    Column("peer", String(64), nullable=False),
    Column("kind", String(16), nullable=False, server_default="result"),  # result, rejection
    Column("objects", Text, nullable=False),  # JSON as in releases
    Column("state", String(16), nullable=False, server_default="waiting"),  # service.core.deliveries.DeliveryState
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_at", Float, nullable=False),
    Column("last_error", Text, nullable=False, server_default=""),
    Column("warning", Text, nullable=False, server_default=""),
    # Keyed digests of who the peer says that the patient is, and of who a person accepted.
    Column("found_identity", String(64), nullable=False, server_default=""),
    Column("accepted_identity", String(64), nullable=False, server_default=""),
    Column("commitment", String(16), nullable=False, server_default=""),  # wanted, asked, committed, failed
    Column("commitment_uid", String(64), nullable=False, server_default=""),  # Transaction UID
    Column("commitment_at", Float, nullable=True),  # when it was asked for, or answered
    Column("created_at", Float, nullable=False),
    Column("queued_at", Float, nullable=False),  # from here on the days of trying count
    Column("finished_at", Float, nullable=True),
    Column("decided_by", String(64), nullable=False, server_default=""),
)
Index("deliveries_due", deliveries.c.peer, deliveries.c.state, deliveries.c.next_at)
Index("deliveries_by_study", deliveries.c.project, deliveries.c.study_uid, deliveries.c.peer)
Index("deliveries_by_state", deliveries.c.project, deliveries.c.state)
Index("deliveries_by_release", deliveries.c.release_id)
Index("deliveries_by_commitment", deliveries.c.commitment_uid)

delivery_items = Table(
    "delivery_items",
    metadata,
    Column("delivery_id", ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),  # the order in which they are sent
    Column("sop_class_uid", String(64), nullable=False),
    Column("sop_instance_uid", String(64), nullable=False),
    Column("state", String(16), nullable=False, server_default="waiting"),  # waiting, sending, sent, refused
    Column("status", Integer, nullable=True),  # what the peer answered
    Column("words", Text, nullable=False, server_default=""),
    Column("sent_at", Float, nullable=True),
)
Index("delivery_items_by_instance", delivery_items.c.sop_instance_uid)

# Who delivers to a peer now, and when one that was away is tried again.
delivery_peers = Table(
    "delivery_peers",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("lease_owner", String(64), nullable=False, server_default=""),
    Column("lease_until", Float, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("next_at", Float, nullable=False, server_default="0"),
    Column("last_error", Text, nullable=False, server_default=""),
    Column("sent", Integer, nullable=False, server_default="0"),  # deliveries that it took; never falls
)

# Instances that a rejection note named (IHE IOCM): hidden, also when they come later.
rejections = Table(
    "rejections",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("sop_instance_uid", String(64), primary_key=True),  # as served
    Column("study_uid", String(64), nullable=False),
    Column("note_uid", String(64), nullable=False),  # SOP Instance UID of the note, as served
    Column("code", String(16), nullable=False),  # its title (DCM)
    Column("state", String(16), nullable=False, server_default="hidden"),  # hidden, restored
    Column("at", Float, nullable=False),
    Column("acted_at", Float, nullable=True),  # when runs were stopped and results recalled
    Column("restored_at", Float, nullable=True),
    Column("restored_by", String(64), nullable=False, server_default=""),
)
Index("rejections_by_study", rejections.c.project, rejections.c.study_uid)
Index("rejections_open", rejections.c.acted_at)

# Studies that somebody asked to fetch from a peer. By what they are looked for, an accession number or a patient's ID,
# is identity: it stands sealed, and is found again by a keyed digest.
pulls = Table(
    "pulls",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", String(64), nullable=False),
    Column("peer", String(64), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("origin_study_uid", String(64), nullable=False, server_default=""),  # whose priors these are, as served
    Column("annotator", String(64), nullable=False, server_default=""),  # for whose runs; "" for people
    Column("state", String(16), nullable=False, server_default="waiting"),  # service.core.pulls.PullState
    Column("reason", Text, nullable=False, server_default=""),
    Column("requested_by", String(64), nullable=False),
    Column("requested_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_at", Float, nullable=False),
    Column("lease_owner", String(64), nullable=False, server_default=""),
    Column("lease_until", Float, nullable=False, server_default="0"),
    Column("finished_at", Float, nullable=True),
)
Index("pulls_due", pulls.c.state, pulls.c.next_at)
Index("pulls_by_digest", pulls.c.project, pulls.c.digest)
Index("pulls_by_origin", pulls.c.project, pulls.c.origin_study_uid)

# What each request came to, by study; the original UID stands sealed.
pull_studies = Table(
    "pull_studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pull_id", ForeignKey("pulls.id", ondelete="CASCADE"), nullable=False),
    Column("project", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("study_uid", String(64), nullable=False),  # as served
    Column("state", String(16), nullable=False, server_default="waiting"),  # service.core.pulls.StudyPullState
    Column("reason", Text, nullable=False, server_default=""),
    Column("expected", Integer, nullable=True),  # objects that the peer counts
    Column("held", Integer, nullable=False, server_default="0"),  # those of them that are in the archive
    Column("updated_at", Float, nullable=False),
    UniqueConstraint("pull_id", "digest"),
)
Index("pull_studies_by_uid", pull_studies.c.project, pull_studies.c.study_uid)

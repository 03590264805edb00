"""What leaves, what is promised of it, and what notes took back."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from service.archive.schema.base import metadata

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

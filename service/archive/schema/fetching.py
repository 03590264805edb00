"""Studies that somebody asked to fetch from peers."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from service.archive.schema.base import metadata

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

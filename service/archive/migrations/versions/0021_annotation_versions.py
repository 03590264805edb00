"""Versions of annotations: who said what after what.

Revision ID: 0021
Revises: 0020
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, and file what is there: runs by their versions, each annotation as the first of its line."""
    op.create_table(
        "annotation_versions",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("study_uid", sa.String(64), nullable=False),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("parent", sa.Integer(), nullable=True),
        sa.Column("restored", sa.Integer(), nullable=True),
        sa.Column("author", sa.String(32), server_default="", nullable=False),
        sa.Column("stored_by", sa.String(32), server_default="", nullable=False),
        sa.Column("sender", sa.String(16), server_default="", nullable=False),
        sa.Column("annotator", sa.String(64), server_default="", nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("series_uid", sa.String(64), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("protocol", sa.Text(), server_default="", nullable=False),
        sa.Column("protocol_version", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.UniqueConstraint("line", "number"),
    )
    op.create_index("annotation_versions_by_study", "annotation_versions", ["project", "study_uid"])
    op.create_index("annotation_versions_by_run", "annotation_versions", ["run_id"])
    version = sa.ForeignKey("annotation_versions.id", ondelete="CASCADE")
    op.create_table(
        "annotation_objects",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("sop_instance_uid", sa.String(64), primary_key=True),
        sa.Column("version_id", sa.Integer(), version, nullable=False),
        sa.Column("family", sa.String(64), nullable=False),
        sa.Column("refers_to", sa.Text(), server_default="[]", nullable=False),
    )
    op.create_index("annotation_objects_by_version", "annotation_objects", ["version_id"])
    version = sa.ForeignKey("annotation_versions.id", ondelete="CASCADE")
    op.create_table(
        "annotation_marks",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("tracking_uid", sa.String(64), primary_key=True),
        sa.Column("sop_instance_uid", sa.String(64), primary_key=True),
        sa.Column("version_id", sa.Integer(), version, nullable=False),
    )
    op.create_index("annotation_marks_by_version", "annotation_marks", ["version_id"])
    op.create_index("annotation_marks_by_instance", "annotation_marks", ["project", "sop_instance_uid"])
    _file_what_is_there(op.get_bind())


def downgrade() -> None:
    """Forget them; the objects stay as they are."""
    for table in ("annotation_marks", "annotation_objects", "annotation_versions"):
        op.drop_table(table)


def _file_what_is_there(connection: sa.Connection) -> None:
    """Which object followed which was never written down but for runs; tracking UIDs stand in the objects alone."""
    held = connection.execute(
        sa.text(
            "SELECT i.project, s.study_uid, i.sop_instance_uid, i.sop_class_uid, i.kind, i.author, i.stored_by,"
            " i.indexed_at, i.run_id, r.annotator, r.series_uid, r.version"
            " FROM instances i JOIN studies s ON s.id = i.study_id LEFT JOIN runs r ON r.id = i.run_id"
            " WHERE i.kind = 'annotation' OR (i.kind = 'result' AND i.run_id IS NOT NULL)"
            " ORDER BY COALESCE(r.version, 0), i.id"
        )
    ).all()
    lines: dict[tuple[object, ...], tuple[int, int, int]] = {}
    by_run: dict[int, int] = {}
    for row in held:
        if row.run_id in by_run:
            version_id = by_run[row.run_id]
        else:
            key = (row.project, row.study_uid, row.annotator, row.series_uid)
            line, number, parent = lines.get(key, (0, 0, 0)) if row.run_id is not None else (0, 0, 0)
            version_id = _add(connection, row, line, number + 1, parent)
            if row.run_id is not None:
                by_run[row.run_id] = version_id
                lines[key] = (line or version_id, number + 1, version_id)
        connection.execute(
            sa.text(
                "INSERT INTO annotation_objects (project, sop_instance_uid, version_id, family)"
                " VALUES (:project, :uid, :version_id, :family)"
            ),
            {
                "project": row.project,
                "uid": row.sop_instance_uid,
                "version_id": version_id,
                "family": _family(row.sop_class_uid),
            },
        )


def _add(connection: sa.Connection, row: sa.Row[tuple[object, ...]], line: int, number: int, parent: int) -> int:
    version_id: int = connection.execute(
        sa.text(
            "INSERT INTO annotation_versions (project, study_uid, line, number, parent, author, stored_by, annotator,"
            " run_id, series_uid, created_at) VALUES (:project, :study_uid, :line, :number, :parent, :author,"
            " :stored_by, :annotator, :run_id, :series_uid, :created_at) RETURNING id"
        ),
        {
            "project": row.project,
            "study_uid": row.study_uid,
            "line": line or None,
            "number": number,
            "parent": parent or None,
            "author": row.author,
            "stored_by": row.stored_by,
            "annotator": row.annotator or "",
            "run_id": row.run_id,
            "series_uid": row.series_uid or "",
            "created_at": row.indexed_at,
        },
    ).scalar_one()
    if not line:
        connection.execute(
            sa.text("UPDATE annotation_versions SET line = :id WHERE id = :id"), {"id": version_id}
        )
    return version_id


def _family(sop_class_uid: str) -> str:
    """As `service.core.versions.family_of` was when this was written."""
    if sop_class_uid in ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"):
        return "segmentation"
    if sop_class_uid in tuple(f"1.2.840.10008.5.1.4.1.1.88.{end}" for end in (11, 22, 33, 34, 35)):
        return "report"
    return sop_class_uid

"""Rows of the index as the values that other rooms see."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, Select, select

from service.archive.schema import instances, runs, series, studies
from service.core.archived import (
    AddKind,
    AddOutcome,
    ConflictRow,
    InstanceRow,
    IntakeRow,
    QuarantineRow,
    Replacement,
    RunRow,
    RunState,
    SeriesRow,
    StudyRow,
    StudySummary,
)
from service.core.records import ObjectKind, PixelLocation, StoredBlob

__all__ = [
    "AddKind",
    "AddOutcome",
    "AnyRow",
    "AnySelect",
    "ConflictRow",
    "InstanceRow",
    "IntakeRow",
    "QuarantineRow",
    "Replacement",
    "RunRow",
    "RunState",
    "SeriesRow",
    "StudyRow",
    "StudySummary",
    "instance_query",
    "instance_row",
    "run_query",
    "run_row",
    "series_query",
    "series_row",
    "study_row",
]

AnyRow = Row[*tuple[Any, ...]]
AnySelect = Select[*tuple[Any, ...]]


def instance_query() -> AnySelect:
    """Instances with the UIDs of their study and series, without metadata; `instance_row` takes its rows."""
    columns = [column for column in instances.c if column.name != "metadata"]
    return select(*columns, studies.c.study_uid, series.c.series_uid).select_from(
        instances.join(series, instances.c.series_id == series.c.id).join(studies, instances.c.study_id == studies.c.id)
    )


def instance_row(row: AnyRow) -> InstanceRow:
    """A row of `instance_query`."""
    pixels = None
    if row.pixel_tag is not None:
        pixels = PixelLocation(row.pixel_tag, row.pixel_offset, row.pixel_length, row.pixel_encapsulated)
    return InstanceRow(
        id=row.id,
        project=row.project,
        study_row_id=row.study_id,
        series_row_id=row.series_id,
        study_uid=row.study_uid,
        series_uid=row.series_uid,
        sop_instance_uid=row.sop_instance_uid,
        sop_class_uid=row.sop_class_uid,
        transfer_syntax_uid=row.transfer_syntax_uid,
        kind=ObjectKind(row.kind),
        annotator=row.annotator,
        run_id=row.run_id,
        visible=row.visible,
        instance_number=row.instance_number,
        rows=row.rows,
        columns=row.columns,
        bits_allocated=row.bits_allocated,
        number_of_frames=row.number_of_frames,
        content_digest=row.content_digest,
        blob=StoredBlob(row.blob_key, row.blob_size, row.data_set_offset, pixels),
        received_at=row.received_at,
        indexed_at=row.indexed_at,
        author=row.author,
    )


def study_query() -> AnySelect:
    """Studies; `study_row` takes its rows."""
    return select(*(column for column in studies.c if column.name != "shows_image"))


def study_row(row: AnyRow) -> StudyRow:
    """A row of `study_query`."""
    return StudyRow(**row._mapping)


def series_query() -> AnySelect:
    """Series with the UID of their study; `series_row` takes its rows."""
    columns = [column for column in series.c if column.name not in {"study_id", "shows_image"}]
    return select(*columns, studies.c.study_uid).select_from(series.join(studies, series.c.study_id == studies.c.id))


def series_row(row: AnyRow) -> SeriesRow:
    """A row of `series_query`."""
    return SeriesRow(**row._mapping)


def run_query() -> AnySelect:
    """Runs with the UID of their study; `run_row` takes its rows."""
    columns = [column for column in runs.c if column.name not in {"study_id", "priority", "not_before"}]
    return select(*columns, runs.c.study_id.label("study_row_id"), studies.c.study_uid).select_from(
        runs.join(studies, runs.c.study_id == studies.c.id)
    )


def run_row(row: AnyRow) -> RunRow:
    """A row of `run_query`."""
    values = dict(row._mapping)
    return RunRow(**values | {"state": RunState(values["state"])})

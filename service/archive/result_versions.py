"""Versions of what an annotator found in a series: the newest is shown, older ones are kept."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Connection, select

from service.archive.schema import instances, runs
from service.core.archived import RunRow, RunState
from service.core.records import ObjectKind

SUPERSEDED: Final = "a newer run over the same series is done already"
"""Why a run ends as refused whose images were outrun: others came, were looked at, and this one took longer."""


def newer_is_done(connection: Connection, run: RunRow) -> bool:
    """Whether a newer run of the same annotator over the same series is done."""
    newer = runs.c.version > run.version, runs.c.state == RunState.DONE
    query = select(runs.c.id).where(*_siblings(run), *newer).limit(1)
    return connection.execute(query).first() is not None


def shown_of_earlier(connection: Connection, run: RunRow) -> list[str]:
    """SOP Instance UIDs of what earlier versions of the run's annotator on its series show now."""
    earlier = select(runs.c.id).where(*_siblings(run), runs.c.version < run.version)
    query = select(instances.c.sop_instance_uid).where(
        instances.c.study_id == run.study_row_id,
        instances.c.kind == str(ObjectKind.RESULT),
        instances.c.visible,
        instances.c.run_id.in_(earlier),
    )
    return list(connection.execute(query.order_by(instances.c.id)).scalars())


def _siblings(run: RunRow) -> tuple[ColumnElement[bool], ...]:
    """The condition on a run that it is of the same annotator on the same series, this one included."""
    return (
        runs.c.study_id == run.study_row_id,
        runs.c.annotator == run.annotator,
        runs.c.series_uid == run.series_uid,
    )

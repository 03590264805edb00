"""Whether studies are still receiving or complete."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, func, select, update

from service.archive.database import Database
from service.archive.rows import StudyRow, study_query, study_row
from service.archive.schema import studies

RECEIVING, COMPLETE = "receiving", "complete"


class StudyStates:
    """Moves studies from "receiving" to "complete" and back.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def receiving(self, project: str, quiet_since: float | None = None, limit: int = 100) -> list[StudyRow]:
        """Receiving studies of a project, the longest quiet first; those quiet since a time, if one is given."""
        query = study_query().where(studies.c.project == project, studies.c.state == RECEIVING)
        if quiet_since is not None:
            query = query.where(studies.c.last_image_at <= quiet_since)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(studies.c.last_image_at, studies.c.id).limit(limit))
            return [study_row(row) for row in rows]

    def next_quiet_since(self, project: str) -> float | None:
        """When the longest quiet of the receiving studies had its last image; None when none is receiving."""
        query = select(func.min(studies.c.last_image_at)).where(
            studies.c.project == project, studies.c.state == RECEIVING
        )
        with self._database.read() as connection:
            longest: float | None = connection.execute(query).scalar_one()
        return longest

    def complete(self, study: StudyRow, *, connection: Connection | None = None) -> int | None:
        """Mark a study complete as it was seen; its new version, or None when an image came or somebody was faster."""
        with self._database.write_or_join(connection) as transaction:
            moved = transaction.execute(
                update(studies)
                .where(
                    studies.c.id == study.id,
                    studies.c.state == RECEIVING,
                    studies.c.version == study.version,
                    studies.c.changed_at == study.changed_at,
                )
                .values(state=COMPLETE, version=study.version + 1, completed_at=self._clock())
            )
        return study.version + 1 if moved.rowcount == 1 else None

    def restore(self, study: StudyRow, *, connection: Connection | None = None) -> bool:
        """Back to "complete" without a new version: nothing of what came concerns anybody."""
        with self._database.write_or_join(connection) as transaction:
            moved = transaction.execute(
                update(studies)
                .where(studies.c.id == study.id, studies.c.state == RECEIVING, studies.c.changed_at == study.changed_at)
                .values(state=COMPLETE)
            )
        return moved.rowcount == 1

    def counts(self, project: str) -> Mapping[str, int]:
        """How many studies stand in each state."""
        query = select(studies.c.state, func.count()).where(studies.c.project == project).group_by(studies.c.state)
        with self._database.read() as connection:
            return dict(connection.execute(query).all())

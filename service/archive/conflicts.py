"""Instances that came again with other content, and what was done about it."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, func, select

from service.archive.database import Database, upsert
from service.archive.rows import ConflictRow
from service.archive.schema import conflicts


class ConflictTable:
    """Conflicts by project; UIDs are those that are served.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def add(
        self,
        project: str,
        sop_instance_uid: str,
        action: str,
        calling_ae_title: str = "",
        *,
        connection: Connection | None = None,
    ) -> None:
        """List a conflict; ``action`` is "kept-first", "replaced" or "quarantined". The same one again is counted."""
        row = {
            "project": project,
            "sop_instance_uid": sop_instance_uid,
            "action": action,
            "calling_ae_title": calling_ae_title,
            "at": self._clock(),
        }
        with self._database.write_or_join(connection) as transaction:
            statement = upsert(transaction, conflicts).values(row)
            transaction.execute(
                statement.on_conflict_do_update(
                    index_elements=[
                        conflicts.c.project,
                        conflicts.c.sop_instance_uid,
                        conflicts.c.action,
                        conflicts.c.calling_ae_title,
                    ],
                    set_={"at": statement.excluded.at, "times_seen": conflicts.c.times_seen + 1},
                )
            )

    def list(self, project: str | None = None, *, limit: int = 100, offset: int = 0) -> list[ConflictRow]:
        """Conflicts, the last first."""
        query = select(conflicts).order_by(conflicts.c.at.desc(), conflicts.c.id.desc()).limit(limit).offset(offset)
        if project is not None:
            query = query.where(conflicts.c.project == project)
        with self._database.read() as connection:
            return [ConflictRow(**row._mapping) for row in connection.execute(query)]

    def count(self, project: str | None = None) -> int:
        """How many there are."""
        query = select(func.count()).select_from(conflicts)
        with self._database.read() as connection:
            return connection.execute(
                query if project is None else query.where(conflicts.c.project == project)
            ).scalar_one()

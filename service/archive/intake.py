"""Objects on their way from the spool to the archive: one row each, until their segment is released."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, select, update

from service.archive.database import Database, upsert
from service.archive.rows import IntakeRow
from service.archive.schema import intake
from service.core.records import OutcomeKind

_RECEIVED = "received"
_CHUNK = 500
# Made once: to make a statement takes longer than to have it cached by SQLAlchemy.
_OF_ROW = update(intake).where(intake.c.id == bindparam("row_id"))
_BEGIN = _OF_ROW.values(attempts=intake.c.attempts + 1, updated_at=bindparam("now"))
_WITHDRAW = _OF_ROW.where(intake.c.attempts > 0).values(attempts=intake.c.attempts - 1, updated_at=bindparam("now"))
_FINISH = _OF_ROW.values(state=bindparam("outcome"), reason=bindparam("why"), updated_at=bindparam("now"))
_FIND = select(intake).where(intake.c.source_key.in_(bindparam("keys", expanding=True)))


@dataclass(frozen=True, slots=True)
class Arrival:
    """An object that the spool holds; ``source_key`` is its segment's name, a slash, and its number there."""

    source_key: str
    project: str
    received_at: float


class IntakeTable:
    """What was received and what became of it.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def register(self, arrivals: Iterable[Arrival], *, connection: Connection | None = None) -> int:
        """Note that objects have arrived; those that are known already stay as they are. How many are new."""
        now = self._clock()
        rows = [
            {
                "source_key": arrival.source_key,
                "project": arrival.project,
                "received_at": arrival.received_at,
                "updated_at": now,
            }
            for arrival in arrivals
        ]
        if not rows:
            return 0
        with self._database.write_or_join(connection) as transaction:
            statement = upsert(transaction, intake).on_conflict_do_nothing().returning(intake.c.id)
            return len(transaction.execute(statement, rows).all())

    def pending(self, limit: int, project: str | None = None) -> list[IntakeRow]:
        """Objects of which nothing has become yet, the first received first."""
        query = select(intake).where(intake.c.state == _RECEIVED)
        if project is not None:
            query = query.where(intake.c.project == project)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(intake.c.received_at, intake.c.id).limit(limit))
            return [IntakeRow(**row._mapping) for row in rows]

    def begin(self, ids: Sequence[int]) -> None:
        """Count an attempt at each, before it is made: an object that kills its worker is known by its number."""
        if not ids:
            return
        now = self._clock()
        with self._database.write() as transaction:
            transaction.execute(_BEGIN, [{"row_id": row_id, "now": now} for row_id in ids])

    def withdraw(self, ids: Sequence[int]) -> None:
        """Take an attempt back: what was begun was put off, or stopped from outside."""
        if not ids:
            return
        now = self._clock()
        with self._database.write() as transaction:
            transaction.execute(_WITHDRAW, [{"row_id": row_id, "now": now} for row_id in ids])

    def finish(self, row_id: int, kind: OutcomeKind, reason: str = "", *, connection: Connection | None = None) -> None:
        """Note what became of one object."""
        self.finish_all([(row_id, kind, reason)], connection=connection)

    def finish_all(
        self, outcomes: Sequence[tuple[int, OutcomeKind, str]], *, connection: Connection | None = None
    ) -> None:
        """Note what became of objects: row, outcome, reason in words."""
        if not outcomes:
            return
        now = self._clock()
        rows = [{"row_id": row_id, "outcome": str(kind), "why": why, "now": now} for row_id, kind, why in outcomes]
        with self._database.write_or_join(connection) as transaction:
            transaction.execute(_FINISH, rows)

    def find(self, source_keys: Sequence[str]) -> dict[str, IntakeRow]:
        """The rows of objects, by source key."""
        found = {}
        with self._database.read() as connection:
            for start in range(0, len(source_keys), _CHUNK):
                chunk = list(source_keys[start : start + _CHUNK])
                for row in connection.execute(_FIND, {"keys": chunk}):
                    found[row.source_key] = IntakeRow(**row._mapping)
        return found

    def oldest_pending_at(self, project: str | None = None) -> float | None:
        """When the first of the objects was received of which nothing has become yet; None when none waits."""
        query = select(func.min(intake.c.received_at)).where(intake.c.state == _RECEIVED)
        if project is not None:
            query = query.where(intake.c.project == project)
        with self._database.read() as connection:
            oldest: float | None = connection.execute(query).scalar_one()
        return oldest

    def pending_count(self, project: str | None = None) -> int:
        """Of how many objects nothing has become yet."""
        query = select(func.count()).select_from(intake).where(intake.c.state == _RECEIVED)
        if project is not None:
            query = query.where(intake.c.project == project)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one()

    def pending_in_segment(self, segment: str) -> int:
        """Of how many objects of a segment nothing has become yet."""
        query = select(func.count()).select_from(intake).where(_of_segment(segment), intake.c.state == _RECEIVED)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one()

    def segments(self) -> set[str]:
        """The segments that have rows."""
        with self._database.read() as connection:
            keys = connection.execute(select(intake.c.source_key)).scalars()
            return {key.partition("/")[0] for key in keys}

    def delete_for_segment(self, segment: str) -> int:
        """Forget the objects of a segment that was released; how many."""
        statement = delete(intake).where(_of_segment(segment))
        with self._database.write() as transaction:
            return transaction.execute(statement).rowcount


def _of_segment(segment: str) -> ColumnElement[bool]:
    return intake.c.source_key.startswith(f"{segment}/", autoescape=True)

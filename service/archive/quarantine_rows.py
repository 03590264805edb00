"""The list of what could not be processed; the objects themselves lie encrypted elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select, update

from service.archive.database import Database, upsert
from service.archive.rows import QuarantineRow
from service.archive.schema import quarantine

HELD, RELEASED, DISCARDED, EXPIRED = "held", "released", "discarded", "expired"


@dataclass(frozen=True, slots=True)
class NewQuarantineRow:
    """One object that could not be processed; ``content_digest`` is keyed, ``reason`` holds no identity."""

    id: str
    project: str
    failure_reason: int
    reason: str
    source: str
    size: int
    received_at: float
    content_digest: bytes = field(repr=False)
    calling_ae_title: str = ""
    sop_class_uid: str = ""
    transfer_syntax_uid: str = ""
    waits_for: str = ""


@dataclass(frozen=True, slots=True)
class WaitingSeries:
    """Objects in quarantine that wait for the rest of their series; the last came ``last_at``."""

    project: str
    waits_for: str
    last_at: float


class QuarantineTable:
    """Quarantined objects by project; the same content is one row.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def add(self, new: NewQuarantineRow, *, connection: Connection | None = None) -> tuple[QuarantineRow, bool]:
        """The row of this content, and whether its object has to be kept now.

        Content that is held already is counted once more; content that was decided on before is held again, under the
        id that it had.
        """
        same = (quarantine.c.project == new.project, quarantine.c.content_digest == new.content_digest)
        values = {name: getattr(new, name) for name in NewQuarantineRow.__dataclass_fields__}
        with self._database.write_or_join(connection) as transaction:
            statement = upsert(transaction, quarantine).on_conflict_do_nothing().returning(quarantine.c.id)
            inserted = transaction.execute(statement, values).one_or_none() is not None
            is_kept = False
            if not inserted:
                state = transaction.execute(select(quarantine.c.state).where(*same).with_for_update()).scalar_one()
                is_kept = state == HELD
                changes = {"times_seen": quarantine.c.times_seen + 1} | ({} if is_kept else _held_again(new))
                transaction.execute(update(quarantine).where(*same).values(changes))
            row = transaction.execute(select(quarantine).where(*same)).one()
        return QuarantineRow(**row._mapping), not is_kept

    def get(self, row_id: str) -> QuarantineRow | None:
        """One row."""
        with self._database.read() as connection:
            row = connection.execute(select(quarantine).where(quarantine.c.id == row_id)).one_or_none()
        return None if row is None else QuarantineRow(**row._mapping)

    def list(
        self, project: str | None = None, *, state: str | None = HELD, limit: int = 100, offset: int = 0
    ) -> list[QuarantineRow]:
        """Rows in a state (None: in any), the last received first."""
        query = select(quarantine).order_by(quarantine.c.received_at.desc(), quarantine.c.id)
        if project is not None:
            query = query.where(quarantine.c.project == project)
        if state is not None:
            query = query.where(quarantine.c.state == state)
        with self._database.read() as connection:
            return [QuarantineRow(**row._mapping) for row in connection.execute(query.limit(limit).offset(offset))]

    def count(self, project: str | None = None, *, state: str = HELD) -> int:
        """How many rows stand in a state."""
        query = select(func.count()).select_from(quarantine).where(quarantine.c.state == state)
        if project is not None:
            query = query.where(quarantine.c.project == project)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one()

    def waiting(self) -> tuple[WaitingSeries, ...]:
        """Series of which something waits, the longest quiet first."""
        columns = (quarantine.c.project, quarantine.c.waits_for)
        last_at = func.max(quarantine.c.received_at)
        query = (
            select(*columns, last_at)
            .where(quarantine.c.state == HELD, quarantine.c.waits_for != "")
            .group_by(*columns)
            .order_by(last_at)
        )
        with self._database.read() as connection:
            return tuple(WaitingSeries(*row) for row in connection.execute(query))

    def of_series(self, series: WaitingSeries) -> tuple[str, ...]:
        """The ids of what waits for one series."""
        query = (
            select(quarantine.c.id)
            .where(quarantine.c.project == series.project, quarantine.c.waits_for == series.waits_for)
            .where(quarantine.c.state == HELD)
            .order_by(quarantine.c.received_at, quarantine.c.id)
        )
        with self._database.read() as connection:
            return tuple(connection.execute(query).scalars())

    def wait_no_longer(self, row_id: str, failure_reason: int, reason: str) -> bool:
        """Leave a waiting object to a person; False when it does not wait (any more)."""
        statement = (
            update(quarantine)
            .where(quarantine.c.id == row_id, quarantine.c.state == HELD, quarantine.c.waits_for != "")
            .values(waits_for="", failure_reason=failure_reason, reason=reason)
        )
        with self._database.write() as transaction:
            return transaction.execute(statement).rowcount == 1

    def decide(self, row_id: str, state: str, by: str, *, connection: Connection | None = None) -> bool:
        """Release or discard a held row; False when it is not held (any more): then somebody else decided."""
        if state not in {RELEASED, DISCARDED}:
            raise ValueError(f"nobody decides on {state}")
        statement = (
            update(quarantine)
            .where(quarantine.c.id == row_id, quarantine.c.state == HELD)
            .values(state=state, decided_at=self._clock(), decided_by=by)
        )
        with self._database.write_or_join(connection) as transaction:
            return transaction.execute(statement).rowcount == 1

    @contextmanager
    def unless_held(self, row_id: str) -> Iterator[bool]:
        """Whether an object may be erased: it is decided on, or has no row. It cannot come back meanwhile."""
        query = select(quarantine.c.state).where(quarantine.c.id == row_id).with_for_update()
        with self._database.write() as transaction:
            yield transaction.execute(query).scalar_one_or_none() != HELD

    def expire(self, before: float, project: str | None = None) -> tuple[str, ...]:
        """Give up what was received before a time; the ids whose objects are to be destroyed."""
        statement = (
            update(quarantine)
            .where(quarantine.c.state == HELD, quarantine.c.received_at < before)
            .values(state=EXPIRED, decided_at=self._clock())
        )
        if project is not None:
            statement = statement.where(quarantine.c.project == project)
        with self._database.write() as transaction:
            return tuple(transaction.execute(statement.returning(quarantine.c.id)).scalars())


def _held_again(new: NewQuarantineRow) -> dict[str, object]:
    return {
        "state": HELD,
        "failure_reason": new.failure_reason,
        "reason": new.reason,
        "received_at": new.received_at,
        "decided_at": None,
        "decided_by": "",
        "waits_for": new.waits_for,
    }

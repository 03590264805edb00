"""Peers that are to be told of complete studies, and how far each of them came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, select, update

from service.archive.database import Database, upsert
from service.archive.schema import availability_notices as notices

OPEN, SENT, FAILED = "open", "sent", "failed"


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """One peer that is to be told of one study; ``held_until`` is the end of the lease by which it was taken."""

    project: str
    study_uid: str
    peer: str
    attempts: int
    held_until: float
    completed_at: float


class AvailabilityNoticeTable:
    """Notices by study and peer; the newest completion is told, once.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def add(self, project: str, study_uid: str, peers: Sequence[str], connection: Connection) -> None:
        """Have peers be told of a study that became complete in the transaction at hand."""
        now = self._clock()
        again = {"state": OPEN, "attempts": 0, "last_error": "", "next_at": now, "completed_at": now}
        key = [notices.c.project, notices.c.study_uid, notices.c.peer]
        for peer in peers:
            values = {"project": project, "study_uid": study_uid, "peer": peer, **again}
            connection.execute(
                upsert(connection, notices).on_conflict_do_update(index_elements=key, set_=again), values
            )

    def lease(self, seconds: float) -> NoticeRow | None:
        """Take the notice that is due longest, for so many seconds; None when none is due."""
        now = self._clock()
        due = (
            select(notices)
            .where(notices.c.state == OPEN, notices.c.next_at <= now)
            .order_by(notices.c.next_at, notices.c.project, notices.c.study_uid, notices.c.peer)
            .limit(1)
        )
        with self._database.read() as reader:
            # A look that finds nothing does not keep writers waiting.
            if reader.execute(due).one_or_none() is None:
                return None
        with self._database.write() as transaction:
            row = transaction.execute(due.with_for_update(skip_locked=True)).one_or_none()
            if row is None:
                return None
            held = NoticeRow(row.project, row.study_uid, row.peer, row.attempts, now + seconds, row.completed_at)
            transaction.execute(update(notices).where(_is(held, row.next_at)).values(next_at=held.held_until))
        return held

    def sent(self, row: NoticeRow) -> bool:
        """The peer knows; False when the study became complete anew meanwhile, or somebody else is at it."""
        return self._end(row, {"state": SENT, "last_error": ""})

    def put_off(self, row: NoticeRow, seconds: float, error: str) -> bool:
        """Try again later."""
        values = {"attempts": row.attempts + 1, "next_at": self._clock() + seconds, "last_error": error}
        return self._end(row, values)

    def give_up(self, row: NoticeRow, error: str) -> bool:
        """Try no more."""
        return self._end(row, {"state": FAILED, "last_error": error})

    def _end(self, row: NoticeRow, values: dict[str, Any]) -> bool:
        with self._database.write() as transaction:
            return transaction.execute(update(notices).where(_is(row, row.held_until)).values(**values)).rowcount == 1


def _is(row: NoticeRow, next_at: float) -> ColumnElement[bool]:
    return (
        (notices.c.project == row.project)
        & (notices.c.study_uid == row.study_uid)
        & (notices.c.peer == row.peer)
        & (notices.c.state == OPEN)
        & (notices.c.next_at == next_at)
    )

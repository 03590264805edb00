"""Storage commitment in the index (PS3.4 Annex J): what peers asked us, what we asked them, and how far each came.

Any number of processes look for what is due; whoever takes a row holds it by a lease, so that each is answered once
in effect, and one whose holder died is taken by another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from service.archive.database import Database, upsert
from service.archive.schema import commitments


class CommitmentRole(StrEnum):
    """Who asked whom."""

    SCP = "scp"
    """A peer asked us."""
    SCU = "scu"
    """We asked a peer."""


class CommitmentState(StrEnum):
    """How far a transaction came."""

    OPEN = "open"
    """The answer, or our own request, has yet to be sent."""
    SENT = "sent"
    """Our request was taken; the peer's answer has yet to come."""
    DONE = "done"
    FAILED = "failed"
    """Given up; the reason says why."""


_AT_WORK = (CommitmentState.OPEN, CommitmentState.SENT)


@dataclass(frozen=True, slots=True)
class NewCommitment:
    """One transaction; digests are keyed, UIDs stand in ``sealed`` alone.

    Parameters
    ----------
    peer : the AE title that asked us, or the name of the peer that we ask
    instances : how many are named
    """

    role: CommitmentRole
    project: str
    peer: str
    transaction_digest: str
    content_digest: str
    sealed: bytes = field(repr=False)
    instances: int
    called_ae_title: str = ""


@dataclass(frozen=True, slots=True)
class CommitmentRow:
    """One row of ``commitments``."""

    id: int
    role: CommitmentRole
    project: str
    peer: str
    called_ae_title: str
    transaction_digest: str
    content_digest: str
    sealed: bytes = field(repr=False)
    state: CommitmentState
    instances: int
    committed: int
    failed: int
    attempts: int
    last_error: str
    lease_owner: str
    next_at: float
    requested_at: float
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a transaction ended with: how many instances are committed, how many not."""

    committed: int
    failed: int


class CommitmentTable:
    """Transactions of storage commitment.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def add(
        self, new: NewCommitment, *, next_at: float, owner: str = "", connection: Connection | None = None
    ) -> CommitmentRow:
        """Note a transaction; durable when this returns. The same one again is asked again, from its beginning.

        Parameters
        ----------
        next_at : when it is due; until then ``owner`` holds it, if one is named
        """
        now = self._clock()
        values = {name: getattr(new, name) for name in NewCommitment.__dataclass_fields__}
        values |= {"next_at": next_at, "requested_at": now, "lease_owner": owner}
        again = {
            "state": CommitmentState.OPEN,
            "attempts": 0,
            "next_at": next_at,
            "requested_at": now,
            "lease_owner": owner,
            "last_error": "",
            "ended_at": None,
        }
        key = [getattr(commitments.c, name) for name in ("role", "peer", "transaction_digest", "content_digest")]
        with self._database.write_or_join(connection) as transaction:
            statement = upsert(transaction, commitments).on_conflict_do_update(index_elements=key, set_=again)
            row_id = transaction.execute(statement.returning(commitments.c.id), values).scalar_one()
            return _row(transaction.execute(select(commitments).where(commitments.c.id == row_id)).one())

    def get(self, row_id: int) -> CommitmentRow | None:
        """One transaction."""
        return self._one(commitments.c.id == row_id)

    def find(self, role: CommitmentRole, transaction_digest: str) -> list[CommitmentRow]:
        """The transactions under a Transaction UID, the latest first; more than one when somebody gave it twice."""
        query = select(commitments).where(
            commitments.c.role == role, commitments.c.transaction_digest == transaction_digest
        )
        with self._database.read() as connection:
            found = connection.execute(query.order_by(commitments.c.requested_at.desc(), commitments.c.id.desc()))
            return [_row(row) for row in found]

    def lease(self, role: CommitmentRole, owner: str, seconds: float) -> CommitmentRow | None:
        """Take the transaction that is due longest, for so many seconds; None when none is due."""
        now = self._clock()
        due = (
            select(commitments.c.id)
            .where(commitments.c.role == role, commitments.c.state.in_(_AT_WORK), commitments.c.next_at <= now)
            .order_by(commitments.c.next_at, commitments.c.id)
            .limit(1)
        )
        with self._database.read() as reader:
            # A look that finds nothing does not keep writers waiting.
            if reader.execute(due).one_or_none() is None:
                return None
        with self._database.write() as transaction:
            row_id = transaction.execute(due.with_for_update(skip_locked=True)).scalar_one_or_none()
            if row_id is None:
                return None
            transaction.execute(
                update(commitments).where(commitments.c.id == row_id).values(lease_owner=owner, next_at=now + seconds)
            )
            return _row(transaction.execute(select(commitments).where(commitments.c.id == row_id)).one())

    def next_due_at(self, role: CommitmentRole) -> float | None:
        """When the next transaction is due; None when none is at work."""
        query = select(func.min(commitments.c.next_at)).where(
            commitments.c.role == role, commitments.c.state.in_(_AT_WORK)
        )
        with self._database.read() as connection:
            due: float | None = connection.execute(query).scalar_one()
        return due

    def postpone(
        self, row_id: int, owner: str, next_at: float, error: str = "", *, failed_attempt: bool = True
    ) -> bool:
        """Look at a transaction again later; False when it is not the owner's any more.

        Parameters
        ----------
        failed_attempt : it was tried and did not work; otherwise it was just too early
        """
        values: dict[str, Any] = {"next_at": next_at, "lease_owner": ""}
        if failed_attempt:
            values |= {"attempts": commitments.c.attempts + 1, "last_error": error}
        return self._update(_held_by(row_id, owner), values)

    def sent(self, row_id: int, owner: str, next_at: float) -> bool:
        """Our request was taken, its answer is missed from ``next_at`` on; False when the owner has lost it."""
        values = {"state": CommitmentState.SENT, "next_at": next_at, "lease_owner": "", "last_error": ""}
        # An answer may have come before its request was noted as taken: then it is done already.
        return self._update(_held_by(row_id, owner) & (commitments.c.state == CommitmentState.OPEN), values)

    def end(
        self,
        row_id: int,
        verdict: Verdict,
        *,
        owner: str | None = None,
        sealed: bytes | None = None,
        connection: Connection | None = None,
    ) -> bool:
        """Note the answer; False when it is not the owner's any more (None: whoever holds it).

        Parameters
        ----------
        sealed : takes the place of what was sealed before
        """
        values: dict[str, Any] = {
            "state": CommitmentState.DONE,
            "committed": verdict.committed,
            "failed": verdict.failed,
            "lease_owner": "",
            "last_error": "",
            "ended_at": self._clock(),
        }
        if sealed is not None:
            values["sealed"] = sealed
        which = commitments.c.id == row_id if owner is None else _held_by(row_id, owner)
        return self._update(which, values, connection)

    def give_up(self, row_id: int, owner: str, reason: str) -> bool:
        """Try no more; False when it is not the owner's any more."""
        values = {
            "state": CommitmentState.FAILED,
            "last_error": reason,
            "lease_owner": "",
            "ended_at": self._clock(),
        }
        return self._update(_held_by(row_id, owner), values)

    def retry(self, row_id: int) -> bool:
        """Try again at once what was given up; False when it was not."""
        values = {
            "state": CommitmentState.OPEN,
            "attempts": 0,
            "next_at": self._clock(),
            "requested_at": self._clock(),
            "ended_at": None,
        }
        return self._update((commitments.c.id == row_id) & (commitments.c.state == CommitmentState.FAILED), values)

    def counts(self, role: CommitmentRole, project: str | None = None) -> dict[CommitmentState, int]:
        """How many transactions stand in each state."""
        query = select(commitments.c.state, func.count()).where(commitments.c.role == role)
        if project is not None:
            query = query.where(commitments.c.project == project)
        with self._database.read() as connection:
            found = {CommitmentState(state): n for state, n in connection.execute(query.group_by(commitments.c.state))}
        return {state: found.get(state, 0) for state in CommitmentState}

    def forget(self, before: float) -> int:
        """Forget what ended before a time; how many."""
        statement = delete(commitments).where(commitments.c.state.not_in(_AT_WORK), commitments.c.ended_at < before)
        with self._database.write() as transaction:
            return transaction.execute(statement).rowcount

    def _one(self, which: ColumnElement[bool]) -> CommitmentRow | None:
        with self._database.read() as connection:
            row = connection.execute(select(commitments).where(which)).one_or_none()
        return None if row is None else _row(row)

    def _update(self, which: ColumnElement[bool], values: dict[str, Any], connection: Connection | None = None) -> bool:
        with self._database.write_or_join(connection) as transaction:
            return transaction.execute(update(commitments).where(which).values(**values)).rowcount == 1


def _held_by(row_id: int, owner: str) -> ColumnElement[bool]:
    return (commitments.c.id == row_id) & (commitments.c.lease_owner == owner) & commitments.c.state.in_(_AT_WORK)


def _row(row: Any) -> CommitmentRow:
    values = dict(row._mapping)
    return CommitmentRow(**values | {"role": CommitmentRole(values["role"]), "state": CommitmentState(values["state"])})

"""The audit trail: one row for each access and decision, in a chain that shows what was changed afterwards.

Rows are only ever added: triggers refuse to change or remove one, and each row carries an HMAC over itself and the row
before it, under a key that is not in the index. Whoever can write to the index but not read the key file cannot alter,
remove or insert a row unnoticed. Rows cut off at the end leave a chain that still holds: compare ``AuditVerdict.rows``
with the count that monitoring keeps (``annogate_audit_rows_total`` of ``/metrics``).

A row holds UIDs as they are served, never an original one, and nothing of what was searched for but the names of its
keys. Decisions (denials, failed logins, releases, discards, changes of accounts) are on disk before they are answered
(``AuditTrail.record``). Reads go through ``service.archive.audit_buffer``, which says what a crash can cost.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select

from service.archive.database import Database, hold_alone
from service.archive.schema import audit

# Column, what fills it, and how long it may be.
_TEXTS = {
    "actor": ("actor", 64),
    "address": ("address", 64),
    "action": ("action", 64),
    "project": ("project", 64),
    "object": ("target", 200),
}
_VERIFY_PAGE = 5000


class Outcome(IntEnum):
    """Event Outcome Indicator (PS3.15 A.5.3)."""

    SUCCESS = 0
    MINOR_FAILURE = 4
    SERIOUS_FAILURE = 8
    MAJOR_FAILURE = 12


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Who did what to what, and whether it was let happen.

    Parameters
    ----------
    actor : user or token name, AE title, or "annogate" for what the gateway does by itself
    action : "study.read", "quarantine.release", "access.denied" …
    target : UIDs as served, in the form ``study[/series[/instance]]``, or a quarantine id; never an original UID
    detail : numbers and words of the gateway's own; no value that a caller or a data set brought
    at : seconds since the epoch; the trail's clock when it is absent
    """

    actor: str
    action: str
    outcome: Outcome = Outcome.SUCCESS
    project: str = ""
    target: str = ""
    address: str = ""
    detail: Mapping[str, str | int | float | bool | Sequence[str]] = field(default_factory=dict)
    at: float | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One row of the trail."""

    id: int
    at: float
    actor: str
    address: str
    action: str
    outcome: Outcome
    project: str
    target: str
    detail: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What to look for; what is absent does not narrow the search.

    ``action`` ends in a dot to name a family ("quarantine."); ``before_id`` continues an earlier answer.
    """

    actor: str | None = None
    action: str | None = None
    project: str | None = None
    target: str | None = None
    since: float | None = None
    until: float | None = None
    failures_only: bool = False
    before_id: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """What the chain says: how many rows hold, the first that does not, and the newest link."""

    rows: int
    first_broken_id: int | None
    head: str

    @property
    def intact(self) -> bool:
        """Whether no row was changed, inserted, or removed before another."""
        return self.first_broken_id is None


def _link(key: bytes, before: str, row: Mapping[str, object]) -> str:
    """The chain value of a row: HMAC-SHA256 over the value before it and every column."""
    columns = ("id", "at", "actor", "address", "action", "outcome", "project", "object", "detail")
    text = json.dumps([before, *(row[column] for column in columns)], ensure_ascii=True, separators=(",", ":"))
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _audit_row(row: Row[Any]) -> AuditRow:
    return AuditRow(
        row.id,
        row.at,
        row.actor,
        row.address,
        row.action,
        Outcome(row.outcome),
        row.project,
        row.object,
        json.loads(row.detail),
    )


class AuditTrail:
    """The trail of one gateway; safe to use from many threads and processes.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    key : what the chain is keyed with, 32 bytes, from the key file
    """

    def __init__(self, database: Database, clock: Callable[[], float], key: bytes) -> None:
        self._database = database
        self._clock = clock
        self._key = key

    def now(self) -> float:
        """The time that an event recorded at this moment bears."""
        return self._clock()

    def record(self, event: AuditEvent) -> None:
        """Write one event; it is on disk when this returns."""
        self.record_all([event])

    def record_all(self, events: Sequence[AuditEvent]) -> None:
        """Write events in their order, in one transaction.

        Raises
        ------
        StorageExhausted : the disk is full, or another process kept the index locked for 30 s
        """
        with self._database.write() as connection:
            # Each row is chained to the one before it, so that two who write at once would take the same number.
            hold_alone(connection, audit)
            connection.execute(insert(audit), self._rows(events, connection))

    def _rows(self, events: Sequence[AuditEvent], connection: Connection) -> list[dict[str, object]]:
        last = connection.execute(select(audit.c.id, audit.c.chain).order_by(audit.c.id.desc()).limit(1)).first()
        number, link = (last.id, last.chain) if last else (0, "")
        rows = []
        for event in events:
            number += 1
            row: dict[str, object] = {
                "id": number,
                "at": float(self._clock() if event.at is None else event.at),
                "outcome": int(event.outcome),
                "detail": json.dumps(dict(event.detail), sort_keys=True),
            }
            row |= {column: str(getattr(event, name))[:length] for column, (name, length) in _TEXTS.items()}
            link = _link(self._key, link, row)
            rows.append(row | {"chain": link})
        return rows

    def search(self, query: AuditQuery) -> list[AuditRow]:
        """The rows that match, newest first."""
        with self._database.read() as connection:
            return [_audit_row(row) for row in connection.execute(_statement(query))]

    def count(self) -> int:
        """How many rows there are."""
        with self._database.read() as connection:
            return int(connection.execute(select(func.coalesce(func.max(audit.c.id), 0))).scalar_one())

    def verify(self) -> AuditVerdict:
        """Walk the whole chain from its first row."""
        number, link = 0, ""
        for row in self._pages():
            values = dict(row._mapping)
            expected = _link(self._key, link, values)
            if row.id != number + 1 or not hmac.compare_digest(expected, row.chain):
                return AuditVerdict(number, row.id, link)
            number, link = row.id, row.chain
        return AuditVerdict(number, None, link)

    def _pages(self) -> Iterator[Row[Any]]:
        """All rows by number; a page at a time, so that no reader holds the index for long."""
        last = 0
        while True:
            page = select(audit).where(audit.c.id > last).order_by(audit.c.id).limit(_VERIFY_PAGE)
            with self._database.read() as connection:
                rows = connection.execute(page).all()
            yield from rows
            if len(rows) < _VERIFY_PAGE:
                return
            last = rows[-1].id


def _statement(query: AuditQuery) -> Select[Any]:
    statement = select(audit)
    exact = {audit.c.actor: query.actor, audit.c.project: query.project}
    for column, value in exact.items():
        if value is not None:
            statement = statement.where(column == value)
    if query.action is not None:
        family = query.action.endswith(".")
        statement = statement.where(
            audit.c.action.startswith(query.action, autoescape=True) if family else audit.c.action == query.action
        )
    if query.target is not None:
        # A study's own rows and those of what lies in it.
        below = audit.c.object.startswith(f"{query.target}/", autoescape=True)
        statement = statement.where((audit.c.object == query.target) | below)
    if query.since is not None:
        statement = statement.where(audit.c.at >= query.since)
    if query.until is not None:
        statement = statement.where(audit.c.at < query.until)
    if query.failures_only:
        statement = statement.where(audit.c.outcome != int(Outcome.SUCCESS))
    if query.before_id is not None:
        statement = statement.where(audit.c.id < query.before_id)
    return statement.order_by(audit.c.id.desc()).limit(query.limit)

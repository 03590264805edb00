"""The outbox: what is on its way to which peer, object by object."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, func, insert, select, update

from service.archive.database import Database, upsert
from service.archive.releases import objects_of
from service.archive.rows import AnyRow
from service.archive.schema import deliveries, delivery_items, delivery_peers
from service.core.deliveries import (
    CommitmentStanding,
    DeliveryItem,
    DeliveryKind,
    DeliveryRow,
    DeliveryState,
    ItemState,
)

_CHUNK = 500
_NOT_ASKED = "-"  # in the place of the Transaction UID
_UNFINISHED = (DeliveryState.WAITING, DeliveryState.HELD)
FINISHED = (DeliveryState.SENT, DeliveryState.FAILED, DeliveryState.DISCARDED)


class OutboxTable:
    """Deliveries and their items.

    Whoever works on those of a peer holds the peer's lease (``service.archive.outbox_peers``).

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def add(
        self,
        *,
        project: str,
        release_id: int,
        study_uid: str,
        peer: str,
        objects: Mapping[str, Sequence[str]],
        kind: DeliveryKind = DeliveryKind.RESULT,
        commitment: CommitmentStanding = CommitmentStanding.NONE,
        connection: Connection | None = None,
    ) -> int:
        """Put something into the outbox; its number."""
        now = self._clock()
        row = {
            "project": project,
            "release_id": release_id,
            "study_uid": study_uid,
            "peer": peer,
            "kind": kind,
            "objects": json.dumps({form: list(uids) for form, uids in objects.items()}),
            "commitment": commitment,
            "commitment_uid": _open_commitment(commitment),
            "next_at": now,
            "created_at": now,
            "queued_at": now,
        }
        with self._database.write_or_join(connection) as transaction:
            return int(transaction.execute(insert(deliveries).returning(deliveries.c.id), row).scalar_one())

    def get(self, delivery_id: int) -> DeliveryRow | None:
        """One delivery."""
        found = self._found((deliveries.c.id == delivery_id,))
        return found[0] if found else None

    def items(self, delivery_id: int) -> list[DeliveryItem]:
        """Its objects in the order in which they are sent; none before the first attempt."""
        query = (
            select(delivery_items)
            .where(delivery_items.c.delivery_id == delivery_id)
            .order_by(delivery_items.c.position)
        )
        with self._database.read() as connection:
            return [_item(row) for row in connection.execute(query)]

    def page(
        self,
        project: str | None = None,
        *,
        state: DeliveryState | None = None,
        peer: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[DeliveryRow]:
        """Deliveries, the newest first."""
        pairs = ((deliveries.c.project, project), (deliveries.c.state, state), (deliveries.c.peer, peer))
        wanted = [column == value for column, value in pairs if value is not None]
        return self._found(wanted, deliveries.c.id.desc(), limit, offset)

    def of_study(self, project: str, study_uid: str) -> list[DeliveryRow]:
        """The deliveries of a study, in the order in which they were asked for."""
        return self._found((deliveries.c.project == project, deliveries.c.study_uid == study_uid), limit=1000)

    def of_release(self, release_id: int) -> list[DeliveryRow]:
        """The deliveries of one release."""
        return self._found((deliveries.c.release_id == release_id,), limit=1000)

    def due(self, peer: str, limit: int) -> list[DeliveryRow]:
        """What is to be sent to a peer now, in order.

        Nothing overtakes what was asked for earlier for the same study: a report must not arrive before the
        segmentation that it refers to, nor a note before what it takes back.
        """
        earlier = deliveries.alias("earlier")
        in_front = exists().where(
            and_(
                earlier.c.project == deliveries.c.project,
                earlier.c.study_uid == deliveries.c.study_uid,
                earlier.c.peer == deliveries.c.peer,
                earlier.c.id < deliveries.c.id,
                earlier.c.state.in_(_UNFINISHED),
                (earlier.c.state == DeliveryState.HELD) | (earlier.c.next_at > self._clock()),
            )
        )
        return self._found((*self._due(peer), ~in_front), limit=limit)

    def next_due_at(self, peer: str) -> float | None:
        """When the next delivery to a peer may be tried; None when nothing waits."""
        query = select(func.min(deliveries.c.next_at)).where(
            deliveries.c.peer == peer, deliveries.c.state == DeliveryState.WAITING
        )
        with self._database.read() as connection:
            earliest: float | None = connection.execute(query).scalar_one()
        return earliest

    def set_items(
        self, delivery_id: int, instances: Sequence[tuple[str, str]], state: ItemState = ItemState.WAITING
    ) -> list[DeliveryItem]:
        """Say which objects (class and instance) go, in order; what is said already stands.

        None are said, and nothing may leave, where somebody ended the delivery meanwhile.
        """
        rows = [
            {
                "delivery_id": delivery_id,
                "position": place,
                "sop_class_uid": pair[0],
                "sop_instance_uid": pair[1],
                "state": state,
            }
            for place, pair in enumerate(instances, start=1)
        ]
        with self._database.write() as transaction:
            known = select(delivery_items.c.position).where(delivery_items.c.delivery_id == delivery_id).limit(1)
            query = select(deliveries.c.state).where(deliveries.c.id == delivery_id).with_for_update()
            is_waiting = transaction.execute(query).scalar_one_or_none() == DeliveryState.WAITING
            if rows and is_waiting and transaction.execute(known).first() is None:
                transaction.execute(insert(delivery_items), rows)
        return self.items(delivery_id)

    def mark_sending(self, delivery_id: int, items: Sequence[DeliveryItem]) -> bool:
        """Note before they leave that objects are on their way: a kill in between must not go unnoticed.

        False, and nothing may leave, where somebody ended the delivery meanwhile.
        """
        with self._database.write() as transaction:
            query = select(deliveries.c.state).where(deliveries.c.id == delivery_id).with_for_update()
            if transaction.execute(query).scalar_one_or_none() != DeliveryState.WAITING:
                return False
            for item in items:
                if item.state is not ItemState.SENDING:
                    transaction.execute(update(delivery_items).where(*_is(item)).values(state=ItemState.SENDING))
        return True

    def record(
        self,
        item: DeliveryItem,
        state: ItemState,
        status: int | None,
        words: str,
        *,
        connection: Connection | None = None,
    ) -> None:
        """Note what became of one object."""
        sent_at = self._clock() if state is ItemState.SENT else None
        values = {"state": state, "status": status, "words": words, "sent_at": sent_at}
        with self._database.write_or_join(connection) as transaction:
            transaction.execute(update(delivery_items).where(*_is(item)).values(**values))

    def end_with(
        self, item: DeliveryItem, answer: tuple[ItemState, int | None, str], state: DeliveryState, **told: str
    ) -> None:
        """Note what became of the last object that goes, and the end of its delivery, at once."""
        with self._database.write() as transaction:
            self.record(item, *answer, connection=transaction)
            self.finish(item.delivery_id, state, **told, connection=transaction)

    def finish(
        self,
        delivery_id: int,
        state: DeliveryState,
        *,
        error: str = "",
        warning: str = "",
        by: str = "",
        connection: Connection | None = None,
    ) -> bool:
        """End a delivery; False when it has ended already."""
        values: dict[str, Any] = {"state": state, "last_error": error, "finished_at": self._clock(), "decided_by": by}
        if warning:
            values["warning"] = warning
        with self._database.write_or_join(connection) as transaction:
            ended = self._move(delivery_id, values, transaction)
            if ended and state is DeliveryState.SENT:
                _count_sent(delivery_id, transaction)
        return ended

    def put_off(self, delivery_id: int, next_at: float, error: str) -> bool:
        """Try later, after one more attempt that failed."""
        return self._move(delivery_id, {"next_at": next_at, "last_error": error, "attempts": deliveries.c.attempts + 1})

    def give_up(self, peer: str, before: float, words: str) -> list[DeliveryRow]:
        """End what has waited for a peer since before a time; the deliveries as they stand then."""
        old = (deliveries.c.peer == peer, deliveries.c.state == DeliveryState.WAITING, deliveries.c.queued_at < before)
        found = self._found(old, limit=_CHUNK)
        for delivery in found:
            reason = delivery.last_error or words
            self.finish(
                delivery.id, DeliveryState.FAILED, error=f"given up after days of trying: {reason}".rstrip(": ")
            )
        return [ended for delivery in found if (ended := self.get(delivery.id)) is not None]

    def hold(self, delivery_id: int, reason: str, found_identity: str = "") -> bool:
        """Leave a delivery to a person."""
        values = {"state": DeliveryState.HELD, "last_error": reason, "found_identity": found_identity}
        return self._move(delivery_id, values)

    def accept(self, delivery_id: int, by: str) -> bool:
        """Send what was held, to whom the peer says that the patient is now; False when it is not held (any more)."""
        values = {"accepted_identity": deliveries.c.found_identity, "found_identity": "", "decided_by": by}
        return self._queue(delivery_id, values, (DeliveryState.HELD,))

    def retry(self, delivery_id: int) -> bool:
        """Try again at once, the days so far forgotten; False when it was sent or discarded."""
        return self._queue(delivery_id, {}, (DeliveryState.WAITING, DeliveryState.HELD, DeliveryState.FAILED))

    def by_commitment(self, standing: CommitmentStanding, limit: int = 100) -> list[DeliveryRow]:
        """What was sent and stands so with its commitment, the longest unheard of first."""
        # By the index: what was answered long ago has no Transaction UID any more.
        open_one = deliveries.c.commitment_uid > ""
        wanted = (open_one, deliveries.c.commitment == standing, deliveries.c.state == DeliveryState.SENT)
        return self._found(wanted, deliveries.c.commitment_at, limit)

    def note_commitment(
        self, delivery_id: int, standing: CommitmentStanding, transaction_uid: str = "", warning: str = ""
    ) -> None:
        """Note how a peer's promise to keep a delivery stands."""
        values: dict[str, Any] = {
            "commitment": standing,
            "commitment_uid": _open_commitment(standing, transaction_uid),
            "commitment_at": self._clock(),
        }
        if warning:
            values["warning"] = warning
        with self._database.write() as transaction:
            transaction.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(**values))

    def send_again(self, delivery_id: int) -> bool:
        """Send what the peer had and does not keep; False when that is not how it stands."""
        lost = (deliveries.c.state == DeliveryState.SENT, deliveries.c.commitment == CommitmentStanding.FAILED)
        now = self._clock()
        again = {"state": DeliveryState.WAITING, "next_at": now, "queued_at": now, "finished_at": None, "warning": ""}
        with self._database.write() as transaction:
            moved = transaction.execute(
                update(deliveries)
                .where(deliveries.c.id == delivery_id, *lost)
                .values(**again, commitment=CommitmentStanding.WANTED, commitment_uid=_NOT_ASKED)
            ).rowcount
            if moved:
                transaction.execute(
                    update(delivery_items)
                    .where(delivery_items.c.delivery_id == delivery_id)
                    .values(state=ItemState.WAITING, status=None, words="", sent_at=None)
                )
        return bool(moved)

    def withdraw(self, release_id: int, reason: str, by: str, *, connection: Connection | None = None) -> int:
        """Keep here what was not sent yet of a release; how many deliveries that were."""
        statement = (
            update(deliveries)
            .where(deliveries.c.release_id == release_id, deliveries.c.state.in_(_UNFINISHED))
            .where(deliveries.c.kind == DeliveryKind.RESULT)
            .values(state=DeliveryState.DISCARDED, last_error=reason, finished_at=self._clock(), decided_by=by)
        )
        with self._database.write_or_join(connection) as transaction:
            return transaction.execute(statement).rowcount

    def give_back(self, release_id: int, reason: str, *, connection: Connection | None = None) -> int:
        """Send after all what was withdrawn for this reason; how many deliveries that were."""
        now = self._clock()
        again = {"state": DeliveryState.WAITING, "next_at": now, "queued_at": now, "finished_at": None, "attempts": 0}
        statement = (
            update(deliveries)
            .where(deliveries.c.release_id == release_id, deliveries.c.state == DeliveryState.DISCARDED)
            .where(deliveries.c.kind == DeliveryKind.RESULT, deliveries.c.last_error == reason)
            .values(**again, last_error="", decided_by="")
        )
        with self._database.write_or_join(connection) as transaction:
            return transaction.execute(statement).rowcount

    def is_finished(self, delivery_id: int) -> bool:
        """Whether nothing is left to do for a delivery, or there is none of this number."""
        row = self.get(delivery_id)
        return row is None or row.state in FINISHED

    def counts(self, project: str | None = None) -> dict[tuple[str, str], int]:
        """How many deliveries stand in each state, by peer and state."""
        query = select(deliveries.c.peer, deliveries.c.state, func.count()).group_by(
            deliveries.c.peer, deliveries.c.state
        )
        if project is not None:
            query = query.where(deliveries.c.project == project)
        with self._database.read() as connection:
            return {(peer, state): count for peer, state, count in connection.execute(query)}

    def _due(self, peer: str) -> tuple[ColumnElement[bool], ...]:
        return (
            deliveries.c.peer == peer,
            deliveries.c.state == DeliveryState.WAITING,
            deliveries.c.next_at <= self._clock(),
        )

    def _move(self, delivery_id: int, values: Mapping[str, Any], connection: Connection | None = None) -> bool:
        statement = update(deliveries).where(deliveries.c.id == delivery_id, deliveries.c.state.in_(_UNFINISHED))
        with self._database.write_or_join(connection) as transaction:
            return transaction.execute(statement.values(**values)).rowcount == 1

    def _queue(self, delivery_id: int, values: Mapping[str, Any], of: Sequence[DeliveryState]) -> bool:
        now = self._clock()
        again = {"state": DeliveryState.WAITING, "next_at": now, "queued_at": now, "finished_at": None, "attempts": 0}
        with self._database.write() as transaction:
            moved = transaction.execute(
                update(deliveries)
                .where(deliveries.c.id == delivery_id, deliveries.c.state.in_(list(of)))
                .values(**again | dict(values))
            ).rowcount
            if moved:
                transaction.execute(
                    update(delivery_items)
                    .where(delivery_items.c.delivery_id == delivery_id, delivery_items.c.state == ItemState.REFUSED)
                    .values(state=ItemState.WAITING, status=None, words="")
                )
        return bool(moved)

    def _found(
        self,
        wanted: Sequence[ColumnElement[bool]],
        order: ColumnElement[Any] | None = None,
        limit: int = 1,
        offset: int = 0,
    ) -> list[DeliveryRow]:
        query = select(deliveries).where(*wanted).order_by(deliveries.c.id if order is None else order)
        with self._database.read() as connection:
            return [_delivery(row) for row in connection.execute(query.limit(limit).offset(offset))]


def _open_commitment(standing: CommitmentStanding, transaction_uid: str = "") -> str:
    """What stands for a commitment that somebody has to look after; nothing for one that has ended."""
    if standing is CommitmentStanding.WANTED:
        return _NOT_ASKED
    return transaction_uid if standing is CommitmentStanding.ASKED else ""


def _count_sent(delivery_id: int, transaction: Connection) -> None:
    """Count one more that its peer took: rows cannot say, since what a peer did not keep is sent again."""
    peer = select(deliveries.c.peer).where(deliveries.c.id == delivery_id)
    count = {"name": transaction.execute(peer).scalar_one(), "sent": 1}
    statement = upsert(transaction, delivery_peers)
    more = {"sent": delivery_peers.c.sent + 1}
    transaction.execute(statement.on_conflict_do_update(index_elements=["name"], set_=more), count)


def _is(item: DeliveryItem) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return delivery_items.c.delivery_id == item.delivery_id, delivery_items.c.position == item.position


def _delivery(row: AnyRow) -> DeliveryRow:
    values = dict(row._mapping)
    typed = {
        "kind": DeliveryKind(values["kind"]),
        "state": DeliveryState(values["state"]),
        "commitment": CommitmentStanding(values["commitment"]),
        "objects": objects_of(values["objects"]),
    }
    return DeliveryRow(**values | typed)


def _item(row: AnyRow) -> DeliveryItem:
    values = dict(row._mapping)
    return DeliveryItem(**values | {"state": ItemState(values["state"])})

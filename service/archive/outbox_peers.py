"""Who delivers to which peer: one at a time, whichever process on whichever host; when one that was away is tried."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from sqlalchemy import ColumnElement, func, select, update

from service.archive.database import Database, upsert
from service.archive.schema import deliveries, delivery_peers
from service.core.deliveries import DeliveryState, PeerBacklog, PeerStanding


class OutboxPeers:
    """Leases on peers, and the pauses after which one that is away is tried again.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def of(self, name: str) -> PeerStanding:
        """What is known of a peer."""
        with self._database.read() as connection:
            row = connection.execute(select(delivery_peers).where(delivery_peers.c.name == name)).one_or_none()
        return PeerStanding(name, "", 0.0, 0, 0.0, "") if row is None else PeerStanding(**row._mapping)

    def all(self) -> list[PeerStanding]:
        """Every peer that was ever delivered to."""
        with self._database.read() as connection:
            return [PeerStanding(**row._mapping) for row in connection.execute(select(delivery_peers))]

    def backlogs(self) -> list[PeerBacklog]:
        """What waits for whom; every peer that anything was ever meant for, by name."""
        by_state = select(
            deliveries.c.peer, deliveries.c.state, func.count(), func.min(deliveries.c.queued_at)
        ).group_by(deliveries.c.peer, deliveries.c.state)
        counted: dict[str, dict[str, int]] = defaultdict(dict)
        oldest: dict[str, float] = {}
        with self._database.read() as connection:
            sent = {row.name: row.sent for row in connection.execute(select(delivery_peers))}
            for peer, state, count, queued_at in connection.execute(by_state):
                counted[peer][state] = count
                if state == DeliveryState.WAITING:
                    oldest[peer] = queued_at
        return [
            PeerBacklog(
                peer,
                counted[peer].get(DeliveryState.WAITING, 0),
                counted[peer].get(DeliveryState.HELD, 0),
                counted[peer].get(DeliveryState.FAILED, 0),
                oldest.get(peer),
                sent.get(peer, 0),
            )
            for peer in sorted(counted.keys() | sent.keys())
        ]

    def take(self, name: str, owner: str, seconds: float) -> bool:
        """Take a peer for so many seconds; False while somebody else has it, or its pause is not over."""
        now = self._clock()
        with self._database.write() as transaction:
            transaction.execute(upsert(transaction, delivery_peers).on_conflict_do_nothing(), {"name": name})
            free = (delivery_peers.c.lease_until < now) | (delivery_peers.c.lease_owner.in_(["", owner]))
            return (
                transaction.execute(
                    update(delivery_peers)
                    .where(delivery_peers.c.name == name, delivery_peers.c.next_at <= now, free)
                    .values(lease_owner=owner, lease_until=now + seconds)
                ).rowcount
                == 1
            )

    def renew(self, name: str, owner: str, seconds: float) -> bool:
        """Keep a peer for longer; False when it is not the owner's any more."""
        statement = update(delivery_peers).where(_held(name, owner)).values(lease_until=self._clock() + seconds)
        with self._database.write() as transaction:
            return transaction.execute(statement).rowcount == 1

    def give_back(self, name: str, owner: str) -> None:
        """Let others have the peer; it answered."""
        self._let_go(name, owner, failures=0, next_at=0.0, last_error="")

    def away(self, name: str, owner: str, words: str, pause_s: Callable[[int], float]) -> float:
        """Let others have the peer, which was away; the time before which nobody tries it."""
        failures = self.of(name).failures + 1
        next_at = self._clock() + pause_s(failures)
        self._let_go(name, owner, failures=failures, next_at=next_at, last_error=words)
        return next_at

    def try_now(self, name: str) -> None:
        """Forget a pause: somebody says that the peer is there again."""
        with self._database.write() as transaction:
            transaction.execute(update(delivery_peers).where(delivery_peers.c.name == name).values(next_at=0.0))

    def _let_go(self, name: str, owner: str, **values: float | str) -> None:
        statement = update(delivery_peers).where(_held(name, owner)).values(lease_owner="", lease_until=0.0, **values)
        with self._database.write() as transaction:
            transaction.execute(statement)


def _held(name: str, owner: str) -> ColumnElement[bool]:
    return (delivery_peers.c.name == name) & (delivery_peers.c.lease_owner == owner)

"""What people see of the outbox, and what they decide there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.archive.outbox import OutboxTable
from service.archive.outbox_peers import OutboxPeers
from service.core.deliveries import (
    DeliveryItem,
    DeliveryKind,
    DeliveryRow,
    DeliveryState,
    PeerBacklog,
    PeerStanding,
)
from service.errors import DecisionRefused, InstanceNotFound


@dataclass(frozen=True, slots=True)
class DeliveryDecision:
    """What a person decided on one delivery; ``action`` is "retry", "accept" or "discard"."""

    action: str
    delivery: DeliveryRow
    by: str


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """One delivery as it is shown: the last error is the peer's where it is the peer that is away."""

    delivery: DeliveryRow
    words: str
    items: tuple[DeliveryItem, ...] = ()


class OutboxDesk:
    """Look, retry, accept and discard; each decision is told to the audit trail.

    Parameters
    ----------
    on_decision : writes the audit trail
    on_queued : wakes who delivers
    in_trash : by project and SOP Instance UIDs, whether somebody deleted one of them
    """

    def __init__(
        self,
        *,
        outbox: OutboxTable,
        peers: OutboxPeers,
        on_decision: Callable[[DeliveryDecision], None],
        on_queued: Callable[[], object] = lambda: None,
        in_trash: Callable[[str, Sequence[str]], bool] = lambda _project, _uids: False,
    ) -> None:
        self._in_trash = in_trash
        self._outbox = outbox
        self._peers = peers
        self._on_decision = on_decision
        self._on_queued = on_queued

    def backlogs(self) -> list[PeerBacklog]:
        """What waits for which peer."""
        return self._peers.backlogs()

    def page(
        self,
        project: str | None = None,
        *,
        state: DeliveryState | None = None,
        peer: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[DeliveryReport]:
        """Deliveries, the newest first."""
        found = self._outbox.page(project, state=state, peer=peer, limit=limit, offset=offset)
        return self._reports(found)

    def of_study(self, project: str, study_uid: str) -> list[DeliveryReport]:
        """The deliveries of a study, in the order in which they were asked for."""
        return self._reports(self._outbox.of_study(project, study_uid))

    def show(self, delivery_id: int) -> DeliveryReport:
        """One delivery with its objects.

        Raises
        ------
        InstanceNotFound : there is none of this number
        """
        row = self._outbox.get(delivery_id)
        if row is None:
            raise InstanceNotFound("there is no delivery of this number")
        (report,) = self._reports([row])
        return DeliveryReport(report.delivery, report.words, tuple(self._outbox.items(delivery_id)))

    def retry(self, delivery_id: int, by: str) -> DeliveryReport:
        """Try a delivery again at once, and the peer with it; also one that the peer had and does not keep.

        Raises
        ------
        InstanceNotFound : there is none of this number
        DecisionRefused : it was sent, or discarded, or the result is in the trash
        """
        delivery = self.show(delivery_id).delivery
        uids = [uid for form in delivery.objects.values() for uid in form]
        if delivery.kind is DeliveryKind.RESULT and self._in_trash(delivery.project, uids):
            raise DecisionRefused("the result was deleted; restore it first")
        if not self._outbox.retry(delivery_id) and not self._outbox.send_again(delivery_id):
            raise DecisionRefused(f"a delivery that is {delivery.state} is not tried again")
        return self._decided("retry", delivery, by)

    def accept(self, delivery_id: int, by: str) -> DeliveryReport:
        """Send what is held, to whom the peer says that the patient is now.

        Raises
        ------
        InstanceNotFound : there is none of this number
        DecisionRefused : it is not held
        """
        delivery = self.show(delivery_id).delivery
        if not self._outbox.accept(delivery_id, by):
            raise DecisionRefused(f"this delivery is not held: it is {delivery.state}")
        return self._decided("accept", delivery, by)

    def discard(self, delivery_id: int, by: str) -> DeliveryReport:
        """Keep here what waits or is held.

        Raises
        ------
        InstanceNotFound : there is none of this number
        DecisionRefused : it has ended
        """
        delivery = self.show(delivery_id).delivery
        words = delivery.last_error or "a person decided that it stays here"
        if not self._outbox.finish(delivery_id, DeliveryState.DISCARDED, error=words, by=by):
            raise DecisionRefused(f"this delivery has ended: it is {delivery.state}")
        return self._decided("discard", delivery, by)

    def _decided(self, action: str, delivery: DeliveryRow, by: str) -> DeliveryReport:
        self._on_decision(DeliveryDecision(action, delivery, by))
        if action != "discard":
            self._peers.try_now(delivery.peer)
            self._on_queued()
        return self.show(delivery.id)

    def _reports(self, found: list[DeliveryRow]) -> list[DeliveryReport]:
        standings = {standing.name: standing for standing in self._peers.all()} if found else {}
        return [DeliveryReport(row, _words(row, standings.get(row.peer))) for row in found]


def _words(row: DeliveryRow, standing: PeerStanding | None) -> str:
    if row.state is DeliveryState.WAITING and standing is not None and standing.last_error:
        return standing.last_error
    return row.last_error or row.warning

"""Asks peers to promise that they keep what they were sent, and notes what they answer, days later too (PS3.4 J)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from service.archive.outbox import OutboxTable
from service.core.commitment import CommitmentOutcome, CommitmentProgress
from service.core.deliveries import CommitmentStanding, DeliveryRow

_log = structlog.get_logger("annogate.delivery")


class CommitmentKeeper:
    """Works on deliveries whose peer the settings want to be asked.

    Parameters
    ----------
    request : asks a peer, by project, its name, and classes and instances; gives the Transaction UID
    outcome : what became of a request
    """

    def __init__(
        self,
        *,
        outbox: OutboxTable,
        request: Callable[[str, str, Sequence[tuple[str, str]]], str],
        outcome: Callable[[str], CommitmentOutcome | None],
    ) -> None:
        self._outbox = outbox
        self._request = request
        self._outcome = outcome

    def run(self) -> None:
        """Ask what is to be asked, and look after what was."""
        for delivery in self._outbox.by_commitment(CommitmentStanding.WANTED):
            self._ask(delivery)
        for delivery in self._outbox.by_commitment(CommitmentStanding.ASKED):
            self._hear(delivery)

    def _ask(self, delivery: DeliveryRow) -> None:
        """A kill between the two lines asks twice, which a peer answers twice."""
        items = self._outbox.items(delivery.id)
        uid = self._request(
            delivery.project, delivery.peer, [(one.sop_class_uid, one.sop_instance_uid) for one in items]
        )
        self._outbox.note_commitment(delivery.id, CommitmentStanding.ASKED, uid)

    def _hear(self, delivery: DeliveryRow) -> None:
        outcome = self._outcome(delivery.commitment_uid)
        if outcome is not None and outcome.progress is CommitmentProgress.WAITING:
            return
        if outcome is not None and outcome.is_safe:
            self._outbox.note_commitment(delivery.id, CommitmentStanding.COMMITTED, delivery.commitment_uid)
            return
        words = _words(outcome)
        _log.error("delivery.not_committed", delivery=delivery.id, peer=delivery.peer, reason=words)
        self._outbox.note_commitment(delivery.id, CommitmentStanding.FAILED, delivery.commitment_uid, words)


def _words(outcome: CommitmentOutcome | None) -> str:
    if outcome is None:
        return "what the peer answered to storage commitment is not known any more"
    if outcome.progress is CommitmentProgress.FAILED:
        return f"storage commitment: {outcome.reason or 'the peer did not take the request'}"
    reasons = ", ".join(sorted({f"{reason:04X}" for reason in outcome.failed.values()}))
    return f"the peer does not commit to keep {len(outcome.failed)} of the objects (failure reason {reasons})"

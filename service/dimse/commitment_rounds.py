"""Goes round what is due of storage commitment: answers peers on associations of ours, asks peers, gives up after days.

Any number may go round beside each other, on any host: each holds what it is at by a lease.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from dicom_nodes import commitment_scu
from dicom_nodes.commitment import CommitmentReport, CommitmentRequest
from dicom_nodes.errors import GatewayError
from dicom_nodes.peer import PeerAddress
from dicom_nodes.requestor import RequestorSettings
from service.archive.commitments import CommitmentRole, CommitmentRow, CommitmentState, CommitmentTable
from service.core.fault_place import fault_place
from service.dimse.commitment_desk import CommitmentDesk
from service.dimse.commitment_note import CommitmentNotes

_LEASE_S: Final = 600.0
_SWEEP_S: Final = 30.0
_TROUBLE_S: Final = 5.0
_DAY_S: Final = 86400.0

_log = structlog.get_logger("annogate.commitment")


class WakeUp(Protocol):
    """A bell's listener."""

    def wait(self, timeout: float | None) -> bool:
        """Return when it rang, or after ``timeout`` seconds."""


@dataclass(frozen=True, slots=True)
class CommitmentPeer:
    """A peer that answers are sent to and that is asked, with how we call it."""

    address: PeerAddress
    settings: RequestorSettings


@dataclass(frozen=True, slots=True)
class CommitmentLimits:
    """How long for what, in seconds.

    Parameters
    ----------
    wait_s : objects that are still on their way hold an answer for so long
    look_s : between two looks at them
    linger_s : how long an association on which we asked stays open for the answer
    first_pause_s, longest_pause_s : before a peer that could not be told or asked is tried again; doubles in between
    give_up_s : what could not be told, asked or was not answered for so long is given up
    """

    wait_s: float = 600.0
    look_s: float = 2.0
    linger_s: float = 5.0
    first_pause_s: float = 30.0
    longest_pause_s: float = 3600.0
    give_up_s: float = 7 * _DAY_S

    def pause_s(self, attempts: int) -> float:
        """Before the next try, after so many that failed before this one."""
        return min(self.first_pause_s * 2.0 ** min(attempts, 30), self.longest_pause_s)


class CommitmentRounds:
    """Answers and asks.

    Parameters
    ----------
    peer_titles : AE title of each peer, by its name
    peer : how a peer is called, by its name; looked up each time, since passwords and certificates change
    owner : names this process in leases; no other one has the same
    clock : seconds since the epoch, UTC
    """

    def __init__(
        self,
        *,
        table: CommitmentTable,
        notes: CommitmentNotes,
        desk: CommitmentDesk,
        peer_titles: Mapping[str, str],
        peer: Callable[[str], CommitmentPeer],
        owner: str,
        clock: Callable[[], float],
        limits: CommitmentLimits | None = None,
    ) -> None:
        self._table = table
        self._notes = notes
        self._desk = desk
        self._peer_titles = dict(peer_titles)
        self._peer = peer
        self._owner = owner
        self._clock = clock
        self._limits = limits or CommitmentLimits()

    def run(self, wake: WakeUp, stop: threading.Event) -> None:
        """Go round until ``stop`` is set; whoever sets it rings the bell."""
        while not stop.is_set():
            try:
                while not stop.is_set() and self.work():
                    pass
                rest_s = self._rest_s()
            except GatewayError as error:
                _log.error("commitment.trouble", reason=str(error))
                rest_s = _TROUBLE_S
            except Exception as error:  # noqa: BLE001  # rows say what is left to do; the next round does it
                _log.error("commitment.trouble", reason=fault_place(error))
                rest_s = _TROUBLE_S
            if not stop.is_set():
                wake.wait(rest_s)

    def work(self) -> bool:
        """Do what has been due longest in each role; whether anything was.

        Raises
        ------
        GatewayError : the index failed
        """
        worked = False
        for role, act in ((CommitmentRole.SCP, self._answer), (CommitmentRole.SCU, self._ask)):
            row = self._table.lease(role, self._owner, _LEASE_S)
            if row is not None:
                self._attempt(row, act)
                worked = True
        return worked

    def _rest_s(self) -> float:
        due = [at for role in CommitmentRole if (at := self._table.next_due_at(role)) is not None]
        return max(0.0, min([_SWEEP_S, *(at - self._clock() for at in due)]))

    def _attempt(self, row: CommitmentRow, act: Callable[[CommitmentRow], None]) -> None:
        if self._clock() - row.requested_at > self._limits.give_up_s:
            words = row.last_error or "the peer did not answer"
            self._table.give_up(row.id, self._owner, words)
            _log.warning("commitment.given_up", project=row.project, peer=row.peer, role=str(row.role), reason=words)
            return
        try:
            act(row)
        except GatewayError as error:
            pause_s = self._limits.pause_s(row.attempts)
            self._table.postpone(row.id, self._owner, self._clock() + pause_s, str(error))
            _log.warning(
                "commitment.put_off", project=row.project, peer=row.peer, role=str(row.role), reason=str(error)
            )

    def _answer(self, row: CommitmentRow) -> None:
        """Tell a peer what became of its request, by what is true now."""
        note = self._notes.opened(row)
        waited_s = self._clock() - row.requested_at
        request = CommitmentRequest(note.transaction_uid, note.references)
        judgement = self._desk.judge(row, request, note.address, final=waited_s >= self._limits.wait_s)
        if judgement is None:
            self._table.postpone(row.id, self._owner, self._clock() + self._limits.look_s, failed_attempt=False)
            return
        peer = self._peer_called(row.peer)
        report = CommitmentReport(note.transaction_uid, judgement.committed, judgement.failed)
        commitment_scu.report(peer.address, report, peer.settings)
        self._desk.told(row, judgement)

    def _ask(self, row: CommitmentRow) -> None:
        """Send our request; one that was taken and not answered waits on until it is given up."""
        if row.state is CommitmentState.SENT:
            self._table.postpone(
                row.id, self._owner, row.requested_at + self._limits.give_up_s + 1.0, failed_attempt=False
            )
            return
        peer = self._peer(row.peer)
        note = self._notes.opened(row)

        def take(report: CommitmentReport) -> int:
            self._desk.reported(peer.address.ae_title, report)
            return 0

        request = CommitmentRequest(note.transaction_uid, note.references)
        commitment_scu.ask(
            peer.address,
            request,
            take,
            peer.settings,
            wait_s=self._limits.linger_s,
            on_taken=lambda: self._table.sent(row.id, self._owner, row.requested_at + self._limits.give_up_s + 1.0),
        )

    def _peer_called(self, ae_title: str) -> CommitmentPeer:
        for name, title in self._peer_titles.items():
            if title == ae_title:
                return self._peer(name)
        raise GatewayError("no peer with this AE title is configured, so nobody knows where to answer")

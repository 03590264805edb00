"""Where peers' requests for storage commitment are written down, and their answers to ours are taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from dicom_nodes.commitment import ArgumentInvalid, CommitmentReport, CommitmentRequest, FailureReason
from dicom_nodes.errors import CallerNotAllowed
from dicom_nodes.service_port import Caller
from service.archive.commitments import (
    CommitmentRole,
    CommitmentRow,
    CommitmentState,
    CommitmentTable,
    NewCommitment,
    Verdict,
)
from service.archive.senders import SentBy
from service.dimse.commitment_judge import CommitmentJudge, Judgement
from service.dimse.commitment_note import CommitmentNote, CommitmentNotes

_log = structlog.get_logger("annogate.commitment")

ANYBODY: Final = "*"
"""In the place of an AE title: whoever sent them."""
HELD_S = 60.0
"""How long a request stays with the association that it came on, if that is not heard of any more."""


class AskedTransaction:
    """A request that the node's association holds; fills ``dicom_nodes.commitment_service.Transaction``."""

    def __init__(self, desk: CommitmentDesk, row: CommitmentRow, request: CommitmentRequest, address: str) -> None:
        self._desk = desk
        self._row = row
        self._request = request
        self._address = address
        self._judgement: Judgement | None = None

    def report(self) -> CommitmentReport | None:
        """What became of the instances; None while that is not decided."""
        self._judgement = self._desk.judge(self._row, self._request, self._address)
        if self._judgement is None:
            return None
        return CommitmentReport(self._request.transaction_uid, self._judgement.committed, self._judgement.failed)

    def told(self) -> None:
        """The peer has taken the answer."""
        if self._judgement is not None:
            self._desk.told(self._row, self._judgement)

    def left(self) -> None:
        """The peer was not told: the rounds see to it."""
        self._desk.left(self._row)


class CommitmentDesk:
    """Fills ``dicom_nodes.commitment_service.CommitmentDesk``.

    Parameters
    ----------
    project_of : the project of a called AE title; None where there is none
    peer_titles : AE title of each peer that we may have asked, by its name
    commits_for : by AE title, others whose instances it may ask for; ``ANYBODY`` among them for all
    owner : names this process in leases; no other one has the same
    on_open : wakes whoever answers on other associations
    on_kept : told when all that a request names is kept: the project, the UIDs as asked for, and when it was asked
    clock : seconds since the epoch, UTC
    """

    def __init__(
        self,
        *,
        table: CommitmentTable,
        notes: CommitmentNotes,
        judge: CommitmentJudge,
        project_of: Callable[[str], str | None],
        peer_titles: Mapping[str, str],
        owner: str,
        on_open: Callable[[], object],
        clock: Callable[[], float],
        on_kept: Callable[[str, Sequence[str], float], object] = lambda *_: None,
        commits_for: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        self._commits_for = dict(commits_for or {})
        self._on_kept = on_kept
        self._table = table
        self._notes = notes
        self._judge = judge
        self._project_of = project_of
        self._peer_titles = dict(peer_titles)
        self._owner = owner
        self._on_open = on_open
        self._clock = clock

    def admits(self, caller: Caller) -> bool:
        """Whether a caller may ask: whoever reached a project may ask for what it has sent there."""
        return self._project_of(caller.called_ae_title) is not None

    def asked(self, caller: Caller, request: CommitmentRequest) -> AskedTransaction:
        """Write a request down; durable when this returns.

        Raises
        ------
        GatewayError : the index cannot take it
        """
        project = self._project_of(caller.called_ae_title)
        if project is None:
            raise CallerNotAllowed("no project answers to this AE title")
        role, peer = CommitmentRole.SCP, caller.calling_ae_title
        note = CommitmentNote(request.transaction_uid, request.references, address=caller.address)
        new = NewCommitment(
            role=role,
            project=project,
            peer=peer,
            transaction_digest=self._notes.transaction_digest(role, peer, note),
            content_digest=self._notes.content_digest(request.references),
            sealed=self._notes.sealed(role, peer, note),
            instances=len(request.references),
            called_ae_title=caller.called_ae_title,
        )
        row = self._table.add(new, next_at=self._clock() + HELD_S, owner=self._owner)
        _log.info("commitment.asked", project=project, peer=peer, instances=row.instances)
        return AskedTransaction(self, row, request, caller.address)

    def judge(
        self, row: CommitmentRow, request: CommitmentRequest, address: str, *, final: bool = False
    ) -> Judgement | None:
        """What became of the instances of a request from an address; None while that is not decided."""
        if self._is_taken(row):
            reason = int(FailureReason.DUPLICATE_TRANSACTION)
            return Judgement((), tuple((reference, reason) for reference in request.references))
        judgement = self._judge.judge(
            row.project, request.references, row.requested_at, sent_by=self._asked_for(row.peer, address), final=final
        )
        if judgement is not None and not judgement.failed:
            uids = [reference.sop_instance_uid for reference in judgement.committed]
            self._on_kept(row.project, uids, row.requested_at)
        return judgement

    def told(self, row: CommitmentRow, judgement: Judgement) -> None:
        """The peer has taken the answer to its request."""
        verdict = Verdict(len(judgement.committed), len(judgement.failed))
        self._table.end(row.id, verdict, owner=row.lease_owner)
        _log.info(
            "commitment.told", project=row.project, peer=row.peer, committed=verdict.committed, failed=verdict.failed
        )

    def left(self, row: CommitmentRow) -> None:
        """The association is over, or goes on with something else."""
        self._table.postpone(row.id, row.lease_owner, self._clock(), failed_attempt=False)
        self._on_open()

    def reported(self, calling_ae_title: str, report: CommitmentReport) -> None:
        """Take a peer's answer to a request of ours; the same answer again changes nothing.

        Raises
        ------
        ArgumentInvalid : we asked for no such thing, or another peer
        """
        role = CommitmentRole.SCU
        found = self._table.find(role, self._notes.transaction_digest(role, "", report.transaction_uid))
        row = found[0] if found else None
        if row is None or self._peer_titles.get(row.peer) != calling_ae_title:
            raise ArgumentInvalid("no such transaction")
        if row.state is CommitmentState.DONE:
            return
        note = self._notes.opened(row)
        failed = _failures(note, report)
        answered = CommitmentNote(note.transaction_uid, note.references, failed)
        verdict = Verdict(len(note.references) - len(failed), len(failed))
        self._table.end(row.id, verdict, sealed=self._notes.sealed(role, row.peer, answered))
        _log.info(
            "commitment.answered",
            project=row.project,
            peer=row.peer,
            committed=verdict.committed,
            failed=verdict.failed,
        )

    def _asked_for(self, title: str, address: str) -> SentBy | None:
        """Whose instances a peer may ask for: what it sent itself, or by another title from where it asks."""
        others = self._commits_for.get(title, frozenset())
        return None if ANYBODY in others else SentBy(frozenset({title}) | others, address)

    def _is_taken(self, row: CommitmentRow) -> bool:
        """Whether the peer uses the Transaction UID of another request of its own that is not answered yet."""
        same = self._table.find(row.role, row.transaction_digest)
        return any(other.id < row.id and other.state is CommitmentState.OPEN for other in same)


def _failures(note: CommitmentNote, report: CommitmentReport) -> dict[str, int]:
    """Failure Reason by UID of what was asked for and is not committed; silence about an instance is a failure."""
    committed = {reference.sop_instance_uid for reference in report.committed}
    reasons = {reference.sop_instance_uid: reason for reference, reason in report.failed}
    return {
        uid: reasons.get(uid, int(FailureReason.PROCESSING_FAILURE))
        for uid in (reference.sop_instance_uid for reference in note.references)
        if uid in reasons or uid not in committed
    }

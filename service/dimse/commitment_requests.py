"""Storage commitment that we ask peers for: written down here, sent by the rounds, answered whenever the peer likes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from dicom_nodes.commitment import Reference
from service.archive.commitments import CommitmentRole, CommitmentState, CommitmentTable, NewCommitment
from service.core.commitment import CommitmentOutcome, CommitmentProgress
from service.dimse.commitment_note import CommitmentNote, CommitmentNotes
from service.errors import SettingsInvalid


class CommitmentRequests:
    """What delivery asks by.

    Parameters
    ----------
    peers : names of the DIMSE peers that there are
    new_uid : makes a UID that nobody had before
    on_open : wakes the rounds
    clock : seconds since the epoch, UTC
    """

    def __init__(
        self,
        *,
        table: CommitmentTable,
        notes: CommitmentNotes,
        peers: Collection[str],
        new_uid: Callable[[], str],
        on_open: Callable[[], object],
        clock: Callable[[], float],
    ) -> None:
        self._table = table
        self._notes = notes
        self._peers = frozenset(peers)
        self._new_uid = new_uid
        self._on_open = on_open
        self._clock = clock

    def request_commitment(self, project: str, peer: str, instances: Iterable[tuple[str, str]]) -> str:
        """Ask a peer to keep instances; durable when this returns. Nothing is sent before that.

        Parameters
        ----------
        instances : SOP Class UID and SOP Instance UID of each, as the peer knows them

        Returns
        -------
        The Transaction UID, for `outcome`.

        Raises
        ------
        SettingsInvalid : there is no such peer
        ValueError : no instance is named
        """
        if peer not in self._peers:
            raise SettingsInvalid(f"there is no peer {peer!r} in [peers]")
        references = tuple(dict.fromkeys(Reference(*instance) for instance in instances))
        if not references:
            raise ValueError("no instance is named")
        role = CommitmentRole.SCU
        note = CommitmentNote(self._new_uid(), references)
        new = NewCommitment(
            role=role,
            project=project,
            peer=peer,
            transaction_digest=self._notes.transaction_digest(role, peer, note),
            content_digest=self._notes.content_digest(references),
            sealed=self._notes.sealed(role, peer, note),
            instances=len(references),
        )
        self._table.add(new, next_at=self._clock())
        self._on_open()
        return note.transaction_uid

    def outcome(self, transaction_uid: str) -> CommitmentOutcome | None:
        """How far a request came; None where there is none (any more).

        Raises
        ------
        KeysMissing : its note does not open with the key file
        """
        role = CommitmentRole.SCU
        found = self._table.find(role, self._notes.transaction_digest(role, "", transaction_uid))
        if not found:
            return None
        row = found[0]
        if row.state is not CommitmentState.DONE:
            progress = CommitmentProgress.FAILED if row.state is CommitmentState.FAILED else CommitmentProgress.WAITING
            return CommitmentOutcome(progress, reason=row.last_error)
        note = self._notes.opened(row)
        asked = frozenset(reference.sop_instance_uid for reference in note.references)
        return CommitmentOutcome(CommitmentProgress.ANSWERED, asked - note.failed.keys(), note.failed)

"""What a row of ``commitments`` seals: the Transaction UID, the instances, and how each was answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dicom_nodes.commitment import Reference
from service.archive.commitments import CommitmentRole, CommitmentRow
from service.deident.sealed_note import NoteSeal


@dataclass(frozen=True, slots=True)
class CommitmentNote:
    """One transaction in the clear.

    Parameters
    ----------
    failed : Failure Reason by SOP Instance UID, once it is answered
    address : where the peer that asked us called from
    """

    transaction_uid: str
    references: tuple[Reference, ...] = field(repr=False)
    failed: Mapping[str, int] = field(default_factory=dict, repr=False)
    address: str = ""


class CommitmentNotes:
    """Seals and opens notes, and finds transactions without showing their UIDs.

    Parameters
    ----------
    seal : made with the key file's key for "commitment"
    """

    def __init__(self, seal: NoteSeal) -> None:
        self._seal = seal

    def sealed(self, role: CommitmentRole, peer: str, note: CommitmentNote) -> bytes:
        """A note as it may stand in the index, bound to its row."""
        value = {
            "transaction": note.transaction_uid,
            "instances": [[one.sop_class_uid, one.sop_instance_uid] for one in note.references],
            "failed": dict(note.failed),
            "address": note.address,
        }
        return self._seal.seal(self._context(role, peer, self.transaction_digest(role, peer, note)), value)

    def opened(self, row: CommitmentRow) -> CommitmentNote:
        """The note of a row.

        Raises
        ------
        KeysMissing : it does not open with the key file
        """
        value = self._seal.open(self._context(row.role, row.peer, row.transaction_digest), row.sealed)
        references = tuple(Reference(*pair) for pair in value["instances"])
        failed = {uid: int(why) for uid, why in value["failed"].items()}
        return CommitmentNote(value["transaction"], references, failed, value.get("address", ""))

    def transaction_digest(self, role: CommitmentRole, peer: str, note: CommitmentNote | str) -> str:
        """What a transaction is found by; what peers give is theirs alone, what we give is unique."""
        uid = note if isinstance(note, str) else note.transaction_uid
        owner = peer if role is CommitmentRole.SCP else ""
        return self._seal.digest("transaction", role, owner, uid)

    def content_digest(self, references: Sequence[Reference]) -> str:
        """Equal for the same instances, in whatever order."""
        named = sorted(f"{one.sop_class_uid} {one.sop_instance_uid}" for one in references)
        return self._seal.digest("instances", *named)

    @staticmethod
    def _context(role: CommitmentRole, peer: str, transaction_digest: str) -> str:
        return f"commitment\0{role}\0{peer}\0{transaction_digest}"

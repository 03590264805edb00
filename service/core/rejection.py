"""Rejection notes: key objects that say that instances are not to be used any more (IHE RAD IOCM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from service.core.codes import Code

QUALITY: Final = "113001"
PATIENT_SAFETY: Final = "113037"
WRONG_WORKLIST_ENTRY: Final = "113038"
RETENTION_EXPIRED: Final = "113039"

TITLES: Final = {
    QUALITY: Code(QUALITY, "DCM", "Rejected for Quality Reasons"),
    PATIENT_SAFETY: Code(PATIENT_SAFETY, "DCM", "Rejected for Patient Safety Reasons"),
    WRONG_WORKLIST_ENTRY: Code(WRONG_WORKLIST_ENTRY, "DCM", "Incorrect Modality Worklist Entry"),
    RETENTION_EXPIRED: Code(RETENTION_EXPIRED, "DCM", "Data Retention Policy Expired"),
}
"""Document titles by code value (PS3.16 CID 7010)."""

OUTGOING: Final = (PATIENT_SAFETY, WRONG_WORKLIST_ENTRY, RETENTION_EXPIRED)
"""What a result that was delivered is taken back with; 113001 would need a reason that images alone have."""


@dataclass(frozen=True, slots=True)
class RejectionRow:
    """One instance that a note named; ``state`` is "hidden" or "restored"."""

    project: str
    sop_instance_uid: str
    study_uid: str
    note_uid: str
    code: str
    state: str
    at: float
    acted_at: float | None
    restored_at: float | None
    restored_by: str


@dataclass(frozen=True, slots=True)
class ObeyedNote:
    """One note and what became of the instances of a study that it named.

    Parameters
    ----------
    named, hidden : how many instances it named, and how many of these are hidden now
    acted_at : when runs were stopped and results recalled; None while something is left to look at
    """

    project: str
    study_uid: str
    note_uid: str
    code: str
    named: int
    hidden: int
    at: float
    acted_at: float | None
    restored_at: float | None
    restored_by: str

    @property
    def state(self) -> str:
        """In a word, as its instances have it."""
        return "hidden" if self.hidden else "restored"

    @property
    def title(self) -> str:
        """What its title means (PS3.16 CID 7010)."""
        return TITLES[self.code].meaning if self.code in TITLES else self.code


@dataclass(frozen=True, slots=True)
class RejectionNote:
    """What a note says: its title's code, and the instances of one study that it names, as served."""

    study_uid: str
    note_uid: str
    code: str
    instances: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RejectionEvent:
    """What was done about a note: ``action`` is "obey" or "restore"."""

    action: str
    project: str
    study_uid: str
    note_uid: str
    code: str
    instances: int
    by: str
    recalled: int = 0

"""Deletion by people: first into a trash, from which it can be restored, then for good."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LONGEST_REASON = 200


class DeletionLevel(StrEnum):
    """What a deletion names."""

    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


class DeletionState(StrEnum):
    """How far a deletion came."""

    TRASHED = "trashed"
    """Hidden from everybody; it can be restored until its grace ends."""
    RESTORED = "restored"
    REMOVING = "removing"
    """Its grace has ended, and it is removed piece by piece: it cannot be restored any more."""
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class DeletedPlace:
    """What a deletion names, in UIDs as served; empty below its level."""

    study_uid: str
    series_uid: str = ""
    sop_instance_uid: str = ""

    @property
    def level(self) -> DeletionLevel:
        """The level of the last UID."""
        if self.sop_instance_uid:
            return DeletionLevel.INSTANCE
        return DeletionLevel.SERIES if self.series_uid else DeletionLevel.STUDY


@dataclass(frozen=True, slots=True)
class DeletionRow:
    """One deletion.

    Parameters
    ----------
    instances, size : how many instances it took, and how many bytes their files have
    reason : in words for colleagues, without identity
    remove_at : when its grace ends
    ended_at, ended_by : when it was restored or removed, and by whom
    """

    id: int
    project: str
    study_uid: str
    series_uid: str
    sop_instance_uid: str
    state: DeletionState
    instances: int
    size: int
    reason: str
    at: float
    deleted_by: str
    remove_at: float
    ended_at: float | None
    ended_by: str

    @property
    def place(self) -> DeletedPlace:
        """What it names."""
        return DeletedPlace(self.study_uid, self.series_uid, self.sop_instance_uid)


@dataclass(frozen=True, slots=True)
class DeletionEvent:
    """What was done: ``action`` is "delete", "restore" or "remove"."""

    action: str
    deletion: DeletionRow
    by: str

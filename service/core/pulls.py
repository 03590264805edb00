"""Studies that are fetched from peers, as the values that every room shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class PullState(StrEnum):
    """How far a request came."""

    WAITING = "waiting"
    """To be worked on, now or when its pause is over."""
    DONE = "done"
    """Every study that it came to is here."""
    INCOMPLETE = "incomplete"
    """Something that the peer has is not here; the studies say what."""
    FAILED = "failed"
    """Given up; the reason says why."""
    CANCELLED = "cancelled"


class StudyPullState(StrEnum):
    """How far one study came."""

    WAITING = "waiting"
    HERE = "here"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class NewPull:
    """A request; what it looks for stands in ``sealed`` alone."""

    project: str
    peer: str
    sealed: bytes = field(repr=False)
    digest: str
    requested_by: str
    origin_study_uid: str = ""
    annotator: str = ""


@dataclass(frozen=True, slots=True)
class PullRow:
    """One row of ``pulls``."""

    id: int
    project: str
    peer: str
    sealed: bytes = field(repr=False)
    digest: str
    origin_study_uid: str
    annotator: str
    state: PullState
    reason: str
    requested_by: str
    requested_at: float
    attempts: int
    next_at: float
    lease_owner: str
    lease_until: float
    finished_at: float | None


@dataclass(frozen=True, slots=True)
class StudyPullRow:
    """One row of ``pull_studies``; ``study_uid`` is the one under which it is served."""

    id: int
    pull_id: int
    project: str
    digest: str
    sealed: bytes = field(repr=False)
    study_uid: str
    state: StudyPullState
    reason: str
    expected: int | None
    held: int
    updated_at: float

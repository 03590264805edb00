"""What became of a request of ours for storage commitment (PS3.4 Annex J), for whoever asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class CommitmentProgress(StrEnum):
    """How far a request came."""

    WAITING = "waiting"
    """The peer has not taken it yet, or not answered yet."""
    ANSWERED = "answered"
    FAILED = "failed"
    """The peer would not take it, or did not answer for days."""


@dataclass(frozen=True, slots=True)
class CommitmentOutcome:
    """One request and its answer.

    Parameters
    ----------
    committed : SOP Instance UIDs that the peer keeps
    failed : Failure Reason (0008,1197) by SOP Instance UID of the others; 0110 where the peer was silent about one
    reason : why it failed, or the last trouble with sending it, in words
    """

    progress: CommitmentProgress
    committed: frozenset[str] = field(default=frozenset(), repr=False)
    failed: Mapping[str, int] = field(default_factory=dict, repr=False)
    reason: str = ""

    @property
    def is_safe(self) -> bool:
        """Whether the peer keeps everything that was asked for."""
        return self.progress is CommitmentProgress.ANSWERED and not self.failed

"""How a run ended."""

from __future__ import annotations

from dataclasses import dataclass

from service.archive import result_versions
from service.core.archived import RunState


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended, in words without identity; ``findings`` is JSON."""

    state: RunState
    reason: str = ""
    summary: str = ""
    findings: str = "[]"

    @classmethod
    def refused(cls, reason: str) -> RunEnd:
        """The series is nothing that the annotator can work on."""
        return cls(RunState.REFUSED, reason)

    @classmethod
    def failed(cls, reason: str) -> RunEnd:
        """Something of ours went wrong."""
        return cls(RunState.FAILED, reason)


LEASE_LOST = RunEnd.failed("the lease was lost meanwhile: another worker has the run")
SUPERSEDED = RunEnd.refused(result_versions.SUPERSEDED)

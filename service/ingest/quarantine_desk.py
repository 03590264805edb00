"""Where a person decides on what is in quarantine, and where each decision is told to the audit trail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from service.archive.quarantine_rows import DISCARDED, RELEASED
from service.core.archived import QuarantineRow
from service.core.records import Outcome, OutcomeKind
from service.ingest.pipeline import IngestPipeline
from service.ingest.quarantine import Quarantine


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided on one object; ``action`` is "release", "discard" or "expire"."""

    action: str
    quarantine_id: str
    project: str
    by: str
    succeeded: bool
    reason: str = ""


class QuarantineDesk:
    """Release, discard and expiry.

    Parameters
    ----------
    on_decision : called after each decision, refused ones included; writes the audit trail
    """

    def __init__(
        self, quarantine: Quarantine, pipeline: IngestPipeline, on_decision: Callable[[Decision], None]
    ) -> None:
        self._quarantine = quarantine
        self._pipeline = pipeline
        self._on_decision = on_decision

    def list(
        self, project: str | None = None, *, state: str | None = "held", limit: int = 100, offset: int = 0
    ) -> list[QuarantineRow]:
        """What is in quarantine, the last received first; ``state`` None lists what was decided on as well."""
        return self._quarantine.list(project, state=state, limit=limit, offset=offset)

    def show(self, quarantine_id: str) -> QuarantineRow:
        """One object's row.

        Raises
        ------
        InstanceNotFound : there is none
        """
        return self._quarantine.show(quarantine_id)

    def release(self, quarantine_id: str, by: str) -> Outcome:
        """Process an object again from the bytes that were kept; it stays in quarantine if that fails again.

        Raises
        ------
        InstanceNotFound : it is not held
        """
        incoming = self._quarantine.read(quarantine_id)
        outcome = self._pipeline.process_released(incoming)
        refused = outcome.kind is OutcomeKind.QUARANTINED
        if not refused:
            self._quarantine.close_case(quarantine_id, RELEASED, by)
        self._on_decision(Decision("release", quarantine_id, incoming.project, by, not refused, outcome.reason))
        return outcome

    def discard(self, quarantine_id: str, by: str) -> QuarantineRow:
        """Give an object up and erase it.

        Raises
        ------
        InstanceNotFound : it is not held
        """
        row = self._quarantine.close_case(quarantine_id, DISCARDED, by)
        self._on_decision(Decision("discard", quarantine_id, row.project, by, succeeded=True))
        return row

    def expire(self, before: float) -> int:
        """Erase what was received before a time in seconds since the epoch; how many objects."""
        expired = self._quarantine.expire(before)
        for quarantine_id in expired:
            project = self._quarantine.show(quarantine_id).project
            self._on_decision(Decision("expire", quarantine_id, project, "annogate", succeeded=True))
        return len(expired)

"""Where a person decides on what is in quarantine, and where each decision is told to the audit trail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.archive.quarantine_rows import DISCARDED, RELEASED
from service.core.archived import QuarantineRow
from service.core.records import Outcome, OutcomeKind
from service.deident.pixels.pixel_outcome import Region
from service.errors import InstanceNotFound
from service.ingest.pipeline import IngestPipeline
from service.ingest.pixel_case import PixelCase
from service.ingest.quarantine import Quarantine
from service.ingest.rest_cut import without_rest


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided on one object.

    ``action`` is "release", "release-blackened", "release-unchanged", "release-cut", "discard" or "expire"; ``regions``
    says how many regions a person had blackened.
    """

    action: str
    quarantine_id: str
    project: str
    by: str
    succeeded: bool
    reason: str = ""
    regions: int = 0


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
        return self._closed("release", quarantine_id, incoming.project, by, outcome)

    def release_cut(self, quarantine_id: str, by: str) -> Outcome:
        """Process an object without the bytes behind its last frame, which go for good; its frames stay.

        It is taken like one that was sent so: its pixels are looked at where the policy says so, and should they need
        a person the cut object waits under an id of its own, in the place of this one.

        Raises
        ------
        InstanceNotFound : it is not held
        BadRequest : nothing stands behind its frames
        """
        incoming = self._quarantine.read(quarantine_id)
        outcome = self._pipeline.process(without_rest(incoming))
        self._quarantine.close_case(quarantine_id, RELEASED, by)
        decision = Decision("release-cut", quarantine_id, incoming.project, by, succeeded=True, reason=outcome.reason)
        self._on_decision(decision)
        return outcome

    def _closed(
        self, action: str, quarantine_id: str, project: str, by: str, outcome: Outcome, regions: int = 0
    ) -> Outcome:
        refused = outcome.kind is OutcomeKind.QUARANTINED
        if not refused:
            self._quarantine.close_case(quarantine_id, RELEASED, by)
        self._on_decision(Decision(action, quarantine_id, project, by, not refused, outcome.reason, regions))
        return outcome

    def pixel_case(self, quarantine_id: str) -> PixelCase | None:
        """What was found in the pixels of an object that waits for a person; None where they are not the question.

        Raises
        ------
        InstanceNotFound : it is not held
        """
        return self._quarantine.pixel_case(quarantine_id)

    def picture(self, quarantine_id: str, frame: int) -> bytes:
        """One frame, from 1, of an object whose pixels wait for a person, as PNG; it may show who the patient is.

        Raises
        ------
        InstanceNotFound : it is not held, or its pixels are not the question
        GatewayError : it cannot be drawn; says why
        """
        self._case(quarantine_id)
        return self._pipeline.picture(self._quarantine.read(quarantine_id), frame)

    def release_seen(self, quarantine_id: str, by: str, regions: Sequence[Region]) -> Outcome:
        """Let an object in whose pixels a person has seen, with what they want blackened.

        Parameters
        ----------
        regions : none where nothing in the pixels tells who the patient is

        Raises
        ------
        InstanceNotFound : it is not held, or its pixels are not the question
        BadRequest : a region lies outside of the image
        """
        drawn = self._case(quarantine_id).checked(regions)
        incoming = self._quarantine.read(quarantine_id)
        outcome = self._pipeline.process_released(incoming, drawn)
        action = "release-blackened" if drawn else "release-unchanged"
        return self._closed(action, quarantine_id, incoming.project, by, outcome, len(drawn))

    def _case(self, quarantine_id: str) -> PixelCase:
        case = self._quarantine.pixel_case(quarantine_id)
        if case is None:
            raise InstanceNotFound("the pixels of this object are not what it is held for")
        return case

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

"""Looks after series that wait in quarantine for their faces to be removed.

A series is taken up when nothing of it came for its project's quiet time and nothing that was received by then is still
on its way. Its images stay in quarantine until each is stored; a kill at any point leaves the rest to the next round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Event
from typing import Final

import structlog

from dicom_nodes.errors import GatewayError, InstanceUnreadable
from service.archive.quarantine_rows import RELEASED, WaitingSeries
from service.core.fault_place import fault_place
from service.core.records import Incoming, OutcomeKind
from service.errors import IdentityNotRemovable, InstanceNotFound
from service.ingest.pipeline import IngestPipeline
from service.ingest.pixel_case import PixelsFound
from service.ingest.quarantine import Quarantine
from service.ingest.quarantine_desk import Decision
from service.ingest.segment_claim import SegmentClaims

_LONGEST_WAIT_S: Final = 30.0
_SHORTEST_WAIT_S: Final = 0.2
_BY: Final = "annogate"

_log = structlog.get_logger("annogate.ingest")


class FaceRounds:
    """Removes the faces of series that have gone quiet.

    Parameters
    ----------
    quiet_s : by project, how long nothing may have come
    pending : tell when the first object of a project was received that has not come to its end on one stretch of its
        way, in the order of that way; None where nothing is
    claims : so that of several processes one takes a series up
    on_decision : called for each object that is let in or left to a person; writes the audit trail
    clock : seconds since the epoch, UTC
    """

    def __init__(
        self,
        *,
        quarantine: Quarantine,
        pipeline: IngestPipeline,
        quiet_s: Mapping[str, float],
        pending: Sequence[Callable[[str], float | None]],
        claims: SegmentClaims,
        on_decision: Callable[[Decision], None],
        clock: Callable[[], float],
    ) -> None:
        self._quarantine = quarantine
        self._pipeline = pipeline
        self._quiet_s = quiet_s
        self._pending = pending
        self._claims = claims
        self._on_decision = on_decision
        self._clock = clock

    def run(self, stop: Event) -> None:
        """Look after them until ``stop``; trouble of disk or index is waited out."""
        while not stop.is_set():
            try:
                self.work()
                pause = self._until_next()
            except Exception as error:  # noqa: BLE001  # rows and files say what is left to do; the next round does it
                _log.error("faces.trouble", reason=fault_place(error))
                pause = _LONGEST_WAIT_S
            stop.wait(pause)

    def work(self) -> int:
        """Take up what has gone quiet; how many series."""
        due = [series for series in self._quarantine.waiting() if self._is_due(series)]
        for series in due:
            with self._claims.claim(series.waits_for) as mine:
                if mine:
                    self._take_up(series)
                    self._claims.forget(series.waits_for)
        return len(due)

    def _until_next(self) -> float:
        due_at = [series.last_at + self._quiet_s.get(series.project, 0.0) for series in self._quarantine.waiting()]
        left = min(due_at, default=self._clock() + _LONGEST_WAIT_S) - self._clock()
        return min(max(left, _SHORTEST_WAIT_S), _LONGEST_WAIT_S)

    def _is_due(self, series: WaitingSeries) -> bool:
        until = series.last_at + self._quiet_s.get(series.project, 0.0)
        if until > self._clock():
            return False
        # An object's series is not known before it is parsed, so any of the project may belong to this one.
        oldest = [oldest_at(series.project) for oldest_at in self._pending]
        return all(at is None or at > until for at in oldest)

    def _take_up(self, series: WaitingSeries) -> None:
        ids = self._quarantine.of_series(series)
        reads: list[Callable[[], Incoming]] = [partial(self._quarantine.read, quarantine_id) for quarantine_id in ids]
        try:
            # All are stored before the first is let go: what a kill leaves can be taken up as the whole that it was.
            outcomes = list(self._pipeline.process_series(series.project, reads))
            for quarantine_id, outcome in zip(ids, outcomes, strict=True):
                if outcome.kind is OutcomeKind.QUARANTINED:
                    self._leave(quarantine_id, series.project, outcome.reason)
                else:
                    self._close(quarantine_id, series.project)
        except (IdentityNotRemovable, InstanceUnreadable) as error:
            for quarantine_id in ids:
                self._leave(quarantine_id, series.project, str(error))
        except InstanceNotFound:
            return  # somebody decided on one of them meanwhile: the next round takes up the others

    def _close(self, quarantine_id: str, project: str) -> None:
        try:
            self._quarantine.close_case(quarantine_id, RELEASED, _BY)
        except InstanceNotFound:
            return  # another process took the series up as well
        self._on_decision(Decision("remove-face", quarantine_id, project, _BY, succeeded=True))

    def _leave(self, quarantine_id: str, project: str, reason: str) -> None:
        """Leave an object to a person, who sees its picture."""
        try:
            case = self._pipeline.case(self._quarantine.read(quarantine_id))
        except InstanceNotFound:
            return
        except GatewayError as error:
            _log.error("faces.unreadable", id=quarantine_id, reason=str(error))
            return
        if self._quarantine.leave_to_person(quarantine_id, PixelsFound(reason, case)):
            self._on_decision(Decision("remove-face", quarantine_id, project, _BY, succeeded=False, reason=reason))

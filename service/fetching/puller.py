"""Works on requests one after the other: finds the studies, fetches each, notes how far it came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from dicom_nodes.errors import GatewayError
from service.archive.pulls import PullTable
from service.core.pulls import PullRow, PullState, StudyPullRow, StudyPullState
from service.fetching.request import PullNotes
from service.fetching.source import Stop, StudySource, matching
from service.fetching.study_fetch import PullStopped, StudyOutcome

_log = structlog.get_logger("annogate.pull")
LEASE_S: Final = 300.0
_LOOK_S: Final = 5.0  # between looks whether somebody cancelled
_SHORTEST_PAUSE_S: Final = 60.0
_LONGEST_PAUSE_S: Final = 3600.0


class Fetch(Protocol):
    """Fetches studies of one source for one project; ``study_fetch.StudyFetch``."""

    def fetch(self, study_uid: str) -> StudyOutcome:
        """Fetch what is missing of one study."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pull is: studies, and the objects of the one that is being fetched."""

    pull: PullRow
    studies: int = 0
    studies_done: int = 0
    objects: int = 0
    objects_here: int = 0


SourceOf = Callable[[PullRow], StudySource]
FetchOf = Callable[[PullRow, StudySource, Stop, Callable[[int, int], None]], Fetch]


class Puller:
    """Takes requests that are due; any number of processes may do so.

    Parameters
    ----------
    served_uid : by project, the UID under which an original one is served
    attempts : how often a peer that fails is asked, with growing pauses, before a request is given up
    on_end : told of each pull that is over
    """

    def __init__(
        self,
        *,
        table: PullTable,
        notes: PullNotes,
        source_of: SourceOf,
        fetch_of: FetchOf,
        served_uid: Mapping[str, Callable[[str], str]],
        owner: str,
        attempts: int,
        clock: Callable[[], float],
        on_end: Callable[[PullRow], None],
    ) -> None:
        self._table = table
        self._notes = notes
        self._source_of = source_of
        self._fetch_of = fetch_of
        self._served_uid = served_uid
        self._owner = owner
        self._attempts = attempts
        self._clock = clock
        self._on_end = on_end

    def turn(self, stop: Stop, on_progress: Callable[[Progress], None] = lambda _: None) -> bool:
        """Work on one request; False when none is due."""
        pull = self._table.lease(self._owner, LEASE_S)
        if pull is None:
            return False
        try:
            self._work(pull, stop, on_progress)
        except PullStopped:
            self._table.release(pull.id)
        except GatewayError as error:
            self._fail(pull, str(error))
        ended = self._table.of(pull.id)
        if ended is not None and ended.state is not PullState.WAITING:
            _log.info("pull.ended", pull=pull.id, project=pull.project, peer=pull.peer, state=str(ended.state))
            self._on_end(ended)
        return True

    def due_in(self) -> float | None:
        """Seconds until a request is due; None when none waits."""
        return self._table.due_in()

    def _work(self, pull: PullRow, stop: Stop, on_progress: Callable[[Progress], None]) -> None:
        source = self._source_of(pull)
        # Asked at each attempt: what the peer got meanwhile belongs to it too.
        self._find(pull, source, stop)
        rows = self._table.studies_of(pull.id)
        for position, row in enumerate(rows):
            if row.state is not StudyPullState.HERE:
                self._hold_on(pull, stop)
                self._fetch(pull, row, source, stop, _told(on_progress, pull, len(rows), position))
        self._finish(pull)
        on_progress(Progress(pull, len(rows), len(rows)))

    def _find(self, pull: PullRow, source: StudySource, stop: Stop) -> None:
        request = self._notes.request_of(pull)
        studies = matching(source, request, stop)
        if stop():
            raise PullStopped
        served = self._served_uid[pull.project]
        found = [(*self._notes.study(pull.project, study.study_uid), served(study.study_uid)) for study in studies]
        self._table.add_studies(pull, found)

    def _fetch(
        self, pull: PullRow, row: StudyPullRow, source: StudySource, stop: Stop, told: Callable[[int, int], None]
    ) -> None:
        looked_at = self._clock()

        def stopped() -> bool:
            nonlocal looked_at
            if stop():
                return True
            if self._clock() - looked_at < _LOOK_S:
                return False
            looked_at = self._clock()
            return not self._table.renew(pull.id, self._owner, LEASE_S)

        outcome = self._fetch_of(pull, source, stopped, told).fetch(self._notes.study_uid(row))
        self._table.set_study(
            row.id, outcome.state, expected=outcome.expected, held=outcome.held, reason=outcome.reason
        )

    def _finish(self, pull: PullRow) -> None:
        rows = self._table.studies_of(pull.id)
        left = sum(row.state is not StudyPullState.HERE for row in rows)
        if not rows:
            self._table.finish(pull.id, PullState.DONE, "the peer has no such study")
        elif left:
            self._table.finish(pull.id, PullState.INCOMPLETE, f"{left} of {len(rows)} studies are not whole")
        else:
            self._table.finish(pull.id, PullState.DONE)

    def _fail(self, pull: PullRow, words: str) -> None:
        if pull.attempts + 1 >= self._attempts:
            self._table.finish(pull.id, PullState.FAILED, words)
        else:
            self._table.postpone(pull, words, min(_LONGEST_PAUSE_S, _SHORTEST_PAUSE_S * 2**pull.attempts))

    def _hold_on(self, pull: PullRow, stop: Stop) -> None:
        if stop() or not self._table.renew(pull.id, self._owner, LEASE_S):
            raise PullStopped


def _told(
    on_progress: Callable[[Progress], None], pull: PullRow, studies: int, done: int
) -> Callable[[int, int], None]:
    return lambda here, objects: on_progress(Progress(pull, studies, done, objects, here))

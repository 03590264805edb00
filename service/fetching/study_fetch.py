"""Fetching one study: what the peer has and we have not, until both agree or the peer sends no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from service.archive.held_instances import HeldInstances
from service.core.pulls import StudyPullState
from service.fetching.pace import Pace
from service.fetching.source import ListedObject, Stop, StudySource

_MOST_AT_ONCE: Final = 500
_ROUNDS: Final = 3
_LONGEST_REST_S: Final = 1.0


class PullStopped(Exception):
    """Somebody cancelled, or the process ends; what was fetched stays, the rest is left for another time."""


@dataclass(frozen=True, slots=True)
class StudyOutcome:
    """How a study stands against the peer's own count."""

    state: StudyPullState
    expected: int
    held: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ProjectIntake:
    """What a fetch has to know of the project that objects come to.

    Parameters
    ----------
    served_uid : the UID under which an original one is served
    takes : whether objects of a SOP class are kept at all
    pending : whether something of the project is still on its way to the archive
    """

    name: str
    served_uid: Callable[[str], str]
    takes: Callable[[str], bool]
    pending: Callable[[], bool]


class StudyFetch:
    """Fetches studies of one source for one project.

    Parameters
    ----------
    rest : sleeps for so many seconds; raises `PullStopped` when there is nothing to wait for any more
    wait_s : how long objects may take from the spool to the archive
    on_progress : told how many of how many objects are here
    """

    def __init__(
        self,
        *,
        source: StudySource,
        project: ProjectIntake,
        held: HeldInstances,
        pace: Pace,
        rest: Callable[[float], None],
        stop: Stop,
        wait_s: float,
        clock: Callable[[], float],
        on_progress: Callable[[int, int], None],
    ) -> None:
        self._source = source
        self._project = project
        self._held = held
        self._pace = pace
        self._rest = rest
        self._stop = stop
        self._wait_s = wait_s
        self._clock = clock
        self._on_progress = on_progress

    def fetch(self, study_uid: str) -> StudyOutcome:
        """Fetch what is missing of one study, and once more what is still missing then.

        Raises
        ------
        PullStopped : it was stopped
        GatewayError : the peer cannot be asked or breaks off
        """
        listed = self._source.objects_of(study_uid, self._stop)
        self._go_on()
        wanted = [one for one in listed if not one.sop_class_uid or self._project.takes(one.sop_class_uid)]
        missing, words = self._missing(wanted), ""
        for _ in range(_ROUNDS):
            if not missing:
                break
            words = self._fetch_all(study_uid, missing)
            left = self._settled(wanted)
            if len(left) == len(missing) and not words:
                break  # it came and was not kept: asking again changes nothing
            missing = left
        return _outcome(len(wanted), len(missing), words)

    def _fetch_all(self, study_uid: str, missing: Sequence[ListedObject]) -> str:
        """Why the peer did not send all; "" when it says that it did."""
        words = ""
        for portion in self._portions(missing):
            self._wait_for_turn()
            fetched = self._source.fetch(study_uid, portion, self._stop)
            self._pace.took(len(portion))
            self._go_on()
            words = fetched.words or words
        return words

    def _portions(self, missing: Sequence[ListedObject]) -> list[Sequence[ListedObject]]:
        by_series: dict[str, list[ListedObject]] = {}
        for listed in missing:
            by_series.setdefault(listed.series_uid, []).append(listed)
        size = self._pace.portion(_MOST_AT_ONCE)
        return [some[start : start + size] for some in by_series.values() for start in range(0, len(some), size)]

    def _settled(self, wanted: Sequence[ListedObject]) -> list[ListedObject]:
        """What is missing once everything that was received has gone through."""
        deadline = self._clock() + self._wait_s
        while True:
            # First what is on its way, then what is there: an object that moves meanwhile is seen in one place.
            pending = self._project.pending()
            missing = self._missing(wanted)
            self._on_progress(len(wanted) - len(missing), len(wanted))
            if not missing or not pending or self._clock() >= deadline:
                return missing
            self._rest(_LONGEST_REST_S)

    def _missing(self, wanted: Sequence[ListedObject]) -> list[ListedObject]:
        served = {one.sop_instance_uid: self._project.served_uid(one.sop_instance_uid) for one in wanted}
        held = self._held.of(self._project.name, sorted({*served, *served.values()}))
        return [one for one in wanted if served[one.sop_instance_uid] not in held and one.sop_instance_uid not in held]

    def _wait_for_turn(self) -> None:
        while pause_s := self._pace.pause_s():
            self._rest(min(pause_s, _LONGEST_REST_S))

    def _go_on(self) -> None:
        if self._stop():
            raise PullStopped


def _outcome(expected: int, missing: int, words: str) -> StudyOutcome:
    held = expected - missing
    if not expected:
        return StudyOutcome(StudyPullState.INCOMPLETE, 0, 0, "the peer has no objects of it that the project takes")
    if not missing:
        return StudyOutcome(StudyPullState.HERE, expected, held)
    reason = words or "they came and were not kept: see quarantine and conflicts"
    return StudyOutcome(
        StudyPullState.INCOMPLETE, expected, held, f"{missing} of {expected} objects are not here: {reason}"
    )

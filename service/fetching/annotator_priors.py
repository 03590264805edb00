"""Earlier studies that annotators ask for: fetched for the runs that wait for them, and for no others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from service.archive.pulls import PullTable
from service.archive.runs import RunTable
from service.core.archived import SeriesRow
from service.core.pulls import PullState
from service.errors import InstanceNotFound
from service.fetching.desk import Priors, PullDesk

SeriesOf = Callable[[str, str], Sequence[SeriesRow]]
"""The series of a project's study, by its UID as served."""


class AnnotatorPriors:
    """Asks for the priors of studies whose runs wait for them, and lets those runs go.

    A run waits until the pull that was made for it is over, however it ended, and never longer than it was told to
    when it was queued.

    Parameters
    ----------
    wanted : by project and annotator
    on_release : wakes whoever carries runs out
    """

    def __init__(
        self,
        *,
        wanted: Mapping[tuple[str, str], Priors],
        desk: PullDesk,
        pulls: PullTable,
        runs: RunTable,
        series_of: SeriesOf,
        on_release: Callable[[], object],
    ) -> None:
        self._wanted = dict(wanted)
        self._desk = desk
        self._pulls = pulls
        self._runs = runs
        self._series_of = series_of
        self._on_release = on_release

    def work(self, by: str) -> None:
        """Ask for what is waited for and was not asked for yet; let go what waits for nothing any more."""
        released = 0
        for (project, annotator), priors in self._wanted.items():
            for study_uid, series_uids in self._runs.held_back(project, annotator).items():
                if not self._is_awaited(project, annotator, study_uid, series_uids, priors, by):
                    released += self._runs.let_go(project, annotator, study_uid)
        if released:
            self._on_release()

    def _is_awaited(
        self, project: str, annotator: str, study_uid: str, series_uids: Sequence[str], priors: Priors, by: str
    ) -> bool:
        if self._pulls.is_prior(project, study_uid):
            return False  # an earlier study's own earlier studies would have no end
        asked = self._pulls.asked_by(project, annotator, study_uid)
        if asked is not None:
            return asked.state is PullState.WAITING
        series = [row for row in self._series_of(project, study_uid) if row.series_uid in series_uids]
        try:
            self._desk.request_priors(project, study_uid, priors, by, annotator=annotator, series=series)
        except InstanceNotFound:
            return False  # without a Patient ID there is nothing to ask for
        return True

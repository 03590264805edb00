"""When a study is complete, and what is to be done on it then.

A study is complete when no image came for its project's quiet time and nothing that was received by then is still on
its way, in the spool or between spool and index. That stands in files and rows, so it holds across restarts and while
ingest is behind or down; the moment at which the next study can become complete is worked out, not waited for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from dicom_nodes.errors import GatewayError
from service.archive.database import Database
from service.archive.instances import InstanceIndex
from service.archive.intake import IntakeTable
from service.archive.runs import RunTable
from service.archive.study_states import StudyStates
from service.core.annotator import Annotator
from service.core.archived import InstanceRow, StudyRow
from service.core.fault_place import fault_place
from service.jobs.run_inputs import images_of, inputs_digest, summarize

_TROUBLE_S: Final = 300.0
"""Until a study that an annotator's fault kept from becoming complete is looked at again."""

_log = structlog.get_logger("annogate.jobs")


@dataclass(frozen=True, slots=True)
class ProjectJobs:
    """What a project asks for: its quiet time in seconds, and the annotators that run on what they match."""

    name: str
    quiet_s: float
    annotators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WantedRun:
    """One annotator on one series with its present images."""

    annotator: str
    series_uid: str
    inputs_digest: str


class StudyWatch:
    """Makes studies complete, once for each set of images, and queues their runs in the same transaction.

    Parameters
    ----------
    annotators : by name, every one that a project names
    clock : seconds since the epoch, UTC
    oldest_unregistered_at : when the first object of a project was received that has no row in the index yet
    """

    def __init__(
        self,
        *,
        projects: Sequence[ProjectJobs],
        annotators: Mapping[str, Annotator],
        database: Database,
        states: StudyStates,
        intake: IntakeTable,
        index: InstanceIndex,
        runs: RunTable,
        clock: Callable[[], float],
        oldest_unregistered_at: Callable[[str], float | None] = lambda _: None,
    ) -> None:
        self._projects = projects
        self._oldest_unregistered_at = oldest_unregistered_at
        self._annotators = annotators
        self._database = database
        self._states = states
        self._intake = intake
        self._index = index
        self._runs = runs
        self._clock = clock
        self._not_before: dict[int, float] = {}

    def complete_due(self) -> int:
        """Complete what has gone quiet; how many runs were queued."""
        return sum(self._complete_due_in(project) for project in self._projects)

    def next_due_at(self) -> float | None:
        """When the next study goes quiet, if nothing comes; None when none is receiving.

        In the past when a study waits for objects on their way: then it is not time that has to pass.
        """
        quiet = [
            since + project.quiet_s
            for project in self._projects
            if (since := self._states.next_quiet_since(project.name)) is not None
        ]
        return min(quiet, default=None)

    def _complete_due_in(self, project: ProjectJobs) -> int:
        quiet_since = self._clock() - project.quiet_s
        queued = 0
        for study in self._states.receiving(project.name, quiet_since):
            # An object's study is not known before it is parsed, so any of the project holds it open.
            if not self._is_held_open(project.name, study.last_image_at + project.quiet_s):
                queued += self._complete_or_skip(project, study)
        return queued

    def _is_held_open(self, project: str, until: float) -> bool:
        """Whether something that was received by then is still on its way."""
        # In the order in which an object moves, so that none passes by unseen between two looks.
        for oldest_at in (self._oldest_unregistered_at, self._intake.oldest_pending_at):
            oldest = oldest_at(project)
            if oldest is not None and oldest <= until:
                return True
        return False

    def _complete_or_skip(self, project: ProjectJobs, study: StudyRow) -> int:
        if self._clock() < self._not_before.get(study.id, 0.0):
            return 0
        self._not_before.pop(study.id, None)
        try:
            return self._complete(project, study)
        except GatewayError:
            raise
        except Exception as error:  # noqa: BLE001  # an annotator's fault in one study must not hold up the others
            self._not_before[study.id] = self._clock() + _TROUBLE_S
            _log.error("study.trouble", project=project.name, error=fault_place(error))
            return 0

    def _complete(self, project: ProjectJobs, study: StudyRow) -> int:
        wanted = self._wanted(project, study)
        held = {
            (run.annotator, run.series_uid, run.inputs_digest)
            for run in self._runs.of_study(project.name, study.study_uid)
        }
        new = [one for one in wanted if (one.annotator, one.series_uid, one.inputs_digest) not in held]
        with self._database.write() as connection:
            if study.version and not new:
                # Nothing that came since concerns an annotator.
                self._states.restore(study, connection=connection)
                return 0
            version = self._states.complete(study, connection=connection)
            if version is None:
                return 0
            for one in new:
                self._runs.enqueue(
                    project.name, study.id, one.annotator, one.series_uid, one.inputs_digest, connection=connection
                )
        _log.info("study.complete", project=project.name, version=version, runs=len(new))
        return len(new)

    def _wanted(self, project: ProjectJobs, study: StudyRow) -> list[WantedRun]:
        by_series: dict[str, list[InstanceRow]] = defaultdict(list)
        for row in images_of(self._index.instances_of(project.name, study.study_uid)):
            by_series[row.series_uid].append(row)
        wanted = []
        for series in self._index.series_of(project.name, study.study_uid):
            images = by_series.get(series.series_uid)
            if not images:
                continue
            metadata = self._index.metadata_of(project.name, study.study_uid, series.series_uid)
            summary = summarize(series, images, metadata)
            wanted += [
                WantedRun(name, series.series_uid, inputs_digest(images, self._annotators[name]))
                for name in project.annotators
                if self._annotators[name].matches(summary)
            ]
        return wanted

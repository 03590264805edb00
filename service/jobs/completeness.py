"""When a study is complete, and what is to be done on it then.

A study is complete when one of the signs that its project goes by is there, and nothing that was received by then is
still on its way, in the spool or between spool and index. The signs: no image came for the quiet time; its sender asked
for storage commitment and all is kept; an Instance Availability Notification named what is there; the peer counts as
many images as there are; every series of a list is there. Whatever is awaited, quiet for long enough ends the wait.
All that stands in files and rows, so it holds across restarts and while ingest is behind or down; the moment at which
the next study can become complete is worked out, not waited for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

import structlog

from dicom_nodes.errors import GatewayError
from service.archive.database import Connection, Database
from service.archive.instances import InstanceIndex
from service.archive.intake import IntakeTable
from service.archive.runs import RunTable
from service.archive.study_routes import SignKind, StudyRoute, StudyRouteTable
from service.archive.study_states import StudyStates
from service.core.annotator import Annotator
from service.core.archived import InstanceRow, StudyRow
from service.core.fault_place import fault_place
from service.jobs.run_inputs import images_of, inputs_digest, summarize

_TROUBLE_S: Final = 300.0
"""Until a study that an annotator's fault kept from becoming complete is looked at again."""

SETTLED_S: Final = 5.0
"""Without an image for so long a study is worth counting, and what is there of a series is all of it."""
_ASK_AGAIN_S: Final = 30.0
_LOOKED_AT: Final = 1000
"""Studies of a project that are looked at in one turn, the longest quiet first."""

PeerCount = Callable[[str, str], int | None]
"""How many images the peer has of a project's study, by its UID as served; None where nobody can tell."""

OnComplete = Callable[[str, str, Connection], object]
"""Told of a project, a study by its UID as served, and the transaction."""

_log = structlog.get_logger("annogate.jobs")


@dataclass(frozen=True, slots=True)
class ProjectJobs:
    """What a project asks for.

    Parameters
    ----------
    quiet_s : the quiet time in seconds, where "quiet" is among the signs
    annotators : run on what they match, unless a routing rule says otherwise of a study
    signs : by which a study is complete: quiet, commitment, notification, count, series
    wait_s : quiet for so long completes a study, whatever is awaited
    series : of each alternative, patterns of series descriptions or modalities that all have to be there
    priors_wait_s : how long an annotator's runs wait for earlier studies; of those annotators that ask for any
    """

    name: str
    quiet_s: float
    annotators: tuple[str, ...]
    signs: frozenset[str] = frozenset({"quiet"})
    wait_s: float = 3600.0
    series: tuple[tuple[str, ...], ...] = ()
    priors_wait_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def rest_s(self) -> float:
        """After how much quiet a study is complete if nothing else says so."""
        return min(self.quiet_s, self.wait_s) if "quiet" in self.signs else self.wait_s

    @property
    def first_look_s(self) -> float:
        """After how much quiet it is worth a look."""
        return min(self.rest_s, SETTLED_S) if self.signs & {"count", "series"} else self.rest_s


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
    routes : what routing rules said of studies, and signs that they are complete
    peer_count : asks the peer for how many images it has
    on_complete : told of a study that became complete, in the transaction that makes it so
    performers : of annotators that are carried out elsewhere, who does it
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
        routes: StudyRouteTable | None = None,
        peer_count: PeerCount = lambda *_: None,
        on_complete: OnComplete = lambda *_: None,
        performers: Mapping[str, str] | None = None,
    ) -> None:
        self._performers = performers or {}
        self._on_complete = on_complete
        self._routes = routes
        self._peer_count = peer_count
        self._counted: dict[int, tuple[float, int | None]] = {}
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
            since + project.first_look_s
            for project in self._projects
            if (since := self._states.next_quiet_since(project.name)) is not None
        ]
        return min(quiet, default=None)

    def _complete_due_in(self, project: ProjectJobs) -> int:
        awaits_signs = project.signs - {"quiet"}
        quiet_since = None if awaits_signs else self._clock() - project.rest_s
        queued = 0
        for study in self._states.receiving(project.name, quiet_since, _LOOKED_AT):
            until = self._complete_since(project, study)
            # An object's study is not known before it is parsed, so any of the project holds it open.
            if until is not None and not self._is_held_open(project.name, until):
                queued += self._complete_or_skip(project, study)
        return queued

    def _complete_since(self, project: ProjectJobs, study: StudyRow) -> float | None:
        """What was received by this time belongs to a study that is complete; None while it is not."""
        if study.last_image_at + project.rest_s <= self._clock():
            return study.last_image_at + project.rest_s
        if self._routes is not None and (signs := project.signs & set(SignKind)):
            for sign in self._routes.signs(project.name, study.study_uid):
                holds_still = sign.at >= study.last_image_at or sign.images > 0
                if sign.kind in signs and holds_still and self._routes.images(study.id) >= sign.images:
                    return max(sign.at, study.last_image_at)
        settled_at = study.last_image_at + SETTLED_S
        if settled_at > self._clock():
            return None
        if "series" in project.signs and self._has_series(project, study):
            return settled_at
        return settled_at if "count" in project.signs and self._is_counted(project, study) else None

    def _has_series(self, project: ProjectJobs, study: StudyRow) -> bool:
        """Whether every series of one of the lists is there."""
        rows = self._index.series_of(project.name, study.study_uid)
        present = [(row.series_description.upper(), row.modality.upper()) for row in rows]
        return any(
            all(any(fnmatchcase(value, name.upper()) for values in present for value in values) for name in wanted)
            for wanted in project.series
        )

    def _is_counted(self, project: ProjectJobs, study: StudyRow) -> bool:
        """Whether there are as many images as the peer has; it is asked no more often than every half minute."""
        if self._routes is None:
            return False
        asked_at, count = self._counted.get(study.id, (float("-inf"), None))
        if self._clock() - asked_at >= _ASK_AGAIN_S:
            count = self._peer_count(project.name, study.study_uid)
            self._counted[study.id] = (self._clock(), count)
        if count is None or self._routes.images(study.id) < count:
            return False
        self._counted.pop(study.id, None)
        return True

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
        route = StudyRoute() if self._routes is None else self._routes.of(project.name, study.study_uid)
        wanted = self._wanted(project, study, project.annotators if route.annotators is None else route.annotators)
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
            if self._routes is not None:
                # What comes later makes a version of its own, by signs of its own.
                self._routes.forget_signs(project.name, study.study_uid, connection=connection)
            self._on_complete(project.name, study.study_uid, connection)
            for one in new:
                wait_s = project.priors_wait_s.get(one.annotator)
                self._runs.enqueue(
                    project.name,
                    study.id,
                    one.annotator,
                    one.series_uid,
                    one.inputs_digest,
                    priority=route.priority,
                    not_before=0.0 if wait_s is None else self._clock() + wait_s,
                    performer=self._performers.get(one.annotator, ""),
                    connection=connection,
                )
        _log.info("study.complete", project=project.name, version=version, runs=len(new))
        return len(new)

    def _wanted(self, project: ProjectJobs, study: StudyRow, annotators: Sequence[str]) -> list[WantedRun]:
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
                for name in annotators
                if self._annotators[name].matches(summary)
            ]
        return wanted

"""Jobs put together over a folder, on top of ingest."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from service.archive.releases import ReleaseTable
from service.archive.runs import RunTable
from service.archive.study_states import StudyStates
from service.core.annotator import Annotator
from service.core.archived import InstanceRow, RunRow
from service.core.deliveries import SentKind
from service.core.records import ObjectKind, Outcome
from service.ingest.spool_backlog import SpoolBacklog
from service.ingest.spool_reader import SpoolReader
from service.jobs.annotation_run import AnnotationRun
from service.jobs.completeness import ProjectJobs, StudyWatch
from service.jobs.result_store import ResultStore
from service.jobs.run_end import RunEnd
from tests.datasets import ct_slice
from tests.ingest_house import SEALING_KEY, IngestHouse

QUIET_S = 60.0


class JobsHouse:
    """A project ("research" unless told) with its annotators; a second one over the same folder is a second process."""

    def __init__(
        self,
        folder: Path,
        annotators: Sequence[Annotator],
        *,
        project: str = "research",
        new_uid: Callable[[], str] | None = None,
        ingest: IngestHouse | None = None,
        further: Sequence[SentKind] = (),
    ) -> None:
        self.ingest = ingest or IngestHouse(folder)
        self.clock = self.ingest.clock
        self.index = self.ingest.index
        self.project = project
        database = self.ingest.database
        self.runs = RunTable(database, self.clock)
        self.releases = ReleaseTable(database, self.clock)
        self.states = StudyStates(database, self.clock)
        by_name: Mapping[str, Annotator] = {annotator.name: annotator for annotator in annotators}
        self.watch = StudyWatch(
            projects=[ProjectJobs(project, QUIET_S, tuple(by_name))],
            annotators=by_name,
            database=database,
            states=self.states,
            intake=self.ingest.intake,
            index=self.index,
            runs=self.runs,
            clock=self.clock,
            oldest_unregistered_at=SpoolBacklog(
                SpoolReader(folder / "spool", SEALING_KEY), self.ingest.intake, {"RESEARCH": "research"}.get
            ).oldest_at,
        )
        self.store = ResultStore(
            database=database,
            index=self.index,
            runs=self.runs,
            blobs=self.ingest.blobs,
            clock=self.clock,
            version="ANNOGATE_TEST",
            versions=self.ingest.versions,
            releases=self.releases,
        )
        numbers = itertools.count(1)
        self.executor = AnnotationRun(
            annotators=by_name,
            index=self.index,
            blobs=self.ingest.blobs,
            store=self.store,
            shift_days={"research": self.ingest.deidentifier.shift_days_of_pseudonym},
            clock=self.clock,
            new_uid=new_uid or (lambda: f"2.25.{id(self)}.{next(numbers)}"),
            version="0.test",
            further={project: further},
        )

    def receive(self, data_sets: Sequence[Dataset]) -> Outcome:
        """Take objects in now; the last outcome."""
        batch = [self.ingest.incoming(data_set, self.project) for data_set in data_sets]
        return self.ingest.pipeline.process_batch(batch)[-1]

    def receive_slices(self, count: int, first: int = 1) -> Outcome:
        return self.receive([ct_slice(number) for number in range(first, first + count)])

    def go_quiet(self) -> int:
        """Let the quiet time pass; how many runs were queued."""
        self.clock.now += QUIET_S + 1
        return self.watch.complete_due()

    def carry_out(self, owner: str = "worker") -> list[RunEnd]:
        """Carry out every run that waits."""
        ends = []
        while (run := self.runs.lease(owner, 60.0)) is not None:
            ends.append(self.executor.execute(run, owner))
        return ends

    def all_runs(self, study_uid: str) -> list[RunRow]:
        return self.runs.of_study(self.project, study_uid)

    def results(self, study_uid: str, *, visible_only: bool = True) -> list[InstanceRow]:
        rows = self.index.instances_of(self.project, study_uid, visible_only=visible_only)
        return [row for row in rows if row.kind is ObjectKind.RESULT]

    def close(self) -> None:
        self.ingest.close()

"""What finds complete studies, and runs annotators on them in processes of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from service import __version__, audit_events
from service.archive.availability_notices import AvailabilityNoticeTable
from service.archive.database import Connection
from service.archive.study_states import StudyStates
from service.bootstrap.dimse_peers import DimsePeers
from service.bootstrap.ground import IMPLEMENTATION_VERSION, OUTBOX_BELL, Ground
from service.bootstrap.identity import Identity
from service.bootstrap.reception import Reception
from service.bootstrap.stores import Stores
from service.core.implementation import random_uid

if TYPE_CHECKING:
    from service.core.annotator import Annotator
    from service.core.archived import RunRow
    from service.core.deliveries import SentKind
    from service.dimse.peer_count import PeerCounts
    from service.jobs.annotation_run import AnnotationRun
    from service.jobs.attribute_rounds import AttributeRounds
    from service.jobs.completeness import StudyWatch
    from service.jobs.run_end import RunEnd
    from service.jobs.worker import WorkerPool

COUNT_TIMEOUT_S = 10.0
"""For a peer's count of a study: whoever waits for studies waits for it."""


class Jobs:
    """Annotators, and the runs that they are given.

    Parameters
    ----------
    make_executor : what a worker process of the pool starts with; it is pickled
    """

    def __init__(
        self,
        ground: Ground,
        stores: Stores,
        identity: Identity,
        reception: Reception,
        make_executor: Callable[[], AnnotationRun],
        peers: DimsePeers,
    ) -> None:
        self._peers = peers
        self._ground = ground
        self._stores = stores
        self._identity = identity
        self._reception = reception
        self._make_executor = make_executor

    @cached_property
    def annotators(self) -> dict[str, Annotator]:
        """Every annotator that a project names."""
        from service.annotators.registry import load_annotators

        projects = self._ground.settings.projects
        named = [name for project in projects.values() for name in project.annotators]
        ruled = [name for project in projects.values() for rule in project.rules for name in rule.annotators or ()]
        names = sorted({*named, *ruled})
        return load_annotators(self._ground.config / "annotators", names)

    @cached_property
    def study_watch(self) -> StudyWatch:
        """What finds complete studies and queues runs."""
        from service.annotators.outside import OutsideAnnotator
        from service.jobs.completeness import ProjectJobs, StudyWatch

        stores, clock = self._stores, self._ground.clock
        return StudyWatch(
            projects=[
                ProjectJobs(
                    name,
                    project.study_quiet_s,
                    project.annotators,
                    frozenset(project.complete_when),
                    project.longest_wait_s,
                    project.complete_series,
                    {annotator: priors.wait_s for annotator, priors in project.priors.items()},
                )
                for name, project in self._ground.settings.projects.items()
            ],
            annotators=self.annotators,
            database=stores.database,
            states=StudyStates(stores.database, clock),
            intake=stores.intake,
            index=stores.instances,
            runs=stores.runs,
            clock=clock,
            oldest_unregistered_at=self._reception.spool_backlog.oldest_at,
            routes=self._reception.study_routes,
            peer_count=self._peer_counts().count,
            on_complete=self._have_told,
            performers={
                name: one.performer for name, one in self.annotators.items() if isinstance(one, OutsideAnnotator)
            },
        )

    def _have_told(self, project: str, study_uid: str, connection: Connection) -> None:
        """Have the peers of a project be told of a study."""
        peers = self._ground.settings.projects[project].tell_availability_to
        if peers:
            AvailabilityNoticeTable(self._stores.database, self._ground.clock).add(
                project, study_uid, peers, connection
            )

    def _peer_counts(self) -> PeerCounts:
        """What asks peers how many instances they have of a study."""
        from service.dimse.peer_count import CountingPeer, PeerCounts

        projects = self._ground.settings.projects
        return PeerCounts(
            {
                name: CountingPeer(
                    project.count_peer,
                    self._peers.address(project.count_peer),
                    replace(self._peers.calling(project.count_peer), answer_timeout_s=COUNT_TIMEOUT_S),
                    partial(self._identity.original_uid, name),
                )
                for name, project in projects.items()
                if project.count_peer is not None and "count" in project.complete_when
            },
            self._ground.clock,
        )

    @cached_property
    def annotation_run(self) -> AnnotationRun:
        """What carries a run out."""
        from service.jobs.annotation_run import AnnotationRun
        from service.jobs.result_store import ResultStore

        stores, clock = self._stores, self._ground.clock
        return AnnotationRun(
            annotators=self.annotators,
            index=stores.instances,
            blobs=stores.blobs,
            store=ResultStore(
                database=stores.database,
                index=stores.instances,
                runs=stores.runs,
                blobs=stores.blobs,
                clock=clock,
                version=IMPLEMENTATION_VERSION,
                releases=stores.releases,
                versions=stores.annotation_versions,
            ),
            shift_days={
                name: deidentifier.shift_days_of_pseudonym
                for name, deidentifier in self._identity.deidentifiers.items()
                if deidentifier is not None
            },
            clock=clock,
            new_uid=random_uid,
            version=__version__,
            further=self._further_kinds,
        )

    @property
    def _further_kinds(self) -> dict[str, tuple[SentKind, ...]]:
        """By project, what its peers get beside segmentation and report, or in their place."""
        settings = self._ground.settings
        return {
            name: tuple(
                dict.fromkeys(kind for peer in project.deliver_to for kind in settings.peers[peer].further_kinds)
            )
            for name, project in settings.projects.items()
        }

    def worker_pool(self) -> WorkerPool:
        """What leases runs and hands them to processes."""
        from service.jobs.worker import PoolLimits, WorkerPool

        jobs = self._ground.settings.jobs
        return WorkerPool(
            watch=self.study_watch,
            runs=self._stores.runs,
            make_executor=self._make_executor,
            owner=self._ground.owner,
            clock=self._ground.clock,
            limits=PoolLimits(workers=jobs.workers, attempts=jobs.attempts, lease_s=jobs.lease_s, sweep_s=jobs.sweep_s),
            on_ended=self._audit_run,
        )

    def attribute_rounds(self) -> AttributeRounds:
        """What goes on with attributes that somebody made searchable."""
        from service.jobs.attribute_rounds import AttributeRounds

        return AttributeRounds(self._stores.search_attributes, self._ground.settings.jobs.sweep_s)

    def _audit_run(self, run: RunRow, end: RunEnd) -> None:
        self._stores.audit.record(audit_events.of_run(run, end))
        self._ground.bell.ring(OUTBOX_BELL)

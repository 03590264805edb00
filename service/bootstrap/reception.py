"""An object's way from the node's spool to the archive or to quarantine, and what keeps house there."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import cached_property

from dicom_nodes.object_sink import ObjectHeader
from service import audit_events
from service.archive.study_routes import StudyRouteTable
from service.bootstrap.cleaning import Cleaning
from service.bootstrap.ground import GIBIBYTE, IMPLEMENTATION_VERSION, MEBIBYTE, SPOOL_BELL, STUDIES_BELL, Ground
from service.bootstrap.rules import routing_rules
from service.bootstrap.stores import Stores
from service.delivery.incoming_notes import IncomingNotes
from service.ingest.blob_sweep import BlobSweep
from service.ingest.callers import KnownCaller, ProjectCallers
from service.ingest.damaged_segments import DamagedSegments
from service.ingest.face_rounds import FaceRounds
from service.ingest.pipeline import IngestPipeline
from service.ingest.quarantine import Quarantine
from service.ingest.quarantine_desk import Decision, QuarantineDesk
from service.ingest.routing import Router
from service.ingest.routing_rules import RoutingRules
from service.ingest.segment_claim import SegmentClaims
from service.ingest.segment_pool import segment_pool
from service.ingest.settlement import Settlement
from service.ingest.spool import Spool
from service.ingest.spool_backlog import SpoolBacklog
from service.ingest.spool_reader import SpoolReader
from service.ingest.spool_worker import SpoolWorker
from service.objects.arrival import ArrivalJudge
from service.versions.filing import VersionFiling


class Reception:
    """Spool, pipeline and quarantine."""

    def __init__(self, ground: Ground, stores: Stores, cleaning: Cleaning) -> None:
        self._ground = ground
        self._stores = stores
        self._cleaning = cleaning

    @cached_property
    def spool(self) -> Spool:
        """What the node writes into."""
        storage = self._ground.settings.storage
        spool = Spool(
            self._ground.directory.spool,
            self._ground.key_file.sealing_key("spool"),
            segment_bytes=storage.spool_segment_mib * MEBIBYTE,
            clock=self._ground.clock,
            reserve_bytes=int(storage.disk_reserve_gib * GIBIBYTE),
            limit_bytes=int(storage.spool_limit_gib * GIBIBYTE),
            recycled=storage.spool_recycled_segments,
            on_commit=self._ground.ring(SPOOL_BELL),
        )
        self._ground.opened.callback(spool.close)
        return spool

    @cached_property
    def callers(self) -> ProjectCallers:
        """Who may call the node."""
        settings = self._ground.settings
        return ProjectCallers(
            {title: name for name, project in settings.projects.items() for title in project.ae_titles},
            [KnownCaller(known.ae_title, known.addresses, known.projects) for known in settings.callers.values()],
            reject_unknown=settings.rejects_unknown_callers,
        )

    @cached_property
    def quarantine(self) -> Quarantine:
        """What could not be processed."""
        return Quarantine(
            self._ground.directory.quarantine,
            self._ground.key_file.sealing_key("quarantine"),
            self._stores.quarantine_table,
            self._ground.clock,
        )

    @cached_property
    def pipeline(self) -> IngestPipeline:
        """An object's way from bytes to the archive or to quarantine."""
        stores, scratch = self._stores, self._ground.scratch
        return IngestPipeline(
            projects=self._cleaning.project_rules,
            database=stores.database,
            settlement=Settlement(
                projects=self._cleaning.project_rules,
                index=stores.instances,
                vault=stores.vault_store,
                conflicts=stores.conflicts,
                counters=stores.counters,
                cleaning=stores.study_cleaning,
                routes=self.study_routes,
                after_add=(
                    IncomingNotes(stores.rejections).after_add,
                    VersionFiling(stores.annotation_versions, stores.instances).after_add,
                ),
            ),
            blobs=stores.blobs,
            quarantine=self.quarantine,
            router=Router(stores.instances, IMPLEMENTATION_VERSION, scratch.keep),
            number=secrets.randbelow,
            on_stored=self._ground.ring(STUDIES_BELL),
            keep=scratch.keep,
            routing=self._routing,
            header_limit=self._ground.settings.storage.header_memory_mib << 20,
            judge=self.arrival_judge.admit,
            on_faults=self._audit_faults,
        )

    @cached_property
    def arrival_judge(self) -> ArrivalJudge:
        """What decides over annotation objects of others."""
        projects = self._ground.settings.projects
        refuses = {name: project.faulty_annotations == "refuse" for name, project in projects.items()}
        return ArrivalJudge(self._stores.instances, self._stores.blobs, refuses)

    @cached_property
    def study_routes(self) -> StudyRouteTable:
        """What rules say of studies, and what says that they are complete."""
        return StudyRouteTable(self._stores.database, self._ground.clock)

    @cached_property
    def quarantine_desk(self) -> QuarantineDesk:
        """Where people decide on quarantine."""
        return QuarantineDesk(self.quarantine, self.pipeline, self._audit_decision)

    @cached_property
    def spool_worker(self) -> SpoolWorker:
        """What works the spool off."""
        return SpoolWorker(
            reader=self._spool_reader(),
            intake=self._stores.intake,
            pipeline=self.pipeline,
            claims=SegmentClaims(self._ground.directory.run / "segments"),
            project_of=self.callers.project_of,
            on_damage=lambda _: self._stores.counters.add("", "damaged spool segments"),
            interrupt_look=self._cleaning.pixel_cleaner.close,
            priority_of=self._priority_of,
        )

    def _priority_of(self, header: ObjectHeader) -> int:
        """What is known of an object's urgency before it is read."""
        project = self.callers.project_of(header.called_ae_title) or ""
        return self._routing.priority_unread(project, header.calling_ae_title, header.called_ae_title, header.priority)

    @cached_property
    def _routing(self) -> RoutingRules:
        return routing_rules(self._ground.settings)

    @cached_property
    def spool_backlog(self) -> SpoolBacklog:
        """What was acknowledged and is not in the index yet."""
        return self.new_spool_backlog()

    def new_spool_backlog(self) -> SpoolBacklog:
        """The same for another thread."""
        return SpoolBacklog(self._spool_reader(), self._stores.intake, self.callers.project_of)

    @cached_property
    def face_rounds(self) -> FaceRounds:
        """What looks after series of heads that wait to lose their faces."""
        return FaceRounds(
            quarantine=self.quarantine,
            pipeline=self.pipeline,
            quiet_s={name: project.study_quiet_s for name, project in self._ground.settings.projects.items()},
            pending=(self.spool_backlog.oldest_at, self._stores.intake.oldest_pending_at),
            claims=SegmentClaims(self._ground.directory.run / "faces"),
            on_decision=self._audit_decision,
            clock=self._ground.clock,
        )

    @cached_property
    def damaged_segments(self) -> DamagedSegments:
        """Files of the spool that the disk has damaged."""
        return DamagedSegments(self._ground.directory.spool)

    @cached_property
    def blob_sweep(self) -> BlobSweep:
        """Removes files that a kill left without a row."""
        return BlobSweep(self._stores.blobs, self._stores.instances, self._ground.clock)

    def _spool_reader(self) -> SpoolReader:
        directory, storage = self._ground.directory.spool, self._ground.settings.storage
        pool = segment_pool(directory, storage.spool_recycled_segments, storage.spool_segment_mib * MEBIBYTE)
        return SpoolReader(directory, self._ground.key_file.sealing_key("spool"), pool=pool)

    def _audit_faults(self, project: str, sop_instance_uid: str, rules: Sequence[str]) -> None:
        self._stores.audit_buffer.record(audit_events.of_faults(project, sop_instance_uid, rules))

    def _audit_decision(self, decision: Decision) -> None:
        self._stores.audit.record(audit_events.of_decision(decision))

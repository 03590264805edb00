"""The one place that knows which parts are plugged in: settings in, the parts of a gateway out.

A `Gateway` makes each part when it is first asked for, so a process holds only what its role needs; each part is handed
its own section of the settings as plain values. Every adapter can be replaced in a subclass or by assignment before the
first use. Heavy rooms (annotators, objects, web) are imported by the parts that need them.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from service import __version__, audit_events
from service.archive.accounts import Accounts
from service.archive.audit import AuditTrail
from service.archive.audit_buffer import AuditBuffer
from service.archive.blobs import FilesystemBlobStore
from service.archive.conflicts import ConflictTable
from service.archive.counters import CounterTable
from service.archive.database import Database
from service.archive.instances import InstanceIndex
from service.archive.intake import IntakeTable
from service.archive.overview import Overview
from service.archive.patients import PatientTable
from service.archive.projects import ProjectTable
from service.archive.quarantine_rows import QuarantineTable
from service.archive.runs import RunTable
from service.archive.study_cleaning import StudyCleaningTable
from service.archive.study_dates import StudyDates
from service.archive.study_states import StudyStates
from service.archive.vault_keys import VaultKeyTable
from service.archive.vault_store import VaultStore
from service.core.bell import Bell
from service.core.pydicom_reading import read_leniently
from service.core.release import why_held
from service.custody.crosswalk import Crosswalk
from service.custody.key_backup import KeyBackups
from service.custody.key_rotation import KeyRotation
from service.custody.patient_import import PatientImport
from service.custody.way_back import WayBack
from service.data_directory import DataDirectory
from service.deident.deidentifier import Deidentifier
from service.deident.faces.face_finder import FaceFinder
from service.deident.faces.face_policy import FacePolicy
from service.deident.keys import KeyFile
from service.deident.persons import Persons
from service.deident.profile import load_profile
from service.deident.pseudonyms import Pseudonyms
from service.deident.separate_pixel_cleaner import LookLimits, SeparatePixelCleaner
from service.deident.text_cleaning.external_recogniser import ExternalNameRecogniser, recogniser_of
from service.deident.vault import Vault
from service.errors import KeysMissing, SettingsInvalid
from service.ingest.blob_sweep import BlobSweep
from service.ingest.callers import KnownCaller, ProjectCallers
from service.ingest.cleaning import ProjectCleaner
from service.ingest.face_rounds import FaceRounds
from service.ingest.face_step import FaceStep
from service.ingest.pipeline import IngestPipeline
from service.ingest.pixel_step import PixelStep
from service.ingest.project_rules import ConflictRule, ProjectRules
from service.ingest.quarantine import Quarantine
from service.ingest.quarantine_desk import Decision, QuarantineDesk
from service.ingest.routing import Router
from service.ingest.scratch import Scratch
from service.ingest.segment_claim import SegmentClaims
from service.ingest.spool import Spool
from service.ingest.spool_backlog import SpoolBacklog
from service.ingest.spool_reader import SpoolReader
from service.ingest.spool_worker import SpoolWorker
from service.log import configure_logging
from service.settings import ProjectSettings, Settings, config_directory

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from dicom_nodes.listener import DicomNode
    from dicom_nodes.node_event import NodeEvent
    from service.core.annotator import Annotator
    from service.core.archived import RunRow
    from service.jobs.annotation_run import AnnotationRun
    from service.jobs.completeness import StudyWatch
    from service.jobs.run_end import RunEnd
    from service.jobs.worker import WorkerPool

IMPLEMENTATION_VERSION = f"ANNOGATE_{__version__}"[:16]  # (0002,0013), an SH
NO_DEIDENTIFICATION = "none"
DEFAULT_PROJECT = "default"
GIBIBYTE = 1 << 30
MEBIBYTE = 1 << 20
DAY_S = 86400.0

# What is woken by whom: the node and STOW-RS ring when something was stored; ingest when the index has more.
SPOOL_BELL = "spool"
STUDIES_BELL = "studies"

RESULTS_STAY = "results stay in the gateway: this version delivers nothing to peers"
_OF_DELIVERY = ("deliver_to", "approve", "allow_demonstrator")

log = structlog.get_logger("annogate")


class Gateway:
    """The parts of one gateway, made on demand; `close` ends what was opened, the last first.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self.clock = clock
        self.directory = DataDirectory(settings.storage.data_dir)
        self.config = config_directory(settings)
        self._opened = ExitStack()
        read_leniently()

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End what was opened."""
        self._opened.close()

    # Before anything runs

    def prepare(self) -> None:
        """Make what a first start needs, and refuse what cannot work; safe when several processes do it at once.

        Raises
        ------
        SettingsInvalid : a profile, an annotator or an address cannot be used
        KeysMissing : the key file is gone or does not fit a project that has data
        """
        self.directory.create()
        with self._exclusively("prepare"):
            if not self.directory.keys.exists():
                self._refuse_lost_keys()
                KeyFile.create(self.directory.keys)
                log.warning("a key file was made: back it up apart from the data", path=str(self.directory.keys))
        for name in self.settings.projects:
            self.project_table.register(name, self.key_file.project_keys(name).fingerprint)
        self._refuse_older_keys()
        self._check_projects()

    def require_data(self) -> None:
        """Refuse to look into a data directory that no gateway has made.

        Raises
        ------
        SettingsInvalid : there is none
        """
        if not self.directory.index.exists():
            raise SettingsInvalid(f"storage.data_dir: no gateway has run on {self.directory.root}")

    def refuse_open_listener(self) -> None:
        """Refuse to serve the web to other machines while nobody has to say who they are.

        Raises
        ------
        SettingsInvalid : with the reason
        """
        from service.web.auth import refuse_open_listener

        http = self.settings.http
        refuse_open_listener(
            http.host,
            self.accounts.any_configured(),
            trusted_proxy=http.trusted_proxy,
            public_url=http.public_url,
        )

    def _refuse_lost_keys(self) -> None:
        held = [f"project {name}" for name in self.project_table.names() if self.project_table.has_data(name)]
        # What was acknowledged and not yet ingested, or is held, can be read with that file alone.
        sealed = {"the spool": self.directory.spool, "quarantine": self.directory.quarantine}
        held += [name for name, directory in sealed.items() if any(directory.iterdir())]
        if held:
            raise KeysMissing(
                f"the key file {self.directory.keys} is gone, and {', '.join(held)} holds data that were made with it: "
                "restore it from its backup"
            )

    def _refuse_older_keys(self) -> None:
        """Refuse a key file that is a copy from before the vault's key was last rotated."""
        held, retired = set(self.key_file.vault_key_ids), self.vault_keys.retired()
        if self.vault_keys.key_ids() <= held and self.key_file.newest_vault_key.key_id not in retired:
            return
        raise KeysMissing(
            f"the key file {self.directory.keys} is older than the last rotation of the vault's key: entries were "
            "sealed with a key that it does not hold. Bring back a later copy"
        )

    def _check_projects(self) -> None:
        """Load what each project names, so that a mistake is told at start."""
        from service.annotators.registry import load_annotators

        faults = []
        for name, project in self.settings.projects.items():
            for look in (
                partial(self._check_deidentification, name, project),
                partial(load_annotators, self.config / "annotators", project.annotators),
            ):
                try:
                    look()
                except SettingsInvalid as error:
                    faults.append(f"projects.{name}: {error}")
        if faults:
            raise SettingsInvalid("\n".join(faults))

    def _check_deidentification(self, name: str, project: ProjectSettings) -> None:
        self._pixel_step(self._deidentifier(name, project))

    @contextmanager
    def _exclusively(self, name: str) -> Iterator[None]:
        descriptor = os.open(self.directory.run / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    # Archive

    @cached_property
    def database(self) -> Database:
        """The index."""
        return self._opened.enter_context(Database.open(self.directory.index))

    @cached_property
    def project_table(self) -> ProjectTable:
        """Projects with their keys' fingerprints."""
        return ProjectTable(self.database, self.clock)

    @cached_property
    def instances(self) -> InstanceIndex:
        """Studies, series and instances."""
        return InstanceIndex(self.database, self.clock)

    @cached_property
    def blobs(self) -> FilesystemBlobStore:
        """Objects as files."""
        return FilesystemBlobStore(self.directory.blobs)

    @cached_property
    def vault_store(self) -> VaultStore:
        """Sealed rows of the vault."""
        return VaultStore(self.database)

    @cached_property
    def study_cleaning(self) -> StudyCleaningTable:
        """What was done to each study."""
        return StudyCleaningTable(self.database)

    @cached_property
    def vault_keys(self) -> VaultKeyTable:
        """Which keys the vault's entries were sealed with."""
        return VaultKeyTable(self.database, self.clock)

    @cached_property
    def runs(self) -> RunTable:
        """Annotator runs."""
        return RunTable(self.database, self.clock)

    @cached_property
    def intake(self) -> IntakeTable:
        """Objects of the spool on their way."""
        return IntakeTable(self.database, self.clock)

    @cached_property
    def conflicts(self) -> ConflictTable:
        """UIDs that came again with other content."""
        return ConflictTable(self.database, self.clock)

    @cached_property
    def counters(self) -> CounterTable:
        """What is counted and not kept."""
        return CounterTable(self.database)

    @cached_property
    def overview(self) -> Overview:
        """What happens inside, in numbers."""
        return Overview(self.database, time.monotonic)

    @cached_property
    def accounts(self) -> Accounts:
        """Users and tokens."""
        return Accounts(self.database, self.clock)

    @cached_property
    def audit(self) -> AuditTrail:
        """The audit trail."""
        return AuditTrail(self.database, self.clock, self.key_file.sealing_key("audit"))

    @cached_property
    def audit_buffer(self) -> AuditBuffer:
        """The audit trail for what must not wait for the disk."""
        buffer = AuditBuffer(self.audit, on_failure=lambda error: log.error("audit.trouble", reason=str(error)))
        self._opened.callback(buffer.close)
        return buffer

    # Identity

    @cached_property
    def key_file(self) -> KeyFile:
        """The secrets of this installation."""
        return KeyFile.load(self.directory.keys)

    @property
    def key_rotation(self) -> KeyRotation:
        """What changes the vault's encryption key."""
        return KeyRotation(self.directory.keys, self.vault_keys, self.directory.run / "vault-rotation.lock")

    @property
    def key_backups(self) -> KeyBackups:
        """What copies the key file, and tells when there is no copy."""
        return KeyBackups(self.directory.keys, self.directory.root, self.vault_keys)

    @cached_property
    def name_recogniser(self) -> ExternalNameRecogniser | None:
        """The operator's program that finds names in texts; None where the settings name none."""
        text = self.settings.text
        recogniser = recogniser_of(text.name_recogniser, text.name_recogniser_timeout_s)
        if recogniser is not None:
            self._opened.callback(recogniser.close)
        return recogniser

    def _deidentifier(self, name: str, project: ProjectSettings) -> Deidentifier | None:
        if project.deidentify == NO_DEIDENTIFICATION:
            return None
        profile = load_profile(self.config / "profiles", project.deidentify, recogniser=self.name_recogniser)
        keys = self.key_file.project_keys(name)
        return Deidentifier(profile, keys, Vault(self.key_file, name), self.persons(name))

    def persons(self, project: str) -> Persons:
        """Which identifiers are the same person's in a project."""
        pseudonyms = Pseudonyms.of(self.key_file.project_keys(project))
        return Persons(
            Vault(self.key_file, project),
            partial(self.vault_store.get, project),
            lambda kind: list(self.vault_store.entries(project, kind)),
            pseudonyms.digest,
        )

    def patient_import(self, project: str) -> PatientImport:
        """What changes that.

        Raises
        ------
        SettingsInvalid : there is no such project, or it keeps identity
        """
        self.refuse_without_vault(project)
        return PatientImport(
            project=project,
            database=self.database,
            store=self.vault_store,
            patients=PatientTable(self.database),
            vault=Vault(self.key_file, project),
            persons=self.persons(project),
            pseudonyms=Pseudonyms.of(self.key_file.project_keys(project)),
        )

    def crosswalk(self, project: str) -> Crosswalk:
        """What tells the original identifiers of a project.

        Raises
        ------
        SettingsInvalid : there is no such project, or it keeps identity
        """
        self.refuse_without_vault(project)
        return Crosswalk(
            project=project,
            vault=Vault(self.key_file, project),
            store=self.vault_store,
            patients=PatientTable(self.database),
            persons=self.persons(project),
            pseudonyms=Pseudonyms.of(self.key_file.project_keys(project)),
        )

    def way_back(self, project: str) -> WayBack:
        """What gives results their patient, UIDs and dates back.

        Raises
        ------
        SettingsInvalid : there is no such project, or it keeps identity
        """
        self.refuse_without_vault(project)
        return WayBack(Vault(self.key_file, project), self.vault_store, project)

    def notices(self) -> list[str]:
        """What somebody should do before it hurts."""
        return [words for words in (self.key_backups.notice(),) if words]

    def refuse_without_vault(self, project: str) -> None:
        """Refuse a project whose objects are kept as they come: it has no pseudonyms.

        Raises
        ------
        SettingsInvalid : there is no such project, or it keeps identity
        """
        if project not in self.settings.projects:
            raise SettingsInvalid(f"there is no project {project!r} (there are: {', '.join(self.settings.projects)})")
        if self.settings.projects[project].deidentify == NO_DEIDENTIFICATION:
            raise SettingsInvalid(f"project {project} keeps its objects as they come: there is nothing to map")

    @cached_property
    def deidentifiers(self) -> dict[str, Deidentifier | None]:
        """One for each project; None where objects are kept as they come."""
        return {name: self._deidentifier(name, project) for name, project in self.settings.projects.items()}

    # Ingest

    @cached_property
    def bell(self) -> Bell:
        """Wakes the other processes on this host."""
        bell = Bell(self.directory.run / "bells")
        self._opened.callback(bell.close)
        return bell

    def _ring(self, topic: str) -> Callable[[], None]:
        def ring() -> None:
            self.bell.ring(topic)

        return ring

    @cached_property
    def spool(self) -> Spool:
        """What the node writes into."""
        storage = self.settings.storage
        spool = Spool(
            self.directory.spool,
            self.key_file.sealing_key("spool"),
            segment_bytes=storage.spool_segment_mib * MEBIBYTE,
            clock=self.clock,
            reserve_bytes=int(storage.disk_reserve_gib * GIBIBYTE),
            limit_bytes=int(storage.spool_limit_gib * GIBIBYTE),
            on_commit=self._ring(SPOOL_BELL),
        )
        self._opened.callback(spool.close)
        return spool

    @cached_property
    def callers(self) -> ProjectCallers:
        """Who may call the node."""
        settings = self.settings
        return ProjectCallers(
            {title: name for name, project in settings.projects.items() for title in project.ae_titles},
            [KnownCaller(known.ae_title, known.addresses, known.projects) for known in settings.callers.values()],
            reject_unknown=settings.rejects_unknown_callers,
        )

    @cached_property
    def cleaners(self) -> dict[str, ProjectCleaner | None]:
        """What takes the patient out of each project's objects; None where they are kept as they come."""
        return {
            name: ProjectCleaner(
                deidentifier, Vault(self.key_file, name), self.vault_store, name, StudyDates(self.instances)
            )
            if deidentifier
            else None
            for name, deidentifier in self.deidentifiers.items()
        }

    @cached_property
    def pixel_cleaner(self) -> SeparatePixelCleaner:
        """What looks at pixels, in a process of its own that starts with the first look."""
        from service.deident.pixels.pixel_cleaner import load_pixel_cleaner

        pixels = self.settings.pixels
        cleaner = SeparatePixelCleaner(
            partial(load_pixel_cleaner, self.config / "devices", pixels.threads),
            LookLimits(pixels.look_limit_s, int(pixels.memory_limit_gib * GIBIBYTE), pixels.idle_s),
            self.scratch.keep,
        )
        self._opened.callback(cleaner.close)
        return cleaner

    def _pixel_step(self, deidentifier: Deidentifier | None) -> PixelStep | None:
        """What looks at the pixels of a project's objects; None where its profile does not ask for it."""
        if deidentifier is None or not deidentifier.cleans_pixels:
            return None
        self.pixel_cleaner.check()
        return PixelStep(self.pixel_cleaner)

    def _face_step(self, project: str, deidentifier: Deidentifier | None) -> FaceStep | None:
        """What removes faces from a project's images; None where its profile does not ask for it."""
        if deidentifier is None or not deidentifier.removes_faces:
            return None
        policy = FacePolicy.load(self.config / "faces.toml")
        return FaceStep(policy, FaceFinder(), self.pixel_cleaner, self.key_file.project_keys(project).digest_key)

    @property
    def removes_faces(self) -> bool:
        """Whether some project's profile asks for it."""
        return any(rules.faces is not None for rules in self.project_rules.values())

    @cached_property
    def face_rounds(self) -> FaceRounds:
        """What looks after series of heads that wait to lose their faces."""
        return FaceRounds(
            quarantine=self.quarantine,
            pipeline=self.pipeline,
            quiet_s={name: project.study_quiet_s for name, project in self.settings.projects.items()},
            pending=(self.spool_backlog.oldest_at, self.intake.oldest_pending_at),
            claims=SegmentClaims(self.directory.run / "faces"),
            on_decision=self._audit_decision,
            clock=self.clock,
        )

    @cached_property
    def project_rules(self) -> dict[str, ProjectRules]:
        """How each project takes objects in."""
        return {
            name: ProjectRules(
                name=name,
                cleaner=self.cleaners[name],
                digest_key=self.key_file.project_keys(name).digest_key,
                on_conflict=ConflictRule(project.on_conflict),
                drop_sop_classes=frozenset(project.drop_sop_classes),
                pixels=self._pixel_step(self.deidentifiers[name]),
                faces=self._face_step(name, self.deidentifiers[name]),
            )
            for name, project in self.settings.projects.items()
        }

    @cached_property
    def scratch(self) -> Scratch:
        """Where uploads and inflated objects wait that are too large for memory."""
        return Scratch(self.directory.scratch)

    @cached_property
    def quarantine_table(self) -> QuarantineTable:
        """Rows of what could not be processed."""
        return QuarantineTable(self.database, self.clock)

    @cached_property
    def quarantine(self) -> Quarantine:
        """What could not be processed."""
        return Quarantine(
            self.directory.quarantine,
            self.key_file.sealing_key("quarantine"),
            self.quarantine_table,
            self.clock,
        )

    @cached_property
    def pipeline(self) -> IngestPipeline:
        """An object's way from bytes to the archive or to quarantine."""
        return IngestPipeline(
            projects=self.project_rules,
            database=self.database,
            index=self.instances,
            vault=self.vault_store,
            conflicts=self.conflicts,
            counters=self.counters,
            cleaning=self.study_cleaning,
            blobs=self.blobs,
            quarantine=self.quarantine,
            router=Router(self.instances, IMPLEMENTATION_VERSION, self.scratch.keep),
            number=secrets.randbelow,
            on_stored=self._ring(STUDIES_BELL),
            keep=self.scratch.keep,
        )

    @cached_property
    def quarantine_desk(self) -> QuarantineDesk:
        """Where people decide on quarantine."""
        return QuarantineDesk(self.quarantine, self.pipeline, self._audit_decision)

    @cached_property
    def spool_worker(self) -> SpoolWorker:
        """What works the spool off."""
        return SpoolWorker(
            reader=SpoolReader(self.directory.spool, self.key_file.sealing_key("spool")),
            intake=self.intake,
            pipeline=self.pipeline,
            claims=SegmentClaims(self.directory.run / "segments"),
            project_of=self.callers.project_of,
            on_damage=lambda _: self.counters.add("", "damaged spool segments"),
            interrupt_look=self.pixel_cleaner.close,
        )

    @cached_property
    def spool_backlog(self) -> SpoolBacklog:
        """What was acknowledged and is not in the index yet."""
        reader = SpoolReader(self.directory.spool, self.key_file.sealing_key("spool"))
        return SpoolBacklog(reader, self.intake, self.callers.project_of)

    @cached_property
    def blob_sweep(self) -> BlobSweep:
        """Removes files that a kill left without a row."""
        return BlobSweep(self.blobs, self.instances, self.clock)

    # Edges

    def node(self) -> DicomNode:
        """The DICOM node, not started."""
        from dicom_nodes.listener import DicomNode, NodeSettings

        dicom = self.settings.dicom
        return DicomNode(
            NodeSettings(
                host=dicom.host,
                port=dicom.port,
                ae_title=dicom.ae_title,
                maximum_pdu_bytes=dicom.maximum_pdu_bytes,
                maximum_associations=dicom.maximum_associations,
                acse_timeout_s=dicom.acse_timeout_s,
                dimse_timeout_s=dicom.dimse_timeout_s,
                network_timeout_s=dicom.network_timeout_s,
                extra_storage_classes=dicom.extra_sop_classes,
            ),
            self.spool,
            self.callers,
            self._audit_node_event,
        )

    @cached_property
    def annotators(self) -> dict[str, Annotator]:
        """Every annotator that a project names."""
        from service.annotators.registry import load_annotators

        names = sorted({name for project in self.settings.projects.values() for name in project.annotators})
        return load_annotators(self.config / "annotators", names)

    @cached_property
    def study_watch(self) -> StudyWatch:
        """What finds complete studies and queues runs."""
        from service.jobs.completeness import ProjectJobs, StudyWatch

        return StudyWatch(
            projects=[
                ProjectJobs(name, project.study_quiet_s, project.annotators)
                for name, project in self.settings.projects.items()
            ],
            annotators=self.annotators,
            database=self.database,
            states=StudyStates(self.database, self.clock),
            intake=self.intake,
            index=self.instances,
            runs=self.runs,
            clock=self.clock,
            oldest_unregistered_at=self.spool_backlog.oldest_at,
        )

    @cached_property
    def annotation_run(self) -> AnnotationRun:
        """What carries a run out."""
        from service.jobs.annotation_run import AnnotationRun
        from service.jobs.result_store import ResultStore

        return AnnotationRun(
            annotators=self.annotators,
            index=self.instances,
            blobs=self.blobs,
            store=ResultStore(
                database=self.database,
                index=self.instances,
                runs=self.runs,
                blobs=self.blobs,
                clock=self.clock,
                version=IMPLEMENTATION_VERSION,
            ),
            shift_days={
                name: deidentifier.shift_days_of_pseudonym
                for name, deidentifier in self.deidentifiers.items()
                if deidentifier is not None
            },
            clock=self.clock,
            new_uid=random_uid,
            version=__version__,
        )

    def worker_pool(self) -> WorkerPool:
        """What leases runs and hands them to processes."""
        from service.jobs.worker import PoolLimits, WorkerPool

        jobs = self.settings.jobs
        return WorkerPool(
            watch=self.study_watch,
            runs=self.runs,
            make_executor=partial(make_executor, self.settings),
            owner=f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}",
            clock=self.clock,
            limits=PoolLimits(workers=jobs.workers, attempts=jobs.attempts, lease_s=jobs.lease_s, sweep_s=jobs.sweep_s),
            on_ended=self._audit_run,
        )

    @cached_property
    def viewer_directory(self) -> Path | None:
        """Where the unpacked viewer lies, if it is there."""
        configured = self.settings.http.viewer_dir
        directory = configured or Path(__file__).resolve().parent.parent / "viewer" / "dist"
        return directory if directory.is_dir() else None

    def web_application(self) -> WSGIApplication:
        """The web edge as a WSGI application."""
        from service.archive.search import InstanceSearch
        from service.web.app import create_app
        from service.web.auth import is_loopback
        from service.web.dicomweb.services import DicomWebServices
        from service.web.guard import audit_target
        from service.web.services import WebServices
        from service.web.viewer.configuration import ViewerSettings

        http, projects = self.settings.http, tuple(self.settings.projects)
        return create_app(
            WebServices(
                version=__version__,
                projects=projects,
                default_project=DEFAULT_PROJECT,
                listens_on_loopback=is_loopback(http.host),
                dicomweb=DicomWebServices(
                    index=self.instances,
                    search=InstanceSearch(self.database),
                    blobs=self.blobs,
                    store=self.pipeline.process,
                    projects=projects,
                    public_url=http.public_url,
                    trusted_proxy=http.trusted_proxy,
                    note=audit_target,
                    keep=self.scratch.keep,
                ),
                instances=self.instances,
                overview=self.overview,
                quarantine=self.quarantine_table,
                desk=self.quarantine_desk,
                conflicts=self.conflicts,
                accounts=self.accounts,
                audit=self.audit,
                accesses=self.audit_buffer,
                viewer_settings=ViewerSettings.load(self.config / "viewer"),
                viewer_directory=self.viewer_directory,
                pings=self.pings(),
                form_key=self.key_file.sealing_key("forms"),
                why_held=self.why_held,
                cleaning=self.study_cleaning.of,
                crosswalk=self.crosswalk,
                notices=self.notices,
                trusted_proxy=http.trusted_proxy,
            )
        )

    def settings_without_effect(self) -> dict[str, tuple[str, ...]]:
        """By project, what its settings say of delivery, which is not part of this version."""
        defaults = ProjectSettings()
        return {
            name: tuple(key for key in _OF_DELIVERY if getattr(project, key) != getattr(defaults, key))
            for name, project in self.settings.projects.items()
        }

    def why_held(self, project: str, annotator: str) -> str:
        """What keeps an annotator's results from leaving for the PACS, in words."""
        rules, known = self.settings.projects[project], self.annotators.get(annotator)
        return why_held(
            # What is not configured any more was, for all that is known, a demonstrator.
            demonstrator=known is None or known.algorithm.demonstrator,
            allow_demonstrator=rules.allow_demonstrator,
            approve=rules.approve,
            has_target=bool(rules.deliver_to),
        )

    def pings(self) -> dict[str, Callable[[], Any]]:
        """What tells whether each part is well; each raises when it is not."""
        return {
            "index": self.project_table.names,
            "blobs": lambda: next(self.directory.blobs.iterdir(), None),
            "spool": lambda: next(self.directory.spool.iterdir(), None),
            "keys": lambda: KeyFile.load(self.directory.keys),
        }

    def echo(self, peer: str) -> None:
        """Ask a DIMSE peer for a C-ECHO.

        Raises
        ------
        GatewayError : it does not answer; says why
        """
        from dicom_nodes.peer import PeerAddress
        from dicom_nodes.requestor import RequestorSettings
        from dicom_nodes.sender import echo

        known = self.settings.peers[peer]
        own = RequestorSettings(calling_ae_title=self.settings.dicom.ae_title)
        echo(PeerAddress(known.ae_title, known.host, known.port), own)

    # Audit

    def _audit_decision(self, decision: Decision) -> None:
        self.audit.record(audit_events.of_decision(decision))

    def _audit_run(self, run: RunRow, end: RunEnd) -> None:
        self.audit.record(audit_events.of_run(run, end))

    def _audit_node_event(self, event: NodeEvent) -> None:
        project = self.callers.project_of(event.called_ae_title) or ""
        if (row := audit_events.of_node_event(event, project)) is not None:
            self.audit_buffer.record(row)


def random_uid() -> str:
    """A UID that nobody had before (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def make_executor(settings: Settings) -> AnnotationRun:
    """What a worker process of the pool starts with: a gateway of its own, for as long as the process lives."""
    configure_logging(settings.log.level, settings.log.format, "worker")
    return Gateway(settings).annotation_run

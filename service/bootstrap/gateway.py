"""A gateway: its groups of parts, composed, and what each shows of itself.

Each part is made when it is first asked for, so a process holds only what its role needs; each is handed its own
section of the settings as plain values. Every part can be replaced by assignment before the first use. Heavy rooms
(annotators, objects, web) are imported by the parts that need them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any

from service.bootstrap.cleaning import Cleaning
from service.bootstrap.commitment import Commitment
from service.bootstrap.deletion import Deletion
from service.bootstrap.delivery import Delivery
from service.bootstrap.dicom_edge import DicomEdge
from service.bootstrap.dimse_peers import DimsePeers
from service.bootstrap.doors import Doors
from service.bootstrap.fetching import Fetching
from service.bootstrap.formats import DatasetRequest, Formats
from service.bootstrap.ground import Ground
from service.bootstrap.identity import Identity
from service.bootstrap.jobs import Jobs
from service.bootstrap.notices import Notices
from service.bootstrap.query_retrieve import QueryRetrieve
from service.bootstrap.reception import Reception
from service.bootstrap.shown_part import ShownPart
from service.bootstrap.start import Start
from service.bootstrap.stores import Stores
from service.bootstrap.versions import Versions
from service.bootstrap.web_edge import WebEdge
from service.bootstrap.worklist import Worklist
from service.core.archived import StudyRow
from service.core.pydicom_reading import read_leniently
from service.custody.crosswalk import Crosswalk
from service.custody.key_backup import KeyBackups
from service.custody.key_rotation import KeyRotation
from service.custody.patient_import import PatientImport
from service.custody.study_lookup import LookupQuestion
from service.custody.way_back import WayBack
from service.data_directory import DataDirectory
from service.deident.persons import Persons
from service.log import configure_logging
from service.settings import Settings

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from dicom_nodes.listener import DicomNode
    from service.delivery.outbox_runner import OutboxRunner
    from service.fetching.pull_runner import PullRunner
    from service.formats.annotation_import import AnnotationImport
    from service.formats.annotation_objects import Origin
    from service.formats.dataset_export import DatasetExport
    from service.formats.image_import import ImageImport
    from service.formats.labels import LabelMapping
    from service.formats.map_import import MapImport
    from service.jobs.annotation_run import AnnotationRun
    from service.jobs.attribute_rounds import AttributeRounds
    from service.jobs.worker import WorkerPool


class Gateway:
    """The parts of one gateway, made on demand; `close` ends what was opened, the last first.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._ground = Ground(settings, clock)
        self._stores = Stores(self._ground)
        self._identity = Identity(self._ground, self._stores)
        self._cleaning = Cleaning(self._ground, self._stores, self._identity)
        self._worklist = Worklist(self._ground, self._stores, self._cleaning)
        self._stores.follow_run = self._worklist.follow_run
        self._reception = Reception(self._ground, self._stores, self._cleaning)
        executor = partial(make_executor, settings)
        self._peers = DimsePeers(self._ground)
        self._jobs = Jobs(self._ground, self._stores, self._identity, self._reception, executor, self._peers)
        self._commitment = Commitment(self._ground, self._stores, self._identity, self._reception, self._peers)
        self._delivery = Delivery(self._ground, self._stores, self._identity, self._jobs, self._commitment, self._peers)
        self._deletion = Deletion(self._ground, self._stores)
        self._doors = Doors(self._ground, self._stores, self._reception)
        self._query_retrieve = QueryRetrieve(self._ground, self._stores, self._delivery, self._peers)
        self._notices = Notices(self._ground, self._stores, self._identity, self._reception, self._peers)
        self._dicom = DicomEdge(
            self._ground,
            self._stores,
            self._reception,
            self._commitment,
            self._peers,
            self._query_retrieve,
            self._doors,
            self._notices,
        )
        self._fetching = Fetching(self._ground, self._stores, self._identity, self._reception, self._peers)
        self._versions = Versions(self._ground, self._stores, self._identity)
        self._web = WebEdge(
            self._ground,
            self._stores,
            self._identity,
            self._reception,
            self._delivery,
            self._fetching,
            self._deletion,
            self._worklist,
            self._versions,
        )
        self._formats = Formats(self._ground, self._stores, self._identity, self._reception)
        self._start = Start(self._ground, self._stores, self._identity, self._cleaning)
        read_leniently()

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End what was opened."""
        self._ground.opened.close()

    # Ground

    key_file = ShownPart("_ground", Ground.key_file)
    bell = ShownPart("_ground", Ground.bell)
    scratch = ShownPart("_ground", Ground.scratch)

    @property
    def settings(self) -> Settings:
        """What this gateway was told."""
        return self._ground.settings

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds since the epoch, UTC."""
        return self._ground.clock

    @property
    def directory(self) -> DataDirectory:
        """The places of its data."""
        return self._ground.directory

    @property
    def config(self) -> Path:
        """Where profiles, annotators and tables lie."""
        return self._ground.config

    # Before anything runs

    def prepare(self) -> None:
        """Make what a first start needs, and refuse what cannot work; see `Start.prepare`."""
        self._start.prepare()

    def require_data(self) -> None:
        """Refuse to look into a data directory that no gateway has made; see `Start.require_data`."""
        self._start.require_data()

    def refuse_open_listener(self) -> None:
        """Refuse to serve the web to other machines unasked; see `WebEdge.refuse_open_listener`."""
        self._web.refuse_open_listener()

    # Archive

    database = ShownPart("_stores", Stores.database)
    project_table = ShownPart("_stores", Stores.project_table)
    instances = ShownPart("_stores", Stores.instances)
    blobs = ShownPart("_stores", Stores.blobs)
    vault_store = ShownPart("_stores", Stores.vault_store)
    vault_keys = ShownPart("_stores", Stores.vault_keys)
    releases = ShownPart("_stores", Stores.releases)
    outbox = ShownPart("_stores", Stores.outbox)
    trash = ShownPart("_stores", Stores.trash)
    outbox_peers = ShownPart("_stores", Stores.outbox_peers)
    study_cleaning = ShownPart("_stores", Stores.study_cleaning)
    runs = ShownPart("_stores", Stores.runs)
    intake = ShownPart("_stores", Stores.intake)
    quarantine_table = ShownPart("_stores", Stores.quarantine_table)
    conflicts = ShownPart("_stores", Stores.conflicts)
    search_attributes = ShownPart("_stores", Stores.search_attributes)
    counters = ShownPart("_stores", Stores.counters)
    overview = ShownPart("_stores", Stores.overview)
    accounts = ShownPart("_stores", Stores.accounts)
    audit = ShownPart("_stores", Stores.audit)
    audit_buffer = ShownPart("_stores", Stores.audit_buffer)

    # Identity

    name_recogniser = ShownPart("_identity", Identity.name_recogniser)
    deidentifiers = ShownPart("_identity", Identity.deidentifiers)

    @property
    def key_rotation(self) -> KeyRotation:
        """What changes the vault's encryption key."""
        return self._identity.key_rotation

    @property
    def key_backups(self) -> KeyBackups:
        """What copies the key file, and tells when there is no copy."""
        return self._identity.key_backups

    def notices(self) -> list[str]:
        """What somebody should do before it hurts."""
        return self._identity.notices() + self._commitment.notices() + self._delivery.notices()

    def persons(self, project: str) -> Persons:
        """Which identifiers are the same person's in a project."""
        return self._identity.persons(project)

    def patient_import(self, project: str) -> PatientImport:
        """What changes that; refuses a project without a vault."""
        return self._identity.patient_import(project)

    def crosswalk(self, project: str) -> Crosswalk:
        """What tells the original identifiers of a project; refuses one without a vault."""
        return self._identity.crosswalk(project)

    def way_back(self, project: str) -> WayBack:
        """What gives results their patient, UIDs and dates back; refuses a project without a vault."""
        return self._identity.way_back(project)

    def look_up(self, project: str, question: LookupQuestion, by: str) -> list[StudyRow]:
        """The studies that the hospital calls so; see `Identity.look_up`."""
        return self._identity.look_up(project, question, by)

    def refuse_without_vault(self, project: str) -> None:
        """Refuse a project whose objects are kept as they come; see `Identity.refuse_without_vault`."""
        self._identity.refuse_without_vault(project)

    # Ingest

    cleaners = ShownPart("_cleaning", Cleaning.cleaners)
    pixel_cleaner = ShownPart("_cleaning", Cleaning.pixel_cleaner)
    project_rules = ShownPart("_cleaning", Cleaning.project_rules)
    spool = ShownPart("_reception", Reception.spool)
    callers = ShownPart("_reception", Reception.callers)
    quarantine = ShownPart("_reception", Reception.quarantine)
    pipeline = ShownPart("_reception", Reception.pipeline)
    study_routes = ShownPart("_reception", Reception.study_routes)
    quarantine_desk = ShownPart("_reception", Reception.quarantine_desk)
    spool_worker = ShownPart("_reception", Reception.spool_worker)
    spool_backlog = ShownPart("_reception", Reception.spool_backlog)
    face_rounds = ShownPart("_reception", Reception.face_rounds)
    blob_sweep = ShownPart("_reception", Reception.blob_sweep)
    damaged_segments = ShownPart("_reception", Reception.damaged_segments)

    @property
    def removes_faces(self) -> bool:
        """Whether some project's profile asks for it."""
        return self._cleaning.removes_faces

    # Jobs

    annotators = ShownPart("_jobs", Jobs.annotators)
    study_watch = ShownPart("_jobs", Jobs.study_watch)
    annotation_run = ShownPart("_jobs", Jobs.annotation_run)

    def worker_pool(self) -> WorkerPool:
        """What leases runs and hands them to processes."""
        return self._jobs.worker_pool()

    def attribute_rounds(self) -> AttributeRounds:
        """What goes on with attributes that somebody made searchable."""
        return self._jobs.attribute_rounds()

    # Worklist

    def tidy_worklist(self) -> None:
        """Forget what ended long ago; see `Worklist.tidy`."""
        self._worklist.tidy()

    # Delivery

    release_desk = ShownPart("_delivery", Delivery.release_desk)
    outbox_desk = ShownPart("_delivery", Delivery.outbox_desk)
    recall_desk = ShownPart("_delivery", Delivery.recall_desk)
    rejection_desk = ShownPart("_delivery", Delivery.rejection_desk)
    deletion_desk = ShownPart("_deletion", Deletion.deletion_desk)
    final_removal = ShownPart("_deletion", Deletion.final_removal)

    def outbox_runner(self) -> OutboxRunner:
        """What works the outbox off."""
        return self._delivery.runner(self._deletion.final_removal.run)

    def why_held(self, project: str, annotator: str) -> str:
        """What keeps an annotator's results from leaving as long as nobody decides, in words."""
        return self._delivery.why_held(project, annotator)

    # Storage commitment

    commitments = ShownPart("_commitment", Commitment.commitments)
    commitment_requests = ShownPart("_commitment", Commitment.commitment_requests)
    commitment_rounds = ShownPart("_commitment", Commitment.commitment_rounds)
    notice_rounds = ShownPart("_notices", Notices.notice_rounds)

    # Pull

    pull_desk = ShownPart("_fetching", Fetching.pull_desk)
    puller = ShownPart("_fetching", Fetching.puller)

    def pull_runner(self) -> PullRunner:
        """What fetches studies that were asked for."""
        return self._fetching.runner()

    # Versions

    version_desk = ShownPart("_versions", Versions.version_desk)
    version_restoring = ShownPart("_versions", Versions.version_restoring)
    version_conversion = ShownPart("_versions", Versions.version_conversion)

    def author_name(self, account: str) -> str:
        """What an account is called; see `Versions.author_name`."""
        return self._versions.author_name(account)

    # Datasets

    def dataset_export(self, asked: DatasetRequest) -> DatasetExport:
        """What writes a dataset, not started; see `Formats.dataset_export`."""
        return self._formats.dataset_export(asked)

    def label_mapping(self, labels: str) -> LabelMapping:
        """The labels of a file, or of a name below config/labels/; see `Formats.label_mapping`."""
        return self._formats.label_mapping(labels)

    def image_import(self, project: str) -> ImageImport:
        """What takes images of other formats into a project; see `Formats.image_import`."""
        return self._formats.image_import(project)

    def annotation_import(
        self, project: str, origin: Origin, reader: str | None, replace: str = "", reason: str = ""
    ) -> AnnotationImport:
        """What takes masks and regions of other formats into a project; see `Formats.annotation_import`."""
        return self._formats.annotation_import(project, origin, reader, replace, reason)

    def map_import(self, project: str, origin: Origin, reader: str | None) -> MapImport:
        """What takes parametric maps of other formats into a project; see `Formats.map_import`."""
        return self._formats.map_import(project, origin, reader)

    # Edges

    viewer_directory = ShownPart("_web", WebEdge.viewer_directory)

    def node(self) -> DicomNode:
        """The DICOM node, not started."""
        return self._dicom.node()

    def echo(self, peer: str) -> None:
        """Ask a DIMSE peer for a C-ECHO; see `DicomEdge.echo`."""
        self._dicom.echo(peer)

    def certificates(self) -> dict[str, Path]:
        """Our own certificates, by the setting that names each."""
        return self._peers.certificates()

    def try_tls(self) -> None:
        """Load what secures the node; see `Doors.tls`."""
        if self._doors.tls is not None:
            self._doors.tls.context()

    def pings(self) -> dict[str, Callable[[], Any]]:
        """What tells whether each part is well; each raises when it is not."""
        return self._web.pings()

    def web_application(self, new_helper: Callable[[], socket] | None = None) -> WSGIApplication:
        """The web edge as a WSGI application; see `WebEdge.web_application`."""
        return self._web.web_application(new_helper)


def make_executor(settings: Settings) -> AnnotationRun:
    """What a worker process of the pool starts with: a gateway of its own, for as long as the process lives."""
    configure_logging(settings.log.level, settings.log.format, "worker")
    return Gateway(settings).annotation_run

"""Ingest put together over a folder: a real index, real blobs, a real quarantine; only the clock is ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_nodes.object_sink import ObjectHeader
from service.archive.annotation_versions import AnnotationVersions
from service.archive.blobs import FilesystemBlobStore
from service.archive.conflicts import ConflictTable
from service.archive.counters import CounterTable
from service.archive.database import Database
from service.archive.instances import InstanceIndex
from service.archive.intake import IntakeTable
from service.archive.quarantine_rows import QuarantineTable
from service.archive.rejections import RejectionTable
from service.archive.study_cleaning import StudyCleaningTable
from service.archive.study_dates import StudyDates
from service.archive.vault_store import VaultStore
from service.core.archived import InstanceRow
from service.core.ports import BlobStore
from service.core.pydicom_reading import read_leniently
from service.core.records import Incoming
from service.deident.deidentifier import Deidentifier
from service.deident.keys import KeyFile
from service.deident.persons import Persons
from service.deident.pixels.pixel_cleaner import PixelCleaning
from service.deident.profile import Profile, load_profile
from service.deident.pseudonyms import Pseudonyms
from service.deident.vault import Vault
from service.delivery.incoming_notes import IncomingNotes
from service.ingest.cleaning import ProjectCleaner
from service.ingest.face_step import FaceStep
from service.ingest.pipeline import IngestPipeline
from service.ingest.pixel_step import PixelStep
from service.ingest.project_rules import ProjectRules
from service.ingest.quarantine import Quarantine
from service.ingest.routing import Router
from service.ingest.scratch import Scratch
from service.ingest.segment_claim import SegmentClaims
from service.ingest.settlement import Settlement
from service.ingest.spool import Spool
from service.ingest.spool_reader import SpoolReader
from service.ingest.spool_worker import SpoolWorker
from service.objects.arrival import ArrivalJudge
from service.versions.filing import VersionFiling
from tests.datasets import encode

SEALING_KEY = bytes(range(32))
CLINICAL = ProjectRules("clinical", None, b"k" * 32)


@cache
def _profile() -> Profile:
    return load_profile(Path(__file__).resolve().parent.parent / "config" / "profiles", "default")


@dataclass
class Clock:
    """Seconds since the epoch that pass only when told."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class IngestHouse:
    """Everything that ingest works with, over one folder; a second one over the same folder is a second process."""

    folder: Path
    rules: Mapping[str, ProjectRules] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    blob_store: Callable[[FilesystemBlobStore], BlobStore] = lambda blobs: blobs
    pixels: PixelCleaning | None = None
    faces: Callable[[], FaceStep] | None = None
    judges: bool = False
    refuses: bool = True

    def __post_init__(self) -> None:
        read_leniently()
        self.woken = 0
        self.damaged: list[str] = []
        (self.folder / "spool").mkdir(exist_ok=True)
        self._numbers = iter(range(1_000_000))
        self.database = Database.open(self.folder / "index.sqlite")
        self.index = InstanceIndex(self.database, self.clock)
        self.vault = VaultStore(self.database)
        self.conflicts = ConflictTable(self.database, self.clock)
        self.counters = CounterTable(self.database)
        self.rejections = RejectionTable(self.database, self.clock)
        self.versions = AnnotationVersions(self.database, self.clock)
        self.intake = IntakeTable(self.database, self.clock)
        self.blobs = FilesystemBlobStore(self.folder / "blobs")
        self.quarantine_rows = QuarantineTable(self.database, self.clock)
        self.quarantine = Quarantine(self.folder / "quarantine", SEALING_KEY, self.quarantine_rows, self.clock)
        key_path = self.folder / "keys.json"
        self.keys = KeyFile.load(key_path) if key_path.exists() else KeyFile.create(key_path)
        self.research_vault = Vault(self.keys, "research")
        research_keys = self.keys.project_keys("research")
        self.persons = Persons(
            self.research_vault,
            partial(self.vault.get, "research"),
            lambda kind: list(self.vault.entries("research", kind)),
            Pseudonyms.of(research_keys).digest,
        )
        self.deidentifier = Deidentifier(_profile(), research_keys, self.research_vault, self.persons)
        self.judge = ArrivalJudge(self.index, self.blobs, {"clinical": self.refuses, "research": self.refuses})
        self.faults: list[tuple[str, str, Sequence[str]]] = []
        (self.folder / "scratch").mkdir(exist_ok=True)
        scratch = Scratch(self.folder / "scratch")
        projects = {"clinical": CLINICAL, "research": self._research()} | dict(self.rules)
        self.pipeline = IngestPipeline(
            projects=projects,
            database=self.database,
            settlement=Settlement(
                projects=projects,
                index=self.index,
                vault=self.vault,
                conflicts=self.conflicts,
                counters=self.counters,
                cleaning=StudyCleaningTable(self.database),
                after_add=(
                    IncomingNotes(self.rejections).after_add,
                    VersionFiling(self.versions, self.index).after_add,
                ),
            ),
            blobs=self.blob_store(self.blobs),
            quarantine=self.quarantine,
            router=Router(self.index, "ANNOGATE_TEST", scratch.keep),
            keep=scratch.keep,
            number=lambda limit: next(self._numbers) % limit,
            on_stored=self._wake,
            judge=self.judge.admit if self.judges else None,
            on_faults=lambda *told: self.faults.append(told),
        )

        self.reader = SpoolReader(self.folder / "spool", SEALING_KEY)
        self.worker = SpoolWorker(
            reader=self.reader,
            intake=self.intake,
            pipeline=self.pipeline,
            claims=SegmentClaims(self.folder / "claims"),
            project_of={"CLINICAL": "clinical", "RESEARCH": "research"}.get,
            on_damage=self.damaged.append,
            interrupt_look=getattr(self.pixels, "close", lambda: None),
        )

    def _research(self) -> ProjectRules:
        dates = StudyDates(self.index)
        cleaner = ProjectCleaner(self.deidentifier, self.research_vault, self.vault, "research", dates)
        pixels = PixelStep(self.pixels) if self.pixels else None
        faces = self.faces() if self.faces else None
        key = self.keys.project_keys("research").digest_key
        return ProjectRules("research", cleaner, key, pixels=pixels, faces=faces)

    def _wake(self) -> None:
        self.woken += 1

    def close(self) -> None:
        self.worker.close()
        self.database.close()

    def incoming(
        self,
        data_set: Dataset | bytes,
        project: str = "clinical",
        transfer_syntax_uid: str = ExplicitVRLittleEndian,
        **changes: object,
    ) -> Incoming:
        content = data_set if isinstance(data_set, bytes) else encode(data_set, transfer_syntax_uid)
        fields = {
            "project": project,
            "sop_class_uid": "",
            "sop_instance_uid": "",
            "transfer_syntax_uid": str(transfer_syntax_uid),
            "data_set": content,
            "source": "dimse",
            "calling_ae_title": "SCANNER",
            "peer_address": "127.0.0.1",
            "received_at": self.clock(),
        }
        return Incoming(**(fields | changes))

    def spool(
        self, objects: Sequence[Dataset | bytes], called_ae_title: str = "CLINICAL", *, close: bool = True
    ) -> Spool:
        """What a node does: acknowledge objects into a segment of the spool, and close it."""
        spool = Spool(self.folder / "spool", SEALING_KEY, clock=self.clock, reserve_bytes=0)
        for one in objects:
            content = one if isinstance(one, bytes) else encode(one)
            header = ObjectHeader(
                "SCANNER", called_ae_title, "127.0.0.1", "", "", str(ExplicitVRLittleEndian), self.clock()
            )
            writer = spool.begin(header)
            writer.write(content)
            writer.commit()
        if close:
            spool.close()
        return spool

    def segments(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "spool").iterdir())

    def stored(self, row: InstanceRow) -> Dataset:
        """The data set of a stored instance, read back with pydicom."""
        with self.blobs.open(row.blob.key) as stream:
            return dcmread(stream)

    def stored_bytes(self, row: InstanceRow) -> bytes:
        """The stored file after its file meta: the data set."""
        return self.blobs.path(row.blob.key).read_bytes()[row.blob.data_set_offset :]

    def blob_keys(self) -> set[str]:
        return set(self.blobs.keys())

"""The web edge over a real index in a temporary folder, for tests that ask it as callers do."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from pydicom.dataset import Dataset
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import TestResponse

from service.archive.accounts import Accounts
from service.archive.annotation_versions import AnnotationVersions
from service.archive.audit import AuditQuery, AuditRow, AuditTrail
from service.archive.audit_buffer import AuditBuffer
from service.archive.conflicts import ConflictTable
from service.archive.database import Database
from service.archive.instances import InstanceIndex
from service.archive.outbox import OutboxTable
from service.archive.outbox_peers import OutboxPeers
from service.archive.overview import Overview
from service.archive.prepared import PreparedInstance
from service.archive.pulls import PullTable
from service.archive.rejections import RejectionTable
from service.archive.releases import ReleaseTable
from service.archive.runs import RunTable
from service.archive.search import InstanceSearch
from service.archive.study_cleaning import StudyCleaningTable
from service.archive.trash import TrashTable
from service.audit_events import of_deletion, of_restored_version
from service.core.access import Role
from service.core.archived import RunState, StudyRow
from service.core.blob_key import blob_key
from service.core.deliveries import ANY_FORM
from service.core.records import Incoming, NewInstance, ObjectKind, Outcome, OutcomeKind
from service.core.release import ReleaseRules
from service.core.result_file import result_file
from service.custody.crosswalk import CrosswalkLevel, CrosswalkRow
from service.custody.study_lookup import LookupQuestion
from service.deident.sealed_note import NoteSeal
from service.delivery.deletion_desk import DeletionDesk
from service.delivery.outbox_desk import DeliveryDecision, OutboxDesk
from service.delivery.recall_desk import RecallDesk
from service.delivery.rejection_desk import RejectionDesk
from service.delivery.release_desk import ReleaseDecision, ReleaseDesk
from service.fetching.desk import OriginalStudy, PullDesk
from service.fetching.request import PullNotes
from service.jobs.note_store import NoteStore
from service.objects.rule_catalogue import Problem, Severity
from service.versions.desk import VersionDesk
from service.versions.filing import VersionFiling
from service.versions.restoring import VersionRestoring
from service.web.app import create_app
from service.web.dicomweb.services import DicomWebServices
from service.web.passwords import Passwords
from service.web.services import WebServices
from service.web.viewer.configuration import ViewerSettings
from tests.archived import SetClock, new_instance
from tests.datasets import ct_slice
from tests.fakes.in_memory_blob_store import InMemoryBlobStore
from tests.fakes.in_memory_quarantine_desk import InMemoryQuarantineDesk, held_row
from tests.worklist_house import WorklistHouse

CONFIG = Path(__file__).resolve().parents[1] / "config"
PASSWORD = "correct horse battery"

# A finding as a run's row holds it.
NODULE: dict[str, Any] = {
    "label": "Nodule 1",
    "tracking_uid": "2.25.1",
    "type": {"code": "27925004", "scheme": "SCT", "meaning": "Nodule"},
    "site": {"code": "39607008", "scheme": "SCT", "meaning": "Lung"},
    "laterality": {"code": "24028007", "scheme": "SCT", "meaning": "Right"},
    "confidence": 0.875,
    "centre_mm": [1.0, 2.0, 3.0],
    "measurements": [
        {
            "code": "103339001",
            "scheme": "SCT",
            "meaning": "Long axis",
            "value": 8.25,
            "unit": "mm",
            "derivation": None,
            "method": None,
        }
    ],
    "long_axis_mm": 8.25,
}


class NoIdentifiers:
    """The crosswalk of a project in which nothing is."""

    def rows(self, level: CrosswalkLevel, after: str = "") -> Iterator[CrosswalkRow]:
        return iter(())


class WebGateway:
    """The application with its collaborators; ``changes`` replace some of them.

    Projects are "default" and "other"; the clock stands until a test moves it.
    """

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.clock = SetClock()
        self.database = Database.open(folder / "index.sqlite")
        self.decisions: list[ReleaseDecision | DeliveryDecision] = []
        self.questions: list[tuple[str, str]] = []
        self._folder = folder
        self._open_tables()
        self._open_result_desks()
        self._open_version_desks()
        self._open_other_desks()
        self.passwords = Passwords(self.clock, hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        self.services = replace(self._services(), **changes)
        self.app: Flask = create_app(self.services)

    def _open_tables(self) -> None:
        self.accounts = Accounts(self.database, self.clock)
        self.audit = AuditTrail(self.database, self.clock, bytes(32))
        self.accesses = AuditBuffer(self.audit)
        self.index = InstanceIndex(self.database, self.clock)
        self.runs = RunTable(self.database, self.clock)
        self.conflicts = ConflictTable(self.database, self.clock)
        self.release_table = ReleaseTable(self.database, self.clock)
        self.outbox_table = OutboxTable(self.database, self.clock)
        self.rejection_table = RejectionTable(self.database, self.clock)
        self.trash = TrashTable(self.database, self.clock)
        self.pull_table = PullTable(self.database, self.clock)

    def _open_result_desks(self) -> None:
        self.releases = ReleaseDesk(
            database=self.database,
            releases=self.release_table,
            outbox=self.outbox_table,
            rules={
                name: ReleaseRules(deliver_to=("pacs",), serious=frozenset({"triage"})) for name in ("default", "other")
            },
            on_decision=self.decisions.append,
        )
        blobs = InMemoryBlobStore()
        self.recall = RecallDesk(
            database=self.database,
            releases=self.release_table,
            outbox=self.outbox_table,
            index=self.index,
            blobs=blobs,
            notes=NoteStore(blobs, self.clock, "ANNOGATE_TEST"),
            created_at=lambda study: datetime(2019, 3, 4, 5, 6, 7),
            new_uid=lambda: "2.25.99",
            version="0.test",
            on_decision=self.decisions.append,
        )
        self.rejections = RejectionDesk(
            table=self.rejection_table,
            index=self.index,
            runs=self.runs,
            releases=self.release_table,
            recall=self.recall,
            on_event=lambda event: None,
        )
        self.outbox = OutboxDesk(
            outbox=self.outbox_table,
            peers=OutboxPeers(self.database, self.clock),
            on_decision=self.decisions.append,
        )

    def _open_version_desks(self) -> None:
        self.blobs = InMemoryBlobStore()
        self.versions = AnnotationVersions(self.database, self.clock)
        self.filing = VersionFiling(self.versions, self.index)
        self.version_desk = VersionDesk(self.versions, self.index.seen_by, self.blobs)
        numbers = itertools.count(1)
        self.restoring = VersionRestoring(
            database=self.database,
            index=self.index,
            blobs=self.blobs,
            versions=self.versions,
            desk=self.version_desk,
            moved_now=lambda study: datetime(2019, 3, 4, 5, 6, 7),
            clock=self.clock,
            new_uid=lambda: f"2.25.98{next(numbers)}",
            version="ANNOGATE_TEST",
            on_restored=lambda row, by: self.audit.record(of_restored_version(row, by)),
        )

    def _author_name(self, account: str) -> str:
        return {user.id: user.name for user in self.accounts.users()}.get(account, "")

    def _open_other_desks(self) -> None:
        self.deletions = DeletionDesk(
            trash=self.trash,
            database=self.database,
            runs=self.runs,
            releases=self.release_table,
            outbox=self.outbox_table,
            rejections=self.rejection_table,
            grace_days=30,
            clock=self.clock,
            on_event=lambda event: self.audit.record(of_deletion(event)),
        )
        self.pulls = PullDesk(
            table=self.pull_table,
            notes=PullNotes(NoteSeal(bytes(32))),
            projects=("default", "other"),
            peers=("pacs",),
            original_of=lambda project, study_uid: OriginalStudy("1.2.840.1", "ID-77-PLANTED", "", "20240312"),
            priors={},
            on_request=lambda pull: None,
            clock=self.clock,
        )
        self.desk = InMemoryQuarantineDesk([held_row("a1"), held_row("b2", "other")])
        self.worklist = WorklistHouse(self.database, self.clock)

    def _services(self) -> WebServices:
        return WebServices(
            version="1.2.3",
            projects=("default", "other"),
            default_project="default",
            listens_on_loopback=True,
            dicomweb=DicomWebServices(
                index=self.index,
                search=InstanceSearch(self.database),
                blobs=self.blobs,
                store=self._store,
                projects=("default", "other"),
                trash=self.trash,
            ),
            instances=self.index,
            overview=Overview(self.database, self.clock, remember_s=0),
            quarantine=self.desk,
            desk=self.desk,
            conflicts=self.conflicts,
            accounts=self.accounts,
            audit=self.audit,
            accesses=self.accesses,
            viewer_settings=ViewerSettings.load(CONFIG / "viewer"),
            viewer_directory=None,
            pings={"index": lambda: None},
            form_key=bytes(32),
            why_held=lambda project, annotator: f"{annotator} is held in {project}",
            standing=lambda project, study_uid: {},
            releases=self.releases,
            outbox=self.outbox,
            deletions=self.deletions,
            versions=self.version_desk,
            restoring=self.restoring,
            author_name=self._author_name,
            pulls=self.pulls,
            worklist=self.worklist.services(self._folder),
            recall=self.recall,
            rejections=self.rejections,
            lookup=self._look_up,
            cleaning=StudyCleaningTable(self.database).of,
            problems=lambda project, uid: [
                Problem("SEG-PIXELS", Severity.ERROR, f"{uid} in {project} is cut", "PS3.5 8.1.1", "Write all of it")
            ],
            crosswalk=lambda _: NoIdentifiers(),
            notices=lambda: ["somebody should do something"],
            passwords=self.passwords,
            clock=self.clock,
            monotonic=self.clock,
        )

    def _look_up(self, project: str, question: LookupQuestion, by: str) -> list[StudyRow]:
        """Every study is called ACC-99."""
        self.questions.append((project, by))
        asked = question.check()
        found = self.index.study(project, "1.2.3")
        return [found] if found is not None and asked.accession == "ACC-99" else []

    def _store(self, batch: Sequence[Incoming]) -> Callable[[], list[Outcome]]:
        """Archive what comes under UIDs of the project."""
        return lambda: [
            Outcome(
                OutcomeKind.ARCHIVED,
                study_uid="2.25.3",
                series_uid="2.25.31",
                sop_instance_uid="2.25.311",
                sop_class_uid=incoming.sop_class_uid,
            )
            for incoming in batch
        ]

    def close(self) -> None:
        """Write what is queued and close the index."""
        self.accesses.close()
        self.database.close()

    def client(self) -> FlaskClient:
        """A client that calls from this machine under the name localhost."""
        return self.app.test_client()

    def add_user(self, name: str, role: Role, projects: tuple[str, ...] = ("*",)) -> dict[str, str]:
        """Add a user; the headers with which they call."""
        self.accounts.add_user(name, self.passwords.hash(PASSWORD), role, projects)
        return basic(name, PASSWORD)

    def add_token(self, name: str, role: Role, projects: tuple[str, ...] = ("*",), **limits: Any) -> dict[str, str]:
        """Make a token; the headers with which its bearer calls."""
        return {"Authorization": f"Bearer {self.accounts.add_token(name, role, projects, **limits).secret}"}

    def add_study(
        self, study_uid: str = "1.2.3", *, project: str = "default", images: int = 3, description: str = "Thorax"
    ) -> int:
        """Index a CT of so many images; the index's key of the study."""
        for number in range(1, images + 1):
            header = ct_slice(number, study_uid=study_uid, series_uid=f"{study_uid}.1", patient_name="ANON-17")
            header.PatientID, header.StudyDescription = "ANON-17", description
            self.index.add(new_instance(header, project=project, received_at=self.clock.now))
        study = self.index.study(project, study_uid)
        assert study is not None
        return study.id

    def add_result(self, study_uid: str = "1.2.3", *, project: str = "default", annotator: str = "nodules") -> None:
        """Index an object that was made here."""
        header = ct_slice(1, study_uid=study_uid, series_uid=f"{study_uid}.{len(annotator)}")
        header.Modality, header.SeriesDescription = "SEG", f"{annotator} (not for diagnosis)"
        self.index.add(new_instance(header, project=project, kind=ObjectKind.RESULT, annotator=annotator))

    def store(self, kind: ObjectKind, author: str, *objects: Dataset) -> None:
        """Index objects with their files, and file annotations as versions."""
        for one in objects:
            file = result_file(one, blob_key("default", str(one.SOPInstanceUID)), "TEST")
            self.blobs.put(file.blob.key, file.parts)
            prepared = PreparedInstance.of(
                NewInstance(
                    project="default",
                    kind=kind,
                    header=file.header,
                    transfer_syntax_uid=file.transfer_syntax_uid,
                    content_digest=hashlib.sha256(b"".join(file.parts)).digest(),
                    received_at=self.clock.now,
                    blob=file.blob,
                    patient_digest=b"patient",
                    author=author,
                    stored_by=author,
                )
            )
            incoming = Incoming("default", "", "", "", b"", "stow", "", "", self.clock.now, author=author)
            with self.database.write() as connection:
                self.index.add(prepared, connection)
                self.filing.after_add([(incoming, prepared)], connection)

    def add_run(
        self,
        study_row_id: int,
        annotator: str,
        state: RunState,
        *,
        project: str = "default",
        series_uid: str = "1.2.3.1",
        **outcome: Any,
    ) -> None:
        """A run of an annotator that came to this."""
        self.runs.enqueue(project, study_row_id, annotator, series_uid, f"digest-{annotator}")
        if state is RunState.QUEUED:
            return
        run = self.runs.lease("worker", 60)
        assert run is not None
        if state is not RunState.RUNNING:
            if isinstance(outcome.get("findings"), list):
                outcome["findings"] = json.dumps(outcome["findings"])
            assert self.runs.finish(run.id, "worker", state, **outcome)

    def add_release(self, *, project: str = "default", annotator: str = "triage", study_uid: str = "1.2.3") -> int:
        """A result that waits for a decision; its number."""
        self.release_table.open(
            project=project, study_uid=study_uid, annotator=annotator, objects={ANY_FORM: ["2.25.9"]}
        )
        return self.release_table.page(project)[0].id

    def add_delivery(self, *, project: str = "default", held: str = "") -> int:
        """A result on its way to the peer "pacs", or held there; its number."""
        release_id = self.add_release(project=project)
        self.releases.release(release_id, "lead")
        (row,) = self.outbox_table.of_release(release_id)
        self.outbox_table.set_items(row.id, [("1.2.840.10008.5.1.4.1.1.66.4", "2.25.9")])
        if held:
            self.outbox_table.hold(row.id, held, "digest")
        return row.id

    def trail(self, **query: Any) -> list[AuditRow]:
        """The audit trail, oldest first, with what was queued."""
        self.accesses.flush()
        return list(reversed(self.audit.search(AuditQuery(limit=1000, **query))))


def basic(name: str, password: str) -> dict[str, str]:
    """The header of HTTP Basic."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def text(response: TestResponse) -> str:
    """The body as text."""
    return response.get_data(as_text=True)


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's own name
        pass


def _closing(application: Flask) -> Callable[..., Iterator[bytes]]:
    """The application, its bodies closed also where werkzeug's server forgets it: when the browser has gone away."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        body = application(environ, start_response)
        try:
            yield from body
        finally:
            if hasattr(body, "close"):
                body.close()

    return answer


@contextmanager
def served(gateway: WebGateway) -> Iterator[str]:
    """Serve over loopback HTTP; the address."""
    server = make_server("127.0.0.1", 0, _closing(gateway.app), threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

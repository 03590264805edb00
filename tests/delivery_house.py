"""Delivery put together over a folder, on top of jobs: results of a small study on their way to peers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pydicom.dataset import Dataset
from sqlalchemy import update

from dicom_nodes.peer import PeerAddress
from dicom_nodes.requestor import RequestorSettings
from service.archive.outbox import OutboxTable
from service.archive.outbox_peers import OutboxPeers
from service.archive.schema import deliveries, delivery_items
from service.core.deliveries import DeliveryRow, DeliveryState, ItemState, ReleaseRow, SentKind
from service.core.findings import Finding
from service.core.rejection import RejectionEvent
from service.core.release import ReleaseRules
from service.core.volume import Volume
from service.custody.way_back import WayBack
from service.delivery.courier import Courier
from service.delivery.dimse_target import DimseTarget
from service.delivery.outbox_desk import DeliveryDecision, OutboxDesk
from service.delivery.outbox_files import OutboxFiles
from service.delivery.peer_rules import Patience, PeerRules
from service.delivery.preparation import Preparation
from service.delivery.recall_desk import RecallDesk
from service.delivery.rejection_desk import RejectionDesk
from service.delivery.release_desk import ReleaseDecision, ReleaseDesk
from service.delivery.targets import Target
from service.ingest.sealed_file import erase_sealed, read_sealed, write_sealed
from service.jobs.note_store import NoteStore
from service.objects.arrival import ArrivalJudge
from tests.datasets import ct_slice
from tests.fakes.fixed_annotator import FixedAnnotator
from tests.ingest_house import SEALING_KEY
from tests.jobs_house import JobsHouse
from tests.patience import PATIENCE_S
from tests.volumes import nodule

KEY = bytes(reversed(range(32)))
SLICES = 8


class Sealed:
    """Files sealed as the gateway seals them."""

    def write(self, path: Path, parts: Iterable[bytes | memoryview]) -> None:
        write_sealed(path, parts, SEALING_KEY)

    def read(self, path: Path) -> bytes:
        return bytes(read_sealed(path, SEALING_KEY)[:])

    def erase(self, path: Path) -> None:
        erase_sealed(path)


class DeliveryHouse:
    """A de-identifying project whose results go to ``peers``; the clock stands until a test moves it."""

    def __init__(
        self,
        folder: Path,
        peers: Sequence[str] = ("pacs",),
        *,
        approve: str = "automatic",
        find: Callable[[Volume], Sequence[Finding]] = lambda volume: [nodule(volume)],
        further: Sequence[SentKind] = (),
    ) -> None:
        self.jobs = JobsHouse(folder, [FixedAnnotator(find)], further=further)
        ingest = self.jobs.ingest
        self.folder, self.clock, self.project = folder, self.jobs.clock, "research"
        self.database = ingest.database
        self.releases = self.jobs.releases
        self.outbox = OutboxTable(self.database, self.clock)
        self.peers = OutboxPeers(self.database, self.clock)
        self.decisions: list[ReleaseDecision | DeliveryDecision] = []
        self.desk = ReleaseDesk(
            database=self.database,
            releases=self.releases,
            outbox=self.outbox,
            rules={self.project: ReleaseRules(approve, deliver_to=tuple(peers), serious=frozenset({"fixed"}))},
            on_decision=self.decisions.append,
        )
        self.outbox_desk = OutboxDesk(outbox=self.outbox, peers=self.peers, on_decision=self.decisions.append)
        self.files = OutboxFiles(folder / "outbox", Sealed(), self.outbox.is_finished)
        self.way_back = WayBack(ingest.research_vault, ingest.vault, self.project)
        self.preparation = Preparation(
            index=self.jobs.index,
            blobs=ingest.blobs,
            way_out=lambda _: self.way_back,
            key=KEY,
            problems=ArrivalJudge(self.jobs.index, ingest.blobs, {}).problems,
        )

        self.events: list[RejectionEvent] = []
        numbers = itertools.count(1)
        self.recall = RecallDesk(
            database=self.database,
            releases=self.releases,
            outbox=self.outbox,
            index=self.jobs.index,
            blobs=ingest.blobs,
            notes=NoteStore(ingest.blobs, self.clock, "ANNOGATE_TEST"),
            created_at=lambda study: datetime(2019, 3, 4, 5, 6, 7),
            new_uid=lambda: f"2.25.88{next(numbers)}",
            version="0.test",
            on_decision=self.decisions.append,
        )
        self.rejection_desk = RejectionDesk(
            table=ingest.rejections,
            index=self.jobs.index,
            runs=self.jobs.runs,
            releases=self.releases,
            recall=self.recall,
            on_event=self.events.append,
        )

    def make_results(self, sources: Sequence[Dataset] | None = None) -> str:
        """Receive a study and carry its runs out; the Study Instance UID as served."""
        outcome = self.jobs.receive(sources or [ct_slice(number) for number in range(1, SLICES + 1)])
        self.jobs.go_quiet()
        ends = self.jobs.carry_out()
        assert all(end.state == "done" for end in ends), ends
        return outcome.study_uid

    def release_all(self) -> list[ReleaseRow]:
        self.desk.release_automatically()
        return self.releases.page(self.project)

    def deliveries(self) -> list[DeliveryRow]:
        return sorted(self.outbox.page(self.project, limit=10_000), key=lambda row: row.id)

    def courier(self, target: Target, name: str = "pacs", **changes: object) -> Courier:
        values = {
            "rules": PeerRules(name, check_identity=False),
            "target": target,
            "outbox": self.outbox,
            "peers": self.peers,
            "preparation": self.preparation,
            "files": self.files,
            "owner": "test",
            "clock": self.clock,
            "key": KEY,
            "patience": Patience(),
        }
        return Courier(**(values | changes))

    def reopen(self, delivery_id: int) -> None:
        """Leave a delivery as a kill does that comes while its objects are on their way."""
        with self.database.write() as connection:
            doubtful = {"state": ItemState.SENDING, "status": None, "words": ""}
            connection.execute(
                update(delivery_items).where(delivery_items.c.delivery_id == delivery_id).values(**doubtful)
            )
            connection.execute(
                update(deliveries).where(deliveries.c.id == delivery_id).values(state=DeliveryState.WAITING)
            )

    def outbox_files(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "outbox").iterdir())

    def close(self) -> None:
        self.jobs.close()


def dimse(host: str, port: int, title: str = "ORTHANC") -> DimseTarget:
    """A target that is called as the gateway calls it."""
    return DimseTarget(
        PeerAddress(title, host, port), RequestorSettings(connection_timeout_s=5, answer_timeout_s=PATIENCE_S)
    )


@contextmanager
def delivering(folder: Path, *args: object, **kwargs: object) -> Iterator[DeliveryHouse]:
    """A house for one test."""
    house = DeliveryHouse(folder, *args, **kwargs)
    try:
        yield house
    finally:
        house.close()


def original_slices(**changes: str) -> list[Dataset]:
    """The study as the hospital has it."""
    return [ct_slice(number, **changes) for number in range(1, SLICES + 1)]

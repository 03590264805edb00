"""Deletion put together on top of delivery: a desk where people delete, and what removes for good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.archive.removal import ArchiveRemoval
from service.archive.trash import TrashTable
from service.core.deletion import DeletedPlace, DeletionEvent, DeletionRow
from service.core.ports import BlobStore
from service.delivery.deletion_desk import DAY_S, DeletionDesk
from service.delivery.final_removal import FinalRemoval
from service.delivery.outbox_desk import OutboxDesk
from tests.delivery_house import DeliveryHouse

GRACE_DAYS = 30


class TrashHouse(DeliveryHouse):
    """A de-identifying project ("research") and one that keeps identity ("clinical"), with a trash."""

    def __init__(self, folder: Path, **changes: str) -> None:
        super().__init__(folder, **changes)
        ingest = self.jobs.ingest
        self.deleted: list[DeletionEvent] = []
        self.trash = TrashTable(self.database, self.clock)
        self.deletion_desk = DeletionDesk(
            trash=self.trash,
            database=self.database,
            runs=self.jobs.runs,
            releases=self.releases,
            outbox=self.outbox,
            rejections=ingest.rejections,
            grace_days=GRACE_DAYS,
            clock=self.clock,
            on_event=self.deleted.append,
        )
        self.removal = self.removal_over(ingest.blobs)
        self.outbox_desk = OutboxDesk(
            outbox=self.outbox,
            peers=self.peers,
            on_decision=self.decisions.append,
            in_trash=self.trash.holds_any,
        )

    def removal_over(self, blobs: BlobStore, **limits: int) -> FinalRemoval:
        """What removes for good, such as another process has it."""
        removal = ArchiveRemoval(self.database)
        return FinalRemoval(trash=self.trash, removal=removal, blobs=blobs, on_event=self.deleted.append, **limits)

    def delete(self, study_uid: str, series_uid: str = "", sop_instance_uid: str = "", **more: str) -> DeletionRow:
        """Delete something of the project "research"."""
        place = DeletedPlace(study_uid, series_uid, sop_instance_uid)
        return self.deletion_desk.delete(more.pop("project", self.project), place, "lead", **more)

    def let_grace_end(self) -> int:
        """Let the grace of everything end, and remove it; how many instances."""
        self.clock.now += GRACE_DAYS * DAY_S + 1
        return self.removal.run()


@contextmanager
def deleting(folder: Path, **changes: str) -> Iterator[TrashHouse]:
    """A house for one test."""
    house = TrashHouse(folder, **changes)
    try:
        yield house
    finally:
        house.close()

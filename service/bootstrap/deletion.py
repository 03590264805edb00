"""Deletion: the desk where people delete and restore, and what removes for good when the grace has ended."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from service import audit_events
from service.archive.removal import ArchiveRemoval
from service.bootstrap.ground import OUTBOX_BELL, STUDIES_BELL, Ground
from service.bootstrap.stores import Stores

if TYPE_CHECKING:
    from service.core.deletion import DeletionEvent
    from service.delivery.deletion_desk import DeletionDesk
    from service.delivery.final_removal import FinalRemoval


class Deletion:
    """The parts of deletion."""

    def __init__(self, ground: Ground, stores: Stores) -> None:
        self._ground = ground
        self._stores = stores

    @cached_property
    def deletion_desk(self) -> DeletionDesk:
        """Where people delete and restore."""
        from service.delivery.deletion_desk import DeletionDesk

        stores = self._stores
        return DeletionDesk(
            trash=stores.trash,
            database=stores.database,
            runs=stores.runs,
            releases=stores.releases,
            outbox=stores.outbox,
            rejections=stores.rejections,
            grace_days=self._ground.settings.storage.trash_days,
            clock=self._ground.clock,
            on_event=self._audit,
            on_studies=self._ground.ring(STUDIES_BELL),
            on_queued=self._ground.ring(OUTBOX_BELL),
        )

    @cached_property
    def final_removal(self) -> FinalRemoval:
        """What removes for good."""
        from service.delivery.final_removal import FinalRemoval

        stores = self._stores
        return FinalRemoval(
            trash=stores.trash,
            removal=ArchiveRemoval(stores.database),
            blobs=stores.blobs,
            on_event=self._audit,
        )

    def _audit(self, event: DeletionEvent) -> None:
        self._stores.audit.record(audit_events.of_deletion(event))

"""Removes for good what has lain in the trash until its grace ended, a piece at a time.

Blobs go before rows: what is told to be removed is. A kill in between leaves rows in the trash whose blobs are gone,
which nobody sees and the next round removes; blob keys are never used twice, so two processes at the same deletion
do no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import structlog

from service.archive.removal import ArchiveRemoval
from service.archive.trash import TrashTable
from service.core.deletion import DeletionEvent, DeletionRow, DeletionState
from service.core.ports import BlobStore
from service.delivery.release_desk import AUTOMATIC

BATCH: Final = 200
"""Instances in one transaction."""
MOST_AT_ONCE: Final = 5000
"""Instances in one round; other chores wait for it."""

_log = structlog.get_logger("annogate.delivery")


class FinalRemoval:
    """Works on what is due.

    Parameters
    ----------
    on_event : writes the audit trail
    """

    def __init__(
        self,
        *,
        trash: TrashTable,
        removal: ArchiveRemoval,
        blobs: BlobStore,
        on_event: Callable[[DeletionEvent], None],
        batch: int = BATCH,
        most_at_once: int = MOST_AT_ONCE,
    ) -> None:
        self._trash = trash
        self._removal = removal
        self._blobs = blobs
        self._on_event = on_event
        self._batch = batch
        self._most_at_once = most_at_once

    def run(self) -> int:
        """Remove what is due, a bounded amount of it; how many instances."""
        removed = 0
        for deletion in self._trash.due():
            if not self._trash.begin_removal(deletion.id):
                continue
            while removed < self._most_at_once:
                if not (piece := self._piece(deletion)):
                    self._end(deletion)
                    break
                removed += piece
            if removed >= self._most_at_once:
                break
        return removed

    def _piece(self, deletion: DeletionRow) -> int:
        taken = self._trash.instances_in(deletion.id, self._batch)
        for row in taken:
            self._blobs.delete(row.blob.key)
        self._removal.forget(taken)
        return len(taken)

    def _end(self, deletion: DeletionRow) -> None:
        if self._trash.end_removal(deletion.id, AUTOMATIC):
            removed = replace(deletion, state=DeletionState.REMOVED)
            self._on_event(DeletionEvent("remove", removed, AUTOMATIC))
            _log.info("study.removed", project=deletion.project, deletion=deletion.id, instances=deletion.instances)

"""Removes files that a kill left in the blob store: written, but never referred to by the index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

from service.archive.blobs import FilesystemBlobStore
from service.archive.instances import InstanceIndex

_BATCH: Final = 500


class BlobSweep:
    """Compares store and index.

    A file belongs to the index from its transaction on, moments after it was written; one that is older than
    ``grace_s`` and still unknown never will. Keys are never used twice, so none can be taken up while it is removed.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(
        self, blobs: FilesystemBlobStore, index: InstanceIndex, clock: Callable[[], float], grace_s: float = 3600.0
    ) -> None:
        self._blobs = blobs
        self._index = index
        self._clock = clock
        self._grace_s = grace_s

    def run(self, is_stopped: Callable[[], bool] = lambda: False) -> int:
        """Remove what is orphaned or half written; how many files. A million files take a while: it can be stopped."""
        before = self._clock() - self._grace_s
        removed = self._blobs.remove_unfinished(before)
        for keys in _batches(key for key in self._blobs.keys() if self._is_old(key, before)):  # noqa: SIM118
            if is_stopped():
                break
            for key in set(keys) - self._index.held_blobs(keys):
                self._blobs.delete(key)
                removed += 1
        return removed

    def _is_old(self, key: str, before: float) -> bool:
        try:
            return self._blobs.path(key).stat().st_mtime < before
        except FileNotFoundError:
            return False


def _batches(keys: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(keys)
    while batch := list(islice(rest, _BATCH)):
        yield batch

"""How much room the spool has left, looked up seldom and counted in between."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from dicom_nodes.errors import StorageExhausted
from service.ingest.segment_pool import FREE_SUFFIX, SegmentPool

_LOOK_EVERY_S: Final = 0.25
_LOOK_EVERY_BYTES: Final = 16 * 1024 * 1024


class SpoolRoom:
    """Room in one directory.

    Files in the pool count as free under the limit; on the disk they take room, and are given up before the reserve is.

    Parameters
    ----------
    pool : of the directory
    reserve_bytes : free space that the disk must keep
    limit_bytes : how large all segments of the directory together may grow; None is as large as the disk
    slack : bytes of segments that are allocated and not written yet, as far as anybody knows here
    """

    def __init__(
        self, pool: SegmentPool, reserve_bytes: int, limit_bytes: int | None, slack: Callable[[], int] = lambda: 0
    ) -> None:
        self._directory = pool.directory
        self._pool = pool
        self._slack = slack
        self._reserve_bytes = reserve_bytes
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._used = 0
        self._free = 0
        self._claimed = 0
        self._written = 0

    def claim(self, size: int) -> None:
        """Count on room for ``size`` more bytes, until they are ``settle``d.

        Raises
        ------
        StorageExhausted : there is none
        """
        with self._lock:
            if self._is_stale() or not (self._within_limit(size) and self._within_disk(size)):
                # Before a refusal it is looked up again: a reader may have made room a moment ago.
                self._look()
                if not self._within_disk(size) and self._pool.drop():
                    self._look()
            if not self._within_limit(size):
                raise StorageExhausted("the spool is at its limit")
            if not self._within_disk(size):
                raise StorageExhausted("the spool's disk is at its reserve")
            self._claimed += size

    def settle(self, size: int) -> None:
        """Claimed bytes are in a file now, or will never be."""
        with self._lock:
            self._claimed -= size
            self._written += size

    def _is_stale(self) -> bool:
        return self._written > _LOOK_EVERY_BYTES or time.monotonic() - self._looked_at > _LOOK_EVERY_S

    def _within_limit(self, size: int) -> bool:
        return self._limit_bytes is None or self._used + self._coming(size) <= self._limit_bytes

    def _within_disk(self, size: int) -> bool:
        return self._free - self._coming(size) >= self._reserve_bytes

    def _coming(self, size: int) -> int:
        """Bytes that the last look did not see, and ``size`` more."""
        return self._written + self._claimed + size

    def _look(self) -> None:
        used = 0
        with os.scandir(self._directory) as entries:
            for entry in entries:
                if entry.name.endswith(FREE_SUFFIX):
                    continue
                with suppress(FileNotFoundError):
                    used += entry.stat().st_size
        disk = os.statvfs(self._directory)
        self._used = max(0, used - self._slack())
        self._free = disk.f_bavail * disk.f_frsize
        self._written = 0
        self._looked_at = time.monotonic()

"""Which worker is at a spool segment: a file lock, so that a killed worker's claim ends with it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class SegmentClaims:
    """Claims on segments among all processes of a host."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def claim(self, segment: str) -> Iterator[bool]:
        """Hold a segment while the block runs; gives False where another worker does."""
        descriptor = os.open(self._directory / segment, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    def forget(self, segment: str) -> None:
        """Remove the lock file of a segment that is gone."""
        (self._directory / segment).unlink(missing_ok=True)

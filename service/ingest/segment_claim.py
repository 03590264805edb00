"""Which worker is at a spool segment: a file lock, so that a killed worker's claim ends with it."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True)
class _Held:
    descriptor: int
    holders: int = 1


class SegmentClaims:
    """Claims on segments among all processes of a host; the threads of one worker share its claims."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def claim(self, segment: str) -> Iterator[bool]:
        """Hold a segment while the block runs; gives False where another worker does."""
        mine = self.take(segment)
        try:
            yield mine
        finally:
            if mine:
                self.let_go(segment)

    def take(self, segment: str) -> bool:
        """Hold a segment until it is let go of as often as it was taken; False where another worker does."""
        with self._lock:
            if segment in self._held:
                self._held[segment].holders += 1
                return True
            descriptor = os.open(self._directory / segment, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            self._held[segment] = _Held(descriptor)
            return True

    def let_go(self, segment: str) -> None:
        """End one hold; the last one frees the segment."""
        with self._lock:
            held = self._held[segment]
            held.holders -= 1
            if not held.holders:
                os.close(held.descriptor)
                del self._held[segment]

    def forget(self, segment: str) -> None:
        """Remove the lock file of a segment that is gone."""
        (self._directory / segment).unlink(missing_ok=True)

"""Files of released segments, to be segments again: their blocks are there, so a sync writes data and nothing else.

A file in the pool has lost its key: nothing of what it held can be read. Any number of processes give to one directory
and take from it; whoever holds the lock of a file has it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SUFFIX: Final = ".segment"
FREE_SUFFIX: Final = ".free"


@dataclass(frozen=True, slots=True)
class SegmentPool:
    """The pool beside the segments.

    Parameters
    ----------
    count : files that are kept, about; more are removed
    least_bytes, most_bytes : size of a file that is worth keeping
    """

    directory: Path
    count: int = 0
    least_bytes: int = 0
    most_bytes: int = 0

    def take(self) -> tuple[Path, int] | None:
        """A file that is ours from now on, and its descriptor, locked; None when there is none."""
        for path in self._files():
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            if _lock(descriptor) and is_at(descriptor, path):
                return path, descriptor
            os.close(descriptor)
        return None

    def give(self, path: Path, size: int) -> bool:
        """Keep the file of a segment whose key is destroyed; False where it is not wanted, and stays where it is."""
        if not self.least_bytes <= size <= self.most_bytes or sum(1 for _ in self._files()) >= self.count:
            return False
        path.rename(path.with_suffix(FREE_SUFFIX))
        return True

    def drop(self) -> bool:
        """Remove every file that nobody has taken; whether there was any."""
        dropped = False
        for path in self._files():
            with suppress(FileNotFoundError):
                descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
                try:
                    if _lock(descriptor) and is_at(descriptor, path):
                        path.unlink()
                        dropped = True
                finally:
                    os.close(descriptor)
        return dropped

    def _files(self) -> Iterator[Path]:
        with os.scandir(self.directory) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(FREE_SUFFIX)]
        yield from (self.directory / name for name in sorted(names))


def segment_pool(directory: Path, count: int, segment_bytes: int) -> SegmentPool:
    """The pool for segments of ``segment_bytes``: files that were closed early, or hold a huge object, are not kept."""
    return SegmentPool(directory, count, segment_bytes // 2, segment_bytes * 2)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_at(descriptor: int, path: Path) -> bool:
    """Whether a file still has its name: it may have been taken, used and released since it was opened."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False

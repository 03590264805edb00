"""A stretch of an open file as bytes that are read where they are asked for."""

from __future__ import annotations

import os
from typing import Self


class FileBytes:
    """Reads a file without moving its position; whoever opened it keeps it open and closes it.

    Parameters
    ----------
    start, size : the stretch, in bytes of the file
    """

    __slots__ = ("_size", "descriptor", "start")

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        self.descriptor = descriptor
        self.start = start
        self._size = size

    @classmethod
    def whole(cls, descriptor: int) -> Self:
        """The file as long as it is now."""
        return cls(descriptor, 0, os.fstat(descriptor).st_size)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, stretch: slice, /) -> bytes:
        position, stop, _ = stretch.indices(self._size)
        parts = []
        # One call gives at most 2 GiB, and what was cut off meanwhile gives nothing.
        while position < stop and (part := os.pread(self.descriptor, stop - position, self.start + position)):
            parts.append(part)
            position += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

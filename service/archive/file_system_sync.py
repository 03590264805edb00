"""One sync for many new files: everything that was written to a file system before it (syncfs, Linux)."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Self

_REPORTS_FAILURES = (5, 8)
"""The first Linux whose syncfs tells of data that could not be written."""


def syncfs_reports_failures(release: str) -> bool:
    """Whether a Linux kernel tells of data that it could not write; older ones report success whatever became of it."""
    numbers = release.split("-", maxsplit=1)[0].split(".")[:2]
    return all(map(str.isdigit, numbers)) and tuple(map(int, numbers)) >= _REPORTS_FAILURES


class FileSystemSync:
    """Opened before files are written, asked once after the last; it then tells of a failure in between."""

    def __init__(self, directory: Path) -> None:
        self._descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def sync(self) -> None:
        """Return when everything on the directory's file system is durable, names included.

        Raises
        ------
        OSError : something is not
        """
        # ctypes lets other threads run meanwhile.
        library = ctypes.CDLL(None, use_errno=True)
        if library.syncfs(self._descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

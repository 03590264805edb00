"""DICOM files on the local disk: whole and durable, or not there."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from dicom_nodes.errors import GatewayError, StorageExhausted
from service.archive.file_system_sync import FileSystemSync, syncfs_reports_failures
from service.core.blob_key import is_blob_key
from service.errors import InstanceNotFound

_UNFINISHED = ".part"
_SHARD = re.compile(r"[0-9a-f]{2}").fullmatch
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_PARTS_AT_ONCE = 16
_LARGE_PART = 64 << 10
_TOGETHER = 4
"""So many blobs at once are synced with their file system, fewer each by itself."""


@dataclass(frozen=True, slots=True)
class _Written:
    """A file that is complete on disk under a name of its own."""

    path: Path
    target: Path
    size: int


class FilesystemBlobStore:
    """Implements `service.core.ports.LocalBlobStore` below one directory.

    A blob is written beside its place and renamed into it when it is whole. One is synced before that, and its
    directory after it; a batch is synced at the end, by one sync of the file system. Either way, what `put` or
    `put_many` returned from survives a power cut. Files have mode 0600, directories 0700.

    Parameters
    ----------
    open_sync : what syncs a batch, opened before the first of its files is written
    """

    def __init__(self, root: Path, open_sync: Callable[[Path], FileSystemSync] = FileSystemSync) -> None:
        self._root = root
        self._open_sync = open_sync
        self._known_directories: set[Path] = set()

    def put(self, key: str, parts: Iterable[bytes | memoryview]) -> int:
        """Store the joined parts under ``key``, replacing what was there; durable when it returns the size in bytes.

        Raises
        ------
        StorageExhausted : no room
        """
        return self.put_many([(key, parts)])[0]

    def put_many(self, blobs: Sequence[tuple[str, Iterable[bytes | memoryview]]]) -> list[int]:
        """Store several, in order, durable together when it returns their sizes in order.

        Raises
        ------
        StorageExhausted : no room; none of them is kept
        """
        return self.begin_many(blobs)()

    def begin_many(self, blobs: Sequence[tuple[str, Iterable[bytes | memoryview]]]) -> Callable[[], list[int]]:
        """Write several, in order; what is returned has to be called, once, in any thread, as ``put_many``.

        After a power cut before that, a key of the batch may name half a file; nobody was told of it.

        Raises
        ------
        StorageExhausted : no room; none of them is kept
        """
        written: list[_Written] = []
        made: set[Path] | None = None
        stack = ExitStack()
        try:
            together = None
            if len(blobs) >= _TOGETHER and syncfs_reports_failures(os.uname().release):
                self._make_directory(self._root)
                together, made = stack.enter_context(self._open_sync(self._root)), set()
            for key, parts in blobs:
                written.append(self._write(self.path(key), parts, made))
            for blob in written:
                blob.path.replace(blob.target)
        except BaseException as error:
            stack.close()
            self._undo(written)
            if isinstance(error, OSError):
                raise _gateway_error(error) from error
            raise
        return partial(self._make_durable, written, made or set(), together, stack)

    def _make_durable(
        self, written: Sequence[_Written], made: set[Path], together: FileSystemSync | None, stack: ExitStack
    ) -> list[int]:
        try:
            with stack:
                if together is not None:
                    together.sync()
                    self._known_directories |= made
                else:
                    for directory in {blob.target.parent for blob in written}:
                        _sync_directory(directory)
        except OSError as error:
            self._undo(written)
            raise _gateway_error(error) from error
        return [blob.size for blob in written]

    def _undo(self, written: Sequence[_Written]) -> None:
        self._known_directories.clear()  # those made a moment ago may not be durable
        for blob in written:
            blob.path.unlink(missing_ok=True)

    def open(self, key: str) -> BinaryIO:
        """A stream over the blob from its start; the caller closes it.

        Raises
        ------
        InstanceNotFound : nothing is stored under ``key``
        """
        try:
            return self.path(key).open("rb")
        except FileNotFoundError as error:
            raise InstanceNotFound("the instance's file is not in the store") from error
        except OSError as error:
            raise _gateway_error(error) from error

    def path(self, key: str) -> Path:
        """Where the blob lies, whether or not it is there.

        Raises
        ------
        ValueError : the key is none that `service.core.blob_key.blob_key` makes
        """
        if not is_blob_key(key):
            raise ValueError("not the key of a blob")
        return self._root / key

    def delete(self, key: str) -> None:
        """Forget the blob; nothing happens when there is none."""
        try:
            self.path(key).unlink(missing_ok=True)
        except OSError as error:
            raise _gateway_error(error) from error

    def keys(self) -> Iterator[str]:
        """Every key that is stored, in no order."""
        for entry in self._files():
            key = str(entry.relative_to(self._root))
            if is_blob_key(key):
                yield key

    def remove_unfinished(self, before: float) -> int:
        """Remove what a kill left half written, last touched before a time in seconds since the epoch; how many."""
        removed = 0
        for entry in self._files():
            if entry.name.endswith(_UNFINISHED):
                with suppress(FileNotFoundError):
                    if entry.stat().st_mtime < before:
                        entry.unlink()
                        removed += 1
        return removed

    def _files(self) -> Iterator[Path]:
        if not self._root.is_dir():
            return
        for project in self._root.iterdir():
            if project.is_dir():
                for shard in project.iterdir():
                    if _SHARD(shard.name) and shard.is_dir():
                        yield from shard.iterdir()

    def _write(self, target: Path, parts: Iterable[bytes | memoryview], made: set[Path] | None) -> _Written:
        """Write one beside its place.

        Parameters
        ----------
        made : directories that a sync of the file system, still to come, makes durable; without it all is at once
        """
        self._make_directory(target.parent, made)
        unfinished = target.parent / f".{os.urandom(8).hex()}{_UNFINISHED}"
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            try:
                size = _write_all(descriptor, parts)
                if made is None:
                    os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        return _Written(unfinished, target, size)

    def _make_directory(self, directory: Path, made: set[Path] | None = None) -> None:
        """Have a directory, durable unless ``made`` takes it; below the root each level is asked for, once."""
        if directory in self._known_directories or (made is not None and directory in made):
            return
        missing = [directory]
        if directory != self._root:
            self._make_directory(directory.parent, made)
        else:
            while not missing[-1].parent.is_dir():
                missing.append(missing[-1].parent)
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)
            if made is None:  # even if somebody else made it this moment: they may not have come to the sync yet
                _sync_directory(path.parent)
        (self._known_directories if made is None else made).add(directory)


def _write_all(descriptor: int, parts: Iterable[bytes | memoryview]) -> int:
    """Write parts, several small ones at a time; how many bytes."""
    size = 0
    waiting: list[memoryview] = []
    for part in parts:
        waiting.append(memoryview(part).cast("B"))
        if len(waiting) == _PARTS_AT_ONCE or len(part) >= _LARGE_PART:
            size += _write_views(descriptor, waiting)
            waiting = []
    return size + _write_views(descriptor, waiting)


def _write_views(descriptor: int, views: list[memoryview]) -> int:
    size = sum(len(view) for view in views)
    while views:
        written = os.writev(descriptor, views)
        while views and written >= len(views[0]):
            written -= len(views.pop(0))
        if views:
            views[0] = views[0][written:]
    return size


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _gateway_error(error: OSError) -> GatewayError:
    if error.errno in _NO_ROOM:
        return StorageExhausted("the disk of the archive is full")
    return GatewayError(f"the archive's files: {errno.errorcode.get(error.errno or 0, 'OSError')}")

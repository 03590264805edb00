"""DICOM files on the local disk: whole and durable, or not there."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dicom_nodes.errors import GatewayError, StorageExhausted
from service.core.blob_key import is_blob_key
from service.errors import InstanceNotFound

_UNFINISHED = ".part"
_SHARD = re.compile(r"[0-9a-f]{2}").fullmatch
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class _Written:
    """A file that is complete on disk under a name of its own."""

    path: Path
    target: Path
    size: int


class FilesystemBlobStore:
    """Implements `service.core.ports.LocalBlobStore` below one directory.

    A blob is written beside its place, synced, and renamed into it; then the directory is synced. So a key never names
    half a file, and what `put` returned from survives a power cut. Files have mode 0600, directories 0700.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known_directories: set[Path] = set()

    def put(self, key: str, parts: Iterable[bytes | memoryview]) -> int:
        """Store the joined parts under ``key``, replacing what was there; durable when it returns the size in bytes.

        Raises
        ------
        StorageExhausted : no room
        """
        return self.put_many([(key, parts)])[0]

    def put_many(self, blobs: Sequence[tuple[str, Iterable[bytes | memoryview]]]) -> list[int]:
        """Store several, in order, with one sync per directory; sizes in order."""
        written: list[_Written] = []
        try:
            for key, parts in blobs:
                written.append(self._write(self.path(key), parts))
            for blob in written:
                blob.path.replace(blob.target)
            for directory in {blob.target.parent for blob in written}:
                _sync_directory(directory)
        except BaseException as error:
            for blob in written:
                blob.path.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise _gateway_error(error) from error
            raise
        return [blob.size for blob in written]

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

    def _write(self, target: Path, parts: Iterable[bytes | memoryview]) -> _Written:
        self._make_directory(target.parent)
        # mkstemp makes the file with mode 0600 whatever the umask
        descriptor, name = tempfile.mkstemp(suffix=_UNFINISHED, prefix=".", dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                size = sum(_write_all(file.fileno(), part) for part in parts)
                os.fdatasync(file.fileno())
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return _Written(Path(name), target, size)

    def _make_directory(self, directory: Path) -> None:
        if directory in self._known_directories:
            return
        missing = [directory]
        while not missing[-1].parent.is_dir():
            missing.append(missing[-1].parent)
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)
            # Synced even if another process made it this moment: that one may not have come to it yet.
            _sync_directory(path.parent)
        self._known_directories.add(directory)


def _write_all(descriptor: int, data: bytes | memoryview) -> int:
    view = memoryview(data).cast("B")
    done = 0
    while done < len(view):
        done += os.write(descriptor, view[done:])
    return done


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

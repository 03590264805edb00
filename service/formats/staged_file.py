"""Files of a dataset: whole, on disk, and known by their SHA-256, or not there.

A file is written beside its place under a name that ends in ``.annogate-part``, synced, and renamed into it. What a
kill leaves is such a part, which the next run over the same folder removes.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from service.errors import StorageExhausted

PART: Final = ".annogate-part"
_LEVEL: Final = 4
_GZIP: Final = 31
"""What zlib takes for its largest window in the format of gzip."""


class Sink(Protocol):
    """Takes bytes."""

    def write(self, content: bytes | memoryview, /) -> None:
        """Take them."""


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that is complete: its place below the dataset's folder with ``/``, its size in bytes, its SHA-256."""

    path: str
    size: int
    sha256: str


class Packer(Protocol):
    """Packs bytes as they come."""

    def compress(self, content: bytes | memoryview, /) -> bytes:
        """Pack more; what can be written of it."""

    def flush(self) -> bytes:
        """The end."""


def gzip_packer() -> Packer:
    """Packs as gzip, without a name or a time in its header: the same content gives the same bytes."""
    return zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)


class StagedFile:
    """One file on its way; as a context manager it is kept where the block ends well, and forgotten where it does not.

    Parameters
    ----------
    root : the dataset's folder
    path : the file's place below it, with ``/``
    compressed : written as gzip
    """

    def __init__(self, root: Path, path: str, *, compressed: bool = False) -> None:
        self._place = root / path
        self._path = path
        self._part = self._place.with_name(self._place.name + PART)
        self._packer = gzip_packer() if compressed else None
        self._digest = hashlib.sha256()
        self._size = 0
        self.written: WrittenFile | None = None
        """What it came to, once the block has ended."""

    def __enter__(self) -> Self:
        with _room():
            self._place.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._part.open("wb")
        return self

    def write(self, content: bytes | memoryview, /) -> None:
        """Take the next bytes of the content.

        Raises
        ------
        StorageExhausted : no room
        """
        self._put(content if self._packer is None else self._packer.compress(content))

    def _put(self, content: bytes | memoryview) -> None:
        with _room():
            self._file.write(content)
        self._digest.update(content)
        self._size += len(memoryview(content).cast("B"))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            with suppress(OSError):
                self._file.close()
            if self.written is None:
                self._part.unlink(missing_ok=True)

    def _finish(self) -> None:
        if self._packer is not None:
            self._put(self._packer.flush())
        with _room():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._part.replace(self._place)
        self.written = WrittenFile(self._path, self._size, self._digest.hexdigest())


class DatasetFolder:
    """Where a dataset is written.

    Parameters
    ----------
    root : it is made when the first file is
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, fill: Callable[[Sink], None], *, compressed: bool = False) -> WrittenFile:
        """Write one file, whatever stood there before.

        Raises
        ------
        StorageExhausted : no room
        """
        staged = StagedFile(self.root, path, compressed=compressed)
        with staged as sink:
            fill(sink)
        assert staged.written is not None  # noqa: S101 - the block ended well
        return staged.written

    def write_bytes(self, path: str, content: bytes) -> WrittenFile:
        """Write one file that is in memory."""
        return self.write(path, lambda sink: sink.write(content))

    def sync(self, paths: Iterable[str]) -> None:
        """Make the names of files last: their folders are synced, each once."""
        for folder in sorted({(self.root / path).parent for path in paths}):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def remove(self, path: str) -> None:
        """Remove a file, and the folders that it leaves empty."""
        place = self.root / path
        place.unlink(missing_ok=True)
        for folder in place.parents:
            if folder == self.root:
                return
            try:
                folder.rmdir()
            except OSError:
                return

    def holds(self, file: WrittenFile) -> bool:
        """Whether a file lies there with the size that it was written with."""
        try:
            return (self.root / file.path).stat().st_size == file.size
        except OSError:
            return False

    def remove_parts(self) -> None:
        """Remove what a kill left."""
        for part in self.root.rglob("*" + PART):
            part.unlink(missing_ok=True)


@contextmanager
def _room() -> Iterator[None]:
    """What the disk refuses, in our words."""
    try:
        yield
    except OSError as error:
        raise StorageExhausted(f"the dataset cannot be written: {error.strerror}") from error

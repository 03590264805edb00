"""Where bytes wait that are too many for memory and not yet anybody's: encrypted, in files without a name.

An uploaded object and an inflated data set hold identity, so they are sealed like the spool; but here the key lives
in this process alone, and the file is gone with it, whatever ends it.
"""

from __future__ import annotations

import errno
import os
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dicom_nodes.errors import GatewayError, StorageExhausted
from service.core.encoded_bytes import IN_MEMORY_BYTES, EncodedBytes, FramedBytes

_FRAME: Final = 1 << 20
_TAG: Final = 16
_KEY: Final = 32
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Scratch:
    """Keeps parts as they come: in memory while they are few, sealed on disk once they are many.

    Parameters
    ----------
    directory : where the files without a name lie; must be there
    in_memory_bytes : up to this size nothing is written
    """

    def __init__(
        self,
        directory: Path,
        in_memory_bytes: int = IN_MEMORY_BYTES,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._directory = directory
        self._in_memory_bytes = in_memory_bytes
        self._random_bytes = random_bytes

    def keep(self, parts: Iterable[bytes | memoryview]) -> EncodedBytes:
        """Take all parts; what is returned reads like them joined, for as long as it is referred to.

        Raises
        ------
        StorageExhausted : there is no room
        """
        source = iter(parts)
        held: list[bytes | memoryview] = []
        size = 0
        for part in source:
            held.append(part)
            size += len(part)
            if size > self._in_memory_bytes:
                return self._seal(_following(held, source))
        return b"".join(held)

    def shelf(self) -> Callable[[Iterable[bytes | memoryview], int], EncodedBytes]:
        """What keeps many things that wait together; the second argument says how much of one may stay in memory."""
        return Shelf(self._sealed_file).keep

    def _sealed_file(self) -> _SealedFile:
        try:
            return _SealedFile(self._nameless_file(), AESGCM(self._random_bytes(_KEY)))
        except OSError as error:
            raise _storage_error(error) from error

    def _seal(self, parts: Iterator[bytes | memoryview]) -> EncodedBytes:
        cipher = AESGCM(self._random_bytes(_KEY))
        try:
            descriptor = self._nameless_file()
        except OSError as error:
            raise _storage_error(error) from error
        try:
            size = 0
            for number, frame in enumerate(_frames(parts)):
                try:
                    _write_all(descriptor, cipher.encrypt(_nonce(number), frame, None))
                except OSError as error:
                    raise _storage_error(error) from error
                size += len(frame)
        except BaseException:
            os.close(descriptor)
            raise

        def open_frame(number: int) -> bytes:
            sealed = os.pread(descriptor, _FRAME + _TAG, number * (_FRAME + _TAG))
            try:
                return cipher.decrypt(_nonce(number), sealed, None)
            except InvalidTag as error:
                raise GatewayError("what waited on the disk came back changed") from error

        kept = FramedBytes(range(0, size, _FRAME), size, open_frame)
        # The descriptor belongs to whoever reads; nobody has to remember to close it.
        weakref.finalize(open_frame, os.close, descriptor)
        return kept

    def _nameless_file(self) -> int:
        try:
            return os.open(self._directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
                raise
        # A file system without nameless files: the name is taken away again at once.
        descriptor, name = tempfile.mkstemp(dir=self._directory)
        Path(name).unlink()
        return descriptor


class Shelf:
    """Keeps many things in few files; a file goes when nothing of what it holds is referred to any more.

    Parameters
    ----------
    open_file : makes an empty file
    file_bytes : a file that holds so much gets nothing more
    """

    def __init__(self, open_file: Callable[[], _SealedFile], file_bytes: int = 256 << 20) -> None:
        self._open_file = open_file
        self._file_bytes = file_bytes
        self._file: _SealedFile | None = None

    def keep(self, parts: Iterable[bytes | memoryview], in_memory_bytes: int = 0) -> EncodedBytes:
        """Take all parts; what is returned reads like them joined, for as long as it is referred to.

        Parameters
        ----------
        in_memory_bytes : up to this size nothing is written

        Raises
        ------
        StorageExhausted : there is no room
        """
        source = iter(parts)
        held: list[bytes | memoryview] = []
        size = 0
        for part in source:
            held.append(part)
            size += len(part)
            if size > in_memory_bytes:
                return self._put(_following(held, source))
        return b"".join(held)

    def _put(self, parts: Iterator[bytes | memoryview]) -> EncodedBytes:
        file = self._file
        if file is None or file.size >= self._file_bytes:
            file = self._file = self._open_file()
        starts, places, size = [], [], 0
        for frame in _frames(parts):
            starts.append(size)
            places.append(file.append(frame))
            size += len(frame)
        return _Shelved(starts, size, lambda number: file.read(places[number]))


class _Shelved:
    """One thing on a shelf; unlike `FramedBytes` it holds nothing of what was read, since there may be many."""

    __slots__ = ("_open_frame", "_size", "_starts")

    def __init__(self, starts: Sequence[int], size: int, open_frame: Callable[[int], bytes]) -> None:
        self._starts = starts
        self._size = size
        self._open_frame = open_frame

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, stretch: slice, /) -> bytes:
        return FramedBytes(self._starts, self._size, self._open_frame)[stretch]


@dataclass(frozen=True, slots=True)
class _FramePlace:
    """Where a frame lies in a file that several things share."""

    number: int
    offset: int
    length: int


class _SealedFile:
    """Frames of any length one after the other, each sealed by itself; closed when nobody refers to it."""

    def __init__(self, descriptor: int, cipher: AESGCM) -> None:
        self.size = 0
        self._descriptor = descriptor
        self._cipher = cipher
        self._frames = 0
        self._opened: tuple[int, bytes] = (-1, b"")
        weakref.finalize(self, os.close, descriptor)

    def append(self, frame: bytes | bytearray) -> _FramePlace:
        """Write one frame."""
        place = _FramePlace(self._frames, self.size, len(frame) + _TAG)
        try:
            _write_all(self._descriptor, self._cipher.encrypt(_nonce(place.number), frame, None))
        except OSError as error:
            raise _storage_error(error) from error
        self._frames += 1
        self.size += place.length
        return place

    def read(self, place: _FramePlace) -> bytes:
        """Read one frame back; the last one is kept for who reads on in it."""
        if self._opened[0] == place.number:
            return self._opened[1]
        sealed = os.pread(self._descriptor, place.length, place.offset)
        try:
            frame = self._cipher.decrypt(_nonce(place.number), sealed, None)
        except InvalidTag as error:
            raise GatewayError("what waited on the disk came back changed") from error
        self._opened = place.number, frame
        return frame


def _following(held: list[bytes | memoryview], rest: Iterator[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """What is held, let go of piece by piece, then the rest."""
    held.reverse()
    while held:
        yield held.pop()
    yield from rest


def _frames(parts: Iterator[bytes | memoryview]) -> Iterator[bytes | bytearray]:
    buffer = bytearray()
    for part in parts:
        view = memoryview(part)
        while view:
            taken = view[: _FRAME - len(buffer)]
            buffer += taken
            view = view[len(taken) :]
            if len(buffer) == _FRAME:
                yield buffer
                buffer.clear()
    if buffer:
        yield buffer


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _storage_error(error: OSError) -> GatewayError:
    if error.errno in _NO_ROOM:
        return StorageExhausted("the disk on which large objects wait is full")
    return GatewayError("the disk on which large objects wait failed")

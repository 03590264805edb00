"""A file whose content is encrypted, and which can be made unreadable by overwriting its first bytes.

Layout: magic, nonce, the file's own key sealed under the store's key; then the content in chunks, each AES-256-GCM
under the file's key with its number and "last" flag as nonce, so that no chunk can be dropped, moved or appended.
"""

from __future__ import annotations

import errno
import os
import struct
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dicom_nodes.errors import GatewayError, StorageExhausted
from service.core.encoded_bytes import IN_MEMORY_BYTES, EncodedBytes, FramedBytes
from service.errors import KeysMissing

PART_SUFFIX: Final = ".part"
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_MAGIC: Final = b"ANNOGATE-SEALED1"
_NONCE: Final = 12
_KEY: Final = 32
_TAG: Final = 16
_HEAD: Final = len(_MAGIC) + _NONCE + _KEY + _TAG
_CHUNK: Final = 4 << 20


def write_sealed(
    path: Path, parts: Iterable[bytes | memoryview], sealing_key: bytes, random: Callable[[int], bytes] = os.urandom
) -> None:
    """Write ``parts`` joined and encrypted to ``path``, replacing what was there; durable when it returns.

    Parameters
    ----------
    sealing_key : 32 bytes; it seals the file's own random key, bound to the file's name

    Raises
    ------
    StorageExhausted : there is no room
    """
    try:
        _write(path, parts, sealing_key, random)
    except OSError as err:
        if err.errno in _NO_ROOM:
            raise StorageExhausted("the disk of the quarantine is full") from err
        raise GatewayError("the disk of the quarantine failed") from err


def _write(path: Path, parts: Iterable[bytes | memoryview], sealing_key: bytes, random: Callable[[int], bytes]) -> None:
    file_key, nonce = random(_KEY), random(_NONCE)
    # Two processes may hold the same object at once: each has its own temporary file, the later rename wins.
    temporary = path.with_name(f"{path.name}.{random(8).hex()}{PART_SUFFIX}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(_MAGIC + nonce + AESGCM(sealing_key).encrypt(nonce, file_key, path.name.encode()))
        cipher = AESGCM(file_key)
        for number, (chunk, last) in enumerate(_marked_last(_rechunk(parts))):
            stream.write(cipher.encrypt(_chunk_nonce(number, last), chunk, None))
        stream.flush()
        os.fdatasync(stream.fileno())
    temporary.rename(path)
    _sync_directory(path.parent)


def read_sealed(path: Path, sealing_key: bytes, in_memory_bytes: int = IN_MEMORY_BYTES) -> EncodedBytes:
    """The content of a sealed file; what is long is opened as it is read, and stays readable if the file is removed.

    Raises
    ------
    FileNotFoundError : there is none
    KeysMissing : it was sealed under another key, erased, or changed since it was written; of what is long, a change
        in its middle raises this when it is read
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        chunks = _SealedChunks(descriptor, path.name, sealing_key)
    except BaseException:
        os.close(descriptor)
        raise
    # The descriptor belongs to whoever reads; nobody has to remember to close it.
    weakref.finalize(chunks, os.close, descriptor)
    chunks.open(chunks.count - 1)  # a file cut short has no last chunk; even an empty content has one
    content = FramedBytes(range(0, chunks.count * _CHUNK, _CHUNK), chunks.size, chunks.open)
    return content[:] if chunks.size <= in_memory_bytes else content


class _SealedChunks:
    """The chunks behind a descriptor, and how many bytes they hold."""

    def __init__(self, descriptor: int, name: str, sealing_key: bytes) -> None:
        self._descriptor = descriptor
        self._name = name
        head = os.pread(descriptor, _HEAD, 0)
        sealed_size = os.fstat(descriptor).st_size - _HEAD
        self.count = -(-sealed_size // (_CHUNK + _TAG))
        self.size = sealed_size - self.count * _TAG
        if not head.startswith(_MAGIC) or self.count < 1 or self.size < 0:
            raise KeysMissing(f"{name} cannot be opened: erased, or changed")
        nonce, sealed_key = head[len(_MAGIC) : len(_MAGIC) + _NONCE], head[len(_MAGIC) + _NONCE :]
        self._cipher = AESGCM(self._opened(AESGCM(sealing_key), nonce, sealed_key, name.encode()))

    def open(self, number: int) -> bytes:
        """The content of one chunk."""
        sealed = os.pread(self._descriptor, _CHUNK + _TAG, _HEAD + number * (_CHUNK + _TAG))
        return self._opened(self._cipher, _chunk_nonce(number, number == self.count - 1), sealed, None)

    def _opened(self, cipher: AESGCM, nonce: bytes, sealed: bytes, bound_to: bytes | None) -> bytes:
        try:
            return cipher.decrypt(nonce, sealed, bound_to)
        except (InvalidTag, ValueError) as err:
            raise KeysMissing(f"{self._name} cannot be opened: other key, erased, or changed") from err


def erase_sealed(path: Path) -> None:
    """Make the file unreadable for good, then remove it; nothing happens when there is none.

    What is left of its chunks on the disk has no key any more once the head is overwritten.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.pwrite(descriptor, bytes(_HEAD), 0)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    path.unlink(missing_ok=True)
    _sync_directory(path.parent)


def _chunk_nonce(number: int, last: bool) -> bytes:
    return struct.pack(">QxxxB", number, last)


def _rechunk(parts: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    buffer = bytearray()
    for part in parts:
        view = memoryview(part)
        while view:
            taken = view[: _CHUNK - len(buffer)]
            buffer += taken
            view = view[len(taken) :]
            if len(buffer) == _CHUNK:
                yield bytes(buffer)
                buffer.clear()
    yield bytes(buffer)


def _marked_last(chunks: Iterator[bytes | memoryview]) -> Iterator[tuple[bytes | memoryview, bool]]:
    """Each chunk with whether it is the last one."""
    held = next(chunks, None)
    if held is None:
        return
    for chunk in chunks:
        yield held, False
        held = chunk
    yield held, True


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""A file whose content is encrypted, and which can be made unreadable by overwriting its first bytes.

Layout: magic, nonce, the file's own key sealed under the store's key; then the content in chunks, each AES-256-GCM
under the file's key with its number and "last" flag as nonce, so that no chunk can be dropped, moved or appended.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dicom_nodes.errors import GatewayError, StorageExhausted
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


def read_sealed(path: Path, sealing_key: bytes) -> bytes:
    """The content of a sealed file.

    Raises
    ------
    FileNotFoundError : there is none
    KeysMissing : it was sealed under another key, erased, or changed since it was written
    """
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
        sealed_chunks = list(iter(lambda: stream.read(_CHUNK + _TAG), b""))
    nonce, sealed_key = head[len(_MAGIC) : len(_MAGIC) + _NONCE], head[len(_MAGIC) + _NONCE :]
    # Even an empty content has its last chunk.
    if not head.startswith(_MAGIC) or not sealed_chunks:
        raise KeysMissing(f"{path.name} cannot be opened: erased, or changed")
    try:
        cipher = AESGCM(AESGCM(sealing_key).decrypt(nonce, sealed_key, path.name.encode()))
        return b"".join(
            cipher.decrypt(_chunk_nonce(number, last), chunk, None)
            for number, (chunk, last) in enumerate(_marked_last(iter(sealed_chunks)))
        )
    except (InvalidTag, ValueError) as err:
        raise KeysMissing(f"{path.name} cannot be opened: other key, erased, or changed") from err


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

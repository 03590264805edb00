"""UIDs of what is made from files: the same words always give the same UID."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Final

from service.errors import FormatRefused

_CHUNK: Final = 1 << 20
_GZIP_START: Final = b"\x1f\x8b"


def uid_of(*words: str) -> str:
    """``2.25.`` and 128 bits of a digest (PS3.5 B.2)."""
    digest = hashlib.sha256("\0".join(("annogate", *words)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def uids_of(*words: str) -> Callable[[], str]:
    """Gives one UID after the other, in an order that stays."""
    numbers = count(1)
    return lambda: uid_of(*words, str(next(numbers)))


def content_digest(file: Path) -> str:
    """SHA-256 of a file's content, hexadecimal; of what is inside where it is gzip, however it was packed.

    Raises
    ------
    FormatRefused : it cannot be read
    """
    digest = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            packed = stream.read(2) == _GZIP_START
            stream.seek(0)
            unpacker = zlib.decompressobj(47) if packed else None
            while chunk := stream.read(_CHUNK):
                digest.update(chunk if unpacker is None else unpacker.decompress(chunk))
    except (OSError, zlib.error) as error:
        raise FormatRefused("the file cannot be read: copy it again") from error
    return digest.hexdigest()

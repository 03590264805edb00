"""Explicit → Implicit VR Little Endian while it streams, for peers that take nothing else (PS3.5 A.1)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final

from dicom_nodes.errors import InstanceUnreadable
from service.core.encoded_data_set import (
    EXPLICIT_LITTLE_ENDIAN,
    ITEM,
    UNDEFINED_LENGTH,
    elements,
    items,
    read_head,
)

_LONGEST_HEAD: Final = 12
_HEAD: Final = struct.Struct("<HHI")


def to_implicit_little_endian(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Write a data set anew without its VRs; only sequences are held in memory, one at a time.

    Parameters
    ----------
    chunks : Explicit VR Little Endian with every length defined, as ``to_explicit_little_endian`` writes it, native
        pixels included

    Raises
    ------
    InstanceUnreadable : a length is undefined, or the bytes end inside an element
    """
    source = _Source(chunks)
    while head_bytes := source.peek(_LONGEST_HEAD):
        head = read_head(memoryview(head_bytes), 0, EXPLICIT_LITTLE_ENDIAN)
        if head.length == UNDEFINED_LENGTH:
            raise InstanceUnreadable("An element of undefined length cannot be written in implicit VR")
        source.skip(head.value_start)
        if head.vr == "SQ":
            content = _sequence(memoryview(b"".join(source.take(head.length))))
            yield _HEAD.pack(head.tag >> 16, head.tag & 0xFFFF, len(content)) + content
        else:
            yield _HEAD.pack(head.tag >> 16, head.tag & 0xFFFF, head.length)
            yield from source.take(head.length)


def _sequence(value: memoryview) -> bytes:
    """The items of a sequence without their VRs."""
    written: list[bytes] = []
    for _, start, end in items(value, EXPLICIT_LITTLE_ENDIAN, 0, len(value)):
        content = b"".join(_elements(value, start, end))
        written += [_HEAD.pack(ITEM >> 16, ITEM & 0xFFFF, len(content)), content]
    return b"".join(written)


def _elements(value: memoryview, start: int, end: int) -> Iterator[bytes]:
    for element in elements(value, EXPLICIT_LITTLE_ENDIAN, start, end):
        content = value[element.value_start : element.value_end]
        if element.vr == "SQ":
            inner = _sequence(content)
            yield _HEAD.pack(element.tag >> 16, element.tag & 0xFFFF, len(inner)) + inner
        else:
            yield _HEAD.pack(element.tag >> 16, element.tag & 0xFFFF, len(content)) + bytes(content)


class _Source:
    """Bytes that come in pieces, read by length."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._held = b""

    def peek(self, length: int) -> bytes:
        """The next bytes, fewer at the end."""
        while len(self._held) < length:
            piece = next(self._chunks, None)
            if piece is None:
                break
            self._held += piece
        return self._held[:length]

    def skip(self, length: int) -> None:
        """Pass over bytes that were peeked at."""
        self._held = self._held[length:]

    def take(self, length: int) -> Iterator[bytes]:
        """The next bytes in pieces as they come."""
        while length:
            if not self._held:
                self._held = next(self._chunks, b"") or self.peek(1)
            if not self._held:
                raise InstanceUnreadable("Cut short in an element")
            piece, self._held = self._held[:length], self._held[length:]
            length -= len(piece)
            yield piece

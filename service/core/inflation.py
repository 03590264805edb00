"""Data sets that were deflated as a whole (PS3.5 A.5), inflated within bounds of memory and size."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from dicom_nodes.errors import InstanceUnreadable
from service.core.encoded_bytes import CHUNK, IN_MEMORY_BYTES, EncodedBytes, chunks

INFLATED_LIMIT: Final = 1 << 30
"""Bytes that a deflated data set may inflate to; a few kilobytes can claim terabytes."""
_MORSEL: Final = 64 << 10


def inflate(deflated: EncodedBytes, limit: int = INFLATED_LIMIT) -> Iterator[bytes]:
    """Yield what a data set inflates to, in pieces of at most 1 MiB.

    Raises
    ------
    InstanceUnreadable : it is not deflated (RFC 1951, without a header), cut short, or inflates to more than the limit
    """
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    left = limit
    for morsel in _morsels(deflated):
        rest = morsel
        while True:
            try:
                inflated = stream.decompress(rest, CHUNK)
            except zlib.error as err:
                raise InstanceUnreadable("The deflated data set cannot be inflated") from err
            left -= len(inflated)
            if left < 0:
                raise InstanceUnreadable(f"Inflates to more than {limit >> 20} MiB")
            if inflated:
                yield inflated
            if stream.eof:
                return
            rest = stream.unconsumed_tail
            if not rest and len(inflated) < CHUNK:
                break
    raise InstanceUnreadable("Cut short in its deflated data set")


def inflated(deflated: EncodedBytes, limit: int = INFLATED_LIMIT) -> EncodedBytes:
    """What a data set inflates to: in memory where that is little, else inflated again whenever it is read.

    Raises
    ------
    InstanceUnreadable : as `inflate`; all of it was looked at
    """
    held: list[bytes] = []
    size = 0
    for piece in inflate(deflated, limit):
        size += len(piece)
        if size <= IN_MEMORY_BYTES:
            held.append(piece)
    return b"".join(held) if size <= IN_MEMORY_BYTES else InflatedBytes(deflated, size, limit)


class InflatedBytes:
    """Reads a deflated data set as what it inflates to, holding no more than a piece of it.

    Quick from start to end; a look back begins anew.

    Parameters
    ----------
    size : of the whole, as `inflate` gave it
    """

    __slots__ = ("_deflated", "_limit", "_piece", "_pieces", "_position", "_size")

    def __init__(self, deflated: EncodedBytes, size: int, limit: int = INFLATED_LIMIT) -> None:
        self._deflated = deflated
        self._size = size
        self._limit = limit
        self._begin()

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, stretch: slice, /) -> bytes:
        position, stop, _ = stretch.indices(self._size)
        if position < self._position:
            self._begin()
        parts = []
        while position < stop:
            part = self._piece[position - self._position : stop - self._position]
            if part:
                parts.append(part)
                position += len(part)
            elif not self._next():
                break
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _begin(self) -> None:
        self._pieces = inflate(self._deflated, self._limit)
        self._piece = b""
        self._position = 0

    def _next(self) -> bool:
        self._position += len(self._piece)
        self._piece = next(self._pieces, b"")
        return bool(self._piece)


def _morsels(deflated: EncodedBytes) -> Iterator[bytes | memoryview]:
    """Pieces so small that what zlib hands back unused of one may be copied again and again."""
    for chunk in chunks(deflated):
        for start in range(0, len(chunk), _MORSEL):
            yield chunk[start : start + _MORSEL]

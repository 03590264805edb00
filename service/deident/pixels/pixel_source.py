"""Where the encoded value of Pixel Data is read from, so that nobody has to hold it."""

from __future__ import annotations

from typing import Protocol


class PixelSource(Protocol):
    """The value of Pixel Data (7FE0,0010) as it was encoded.

    Native: the bytes of the value. Encapsulated: the items from the basic offset table to, and without, the sequence
    delimiter (PS3.5 A.4). Must allow reads in any order.
    """

    @property
    def length(self) -> int:
        """How many bytes there are."""

    def read(self, offset: int, size: int) -> bytes:
        """The bytes from ``offset`` on, fewer than ``size`` only where the value ends."""


class HeldPixels:
    """A pixel source over bytes that are held anyway."""

    def __init__(self, value: bytes | memoryview) -> None:
        self._value = memoryview(value)

    @property
    def length(self) -> int:
        """How many bytes there are."""
        return len(self._value)

    def read(self, offset: int, size: int) -> bytes:
        """The bytes from ``offset`` on."""
        return bytes(self._value[offset : offset + size])

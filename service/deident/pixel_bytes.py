"""Pixel values that are kept somewhere, read as pixels and as bytes are."""

from __future__ import annotations

from service.core.encoded_bytes import EncodedBytes
from service.deident.pixels.pixel_source import PixelSource


class PixelBytes:
    """Bytes that are read as pixels."""

    __slots__ = ("_content",)

    def __init__(self, content: EncodedBytes) -> None:
        self._content = content

    @property
    def length(self) -> int:
        """How many bytes there are."""
        return len(self._content)

    def read(self, offset: int, size: int) -> bytes:
        """The bytes from ``offset`` on."""
        return self._content[offset : offset + size]


class ValueBytes:
    """A pixel value that is read as bytes, of even length (PS3.5 7.1.1)."""

    __slots__ = ("_pixels",)

    def __init__(self, pixels: PixelSource) -> None:
        self._pixels = pixels

    def __len__(self) -> int:
        return self._pixels.length + self._pixels.length % 2

    def __getitem__(self, stretch: slice, /) -> bytes:
        start, stop, _ = stretch.indices(len(self))
        read = self._pixels.read(start, max(0, stop - start))
        return read.ljust(stop - start, b"\0") if stop > self._pixels.length else read

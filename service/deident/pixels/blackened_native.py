"""Native pixel data with rectangles blackened while it is read; holds one frame at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset

from dicom_nodes.errors import InstanceUnreadable
from service.core.pixel_format import PixelFormat
from service.deident.pixels.black import blacken, blacken_layout
from service.deident.pixels.frame_reader import FrameReader
from service.deident.pixels.pixel_outcome import Region
from service.deident.pixels.pixel_source import HeldPixels, PixelSource

LARGEST_BIT_PIXELS = 16 << 20
"""Frames of single bits need not start on a byte, so that all are held at once: eight times as much in memory."""


def regions_of(regions: Sequence[Region], index: int, layout: PixelFormat) -> list[Region]:
    """The rectangles of one frame, counted from 0, as far as they lie within it."""
    within = []
    for region in regions:
        if region.frame not in (None, index + 1):
            continue
        left, top = max(0, region.x), max(0, region.y)
        right = min(layout.columns, region.x + region.width)
        bottom = min(layout.rows, region.y + region.height)
        if left < right and top < bottom:
            within.append(Region(left, top, right - left, bottom - top, region.frame, region.origin))
    return within


def blackened_native(
    frames: FrameReader, pixels: PixelSource, header: Dataset, regions: Sequence[Region]
) -> PixelSource:
    """The value of native pixel data with rectangles blackened.

    Raises
    ------
    InstanceUnreadable : it cannot be blackened in this form
    """
    if frames.format.bits_allocated == 1:
        return _blackened_bits(frames.format, pixels, header, regions)
    changed = BlackenedNative(frames, pixels, header, regions)
    changed.check()
    return changed


class BlackenedNative:
    """A pixel source over another one, whose frames it blackens as they are read."""

    def __init__(self, frames: FrameReader, pixels: PixelSource, header: Dataset, regions: Sequence[Region]) -> None:
        self._frames = frames
        self._pixels = pixels
        self._header = header
        self._regions = regions
        self._frame_bytes = frames.format.native_frame_bytes
        self._held: tuple[int, bytes] = (-1, b"")

    @property
    def length(self) -> int:
        """As many bytes as before."""
        return self._pixels.length

    def read(self, offset: int, size: int) -> bytes:
        """The bytes from ``offset`` on, as far as they go."""
        parts = []
        end = min(offset + size, self.length)
        while offset < end:
            index, within = divmod(offset, self._frame_bytes)
            stop = min(end, (index + 1) * self._frame_bytes)
            if index < self._frames.count and regions_of(self._regions, index, self._frames.format):
                parts.append(self._frame(index)[within : within + stop - offset])
            else:
                parts.append(self._pixels.read(offset, stop - offset))
            offset = stop
        return b"".join(parts)

    def check(self) -> None:
        """Blacken the first frame that changes, so that what cannot be blackened is known before anything is written.

        Raises
        ------
        InstanceUnreadable : it cannot be blackened in this form
        """
        for index in range(self._frames.count):
            if regions_of(self._regions, index, self._frames.format):
                self._frame(index)
                return

    def _frame(self, index: int) -> bytes:
        if self._held[0] != index:
            encoded = bytearray(self._frames.encoded(index))
            values = self._frames.layout_of(encoded)
            blacken_layout(
                values, regions_of(self._regions, index, self._frames.format), self._frames.format, self._header
            )
            self._held = (index, bytes(encoded))
        return self._held[1]


def _blackened_bits(
    layout: PixelFormat, pixels: PixelSource, header: Dataset, regions: Sequence[Region]
) -> PixelSource:
    """Single-bit frames (PS3.3 A.8.2), packed without a gap between them."""
    if pixels.length > LARGEST_BIT_PIXELS:
        raise InstanceUnreadable("Single-bit pixels of this size are not blackened")
    encoded = np.frombuffer(pixels.read(0, pixels.length), dtype=np.uint8)
    bits = np.unpackbits(encoded, bitorder="little")
    for index in range(layout.frames):
        start = index * layout.samples_per_frame
        frame = bits[start : start + layout.samples_per_frame].reshape(layout.rows, layout.columns)
        wanted = regions_of(regions, index, layout)
        if wanted:
            blacken(frame, wanted, layout.photometric, layout, header)
    return HeldPixels(np.packbits(bits, bitorder="little").tobytes())

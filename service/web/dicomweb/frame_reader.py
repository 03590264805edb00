"""The frames of one stored instance, as stored or as native little-endian pixels."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from dicom_nodes.errors import GatewayError
from service.core.explicit_little_endian import swap_bytes
from service.core.frame_index import Frame, index_frames
from service.core.pixel_format import PixelFormat, read_offset_table, read_pixel_format
from service.errors import InstanceNotFound, NotAcceptable
from service.web.dicomweb.file_stretch import FileStretch
from service.web.dicomweb.media_types import is_video
from service.web.dicomweb.pixel_decoding import DecodedFrame, decode_frame, from_native, pack_bits, unpack_bits
from service.web.dicomweb.stored_object import PixelElement, StoredObject

_CACHED_INDEX_ENTRIES: Final = 2_000_000
_BIG_ENDIAN_PIXELS: Final = "1.2.840.113619.5.2"  # GE's private syntax: implicit VR little endian but for the pixels


@dataclass(frozen=True, slots=True)
class FrameLayout:
    """What is to be known to find a frame; ``frames`` is empty for native pixel data."""

    format: PixelFormat
    frames: tuple[Frame, ...]


class FrameLayouts:
    """Remembers the layout of objects lately asked for; a blob never changes under its key.

    Frames of one object are asked for one by one, and without an offset table each request would walk over all of its
    fragments again.
    """

    def __init__(self, entries: int = _CACHED_INDEX_ENTRIES) -> None:
        self._entries = entries
        self._held = 0
        self._layouts: OrderedDict[str, FrameLayout] = OrderedDict()
        self._lock = threading.Lock()

    def layout(self, stored: StoredObject) -> FrameLayout:
        """The layout of an opened object."""
        key = stored.row.blob.key
        with self._lock:
            if (known := self._layouts.get(key)) is not None:
                self._layouts.move_to_end(key)
                return known
        layout = _read_layout(stored)
        with self._lock:
            if key not in self._layouts:
                self._layouts[key] = layout
                self._held += _weight(layout)
            while self._held > self._entries and len(self._layouts) > 1:
                self._held -= _weight(self._layouts.popitem(last=False)[1])
        return layout

    @staticmethod
    def stream_of(stored: StoredObject) -> Frame:
        """Where the one code stream of a video lies, fragment by fragment.

        Raises
        ------
        InstanceNotFound : there is no pixel data
        """
        if stored.pixels is None:
            raise InstanceNotFound("This instance has no pixel data")
        return index_frames(stored.read, stored.pixels.value_start, stored.pixels.length, 1)[0]


class FrameReader:
    """Reads frames of one opened object; frame numbers count from 1."""

    def __init__(self, stored: StoredObject, layouts: FrameLayouts) -> None:
        self._stored = stored
        self._pixels = _pixel_element(stored)
        self._layout = layouts.layout(stored)

    @property
    def transfer_syntax_uid(self) -> str:
        """In which the pixels are stored."""
        return self._stored.row.transfer_syntax_uid

    @property
    def format(self) -> PixelFormat:
        """How the pixels are stored."""
        return self._layout.format

    @property
    def encapsulated(self) -> bool:
        """Whether the frames are compressed."""
        return self._pixels.encapsulated

    @property
    def in_place(self) -> bool:
        """Whether the native pixels can be sent as they lie in the file."""
        return not self._pixels.encapsulated and swapped_width(self._stored, self._pixels, self.format) == 1

    def check(self, number: int) -> None:
        """Refuse a frame that is not there.

        Raises
        ------
        InstanceNotFound : with how many frames there are
        """
        count = self.format.frames
        if not 1 <= number <= count:
            raise InstanceNotFound(f"There is no frame {number}: this instance has {count} frame{'s' * (count != 1)}")

    def stored_length(self, number: int) -> int:
        """Bytes of a frame as stored."""
        if not self._pixels.encapsulated:
            return self.format.native_frame_bytes
        return sum(span.length for span in self._layout.frames[number - 1])

    def stored(self, number: int) -> bytes:
        """A frame as stored: its code stream, or its native pixels.

        Native pixels are given in little endian whatever the stored byte order is, since neither implicit VR nor big
        endian is ever used on the web (PS3.18 8.7.3).
        """
        if not self._pixels.encapsulated:
            return self._native(number)
        return b"".join(self._stored.read(span.offset, span.length) for span in self._layout.frames[number - 1])

    def stretch(self, number: int) -> FileStretch | None:
        """Where the bytes that `stored` gives lie in one piece in the stored file; nothing where they do not."""
        if self._pixels.encapsulated:
            spans = self._layout.frames[number - 1]
            return self._stored.stretch(spans[0].offset, spans[0].length) if len(spans) == 1 else None
        layout = self.format
        if not self.in_place or layout.samples_per_frame * layout.bits_allocated % 8:
            return None
        size = layout.native_frame_bytes
        if number * size > self._pixels.length:
            return None
        return self._stored.stretch(self._pixels.value_start + (number - 1) * size, size)

    def native(self, number: int) -> bytes:
        """A frame as native little-endian pixels; with Bits Allocated 1 it starts on its own byte.

        Raises
        ------
        NotAcceptable : it is compressed in a form that no codec here reads
        """
        if not self._pixels.encapsulated:
            return self._native(number)
        return native_bytes(self.decoded(number))

    def decoded(self, number: int) -> DecodedFrame:
        """The values of a frame.

        Raises
        ------
        NotAcceptable : it is compressed in a form that no codec here reads
        """
        if self._pixels.encapsulated:
            return decode_frame(self.stored(number), self.format, self._stored.row.transfer_syntax_uid)
        return from_native(self._native(number), self.format)

    def _native(self, number: int) -> bytes:
        layout = self.format
        if layout.bits_allocated == 1:
            return self._native_bits(number)
        size = layout.native_frame_bytes
        offset = (number - 1) * size
        if offset + size > self._pixels.length:
            raise GatewayError("The stored pixel data is shorter than its header says")
        width = swapped_width(self._stored, self._pixels, layout)
        if width == 1:
            return self._stored.read(self._pixels.value_start + offset, size)
        # Words may straddle the frame's ends: 8-bit pixels in 16-bit words, an odd number of them a frame.
        first = offset // width * width
        last = min(-(-(offset + size) // width) * width, self._pixels.length)
        words = swap_bytes(
            self._stored.read(self._pixels.value_start + first, last - first), {2: "OW", 4: "OL", 8: "OV"}[width]
        )
        return words[offset - first : offset - first + size]

    def _native_bits(self, number: int) -> bytes:
        """Take a frame out of the bit stream over all frames (PS3.5 8.1.1) and let it start on its own byte."""
        count = self.format.samples_per_frame
        first_bit = (number - 1) * count
        first, last = first_bit // 8, -(-(first_bit + count) // 8)
        if last > self._pixels.length:
            raise GatewayError("The stored pixel data is shorter than its header says")
        data = self._read_bit_bytes(first, last)
        if first_bit % 8 == 0 and count % 8 == 0:
            return data
        return pack_bits(unpack_bits(data, count, first_bit % 8))

    def _read_bit_bytes(self, first: int, last: int) -> bytes:
        if swapped_width(self._stored, self._pixels, self.format) == 1:
            return self._stored.read(self._pixels.value_start + first, last - first)
        start, end = first // 2 * 2, min(-(-last // 2) * 2, self._pixels.length)
        words = swap_bytes(self._stored.read(self._pixels.value_start + start, end - start), "OW")
        return words[first - start : last - start]


def native_bytes(frame: DecodedFrame) -> bytes:
    """Encode values in little endian; with Bits Allocated 1 the bits are packed."""
    if frame.format.bits_allocated == 1:
        return pack_bits(frame.pixels.reshape(-1))
    return frame.pixels.astype(frame.pixels.dtype.newbyteorder("<"), copy=False).tobytes()


def pixels_are_big_endian(stored: StoredObject) -> bool:
    """Whether native pixels stand in big endian."""
    return not stored.encoding.little_endian or stored.row.transfer_syntax_uid == _BIG_ENDIAN_PIXELS


def swapped_width(stored: StoredObject, pixels: PixelElement, layout: PixelFormat) -> int:
    """Bytes of the units whose order has to be turned to read the pixels in little endian; 1 for none."""
    if not pixels_are_big_endian(stored):
        return 1
    return max(layout.bits_allocated // 8, 1 if pixels.vr == "OB" else 2)


def _pixel_element(stored: StoredObject) -> PixelElement:
    if stored.pixels is None:
        raise InstanceNotFound("This instance has no frames")
    if is_video(stored.row.transfer_syntax_uid):
        raise NotAcceptable("A video stream has no frames to be had one by one; ask for its bulk data")
    return stored.pixels


def _read_layout(stored: StoredObject) -> FrameLayout:
    pixels = _pixel_element(stored)
    header = stored.header()
    layout = read_pixel_format(header, stored.encoding, pixels.tag)
    if not pixels.encapsulated:
        return FrameLayout(layout, ())
    table = read_offset_table(header, stored.encoding) if layout.frames > 1 else None
    frames = index_frames(stored.read, pixels.value_start, pixels.length, layout.frames, table)
    return FrameLayout(layout, frames)


def _weight(layout: FrameLayout) -> int:
    return 16 + sum(len(frame) for frame in layout.frames)

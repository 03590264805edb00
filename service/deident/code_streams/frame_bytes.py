"""The frames in the items of encapsulated pixel data, each as one run of bytes whatever its fragments (PS3.5 A.4)."""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

import numpy as np

from dicom_nodes.errors import InstanceUnreadable
from service.core.encoded_bytes import CHUNK, EncodedBytes
from service.core.frame_index import Span
from service.deident.code_streams.overwritten_bytes import Blank

JPEG: Final = b"\xff\xd8"
JPEG_2000: Final = b"\xff\x4f\xff\x51"
JP2: Final = b"\0\0\0\x0cjP  "
STARTS: Final = (JPEG, JPEG_2000, JP2)
"""How a frame begins: SOI, or SOC and SIZ, or the signature box. None can stand in the entropy-coded data of a JPEG."""
_ITEM: Final = struct.Struct("<HHI")
_WINDOW: Final = 2048
_PEEK: Final = 8
_TAIL: Final = 64
_PADDING: Final = b"\0\xff"
"""Some encoders pad with fill bytes (ISO/IEC 10918-1 B.1.1.2)."""
_MOST_FRAGMENTS: Final = 1 << 20


class FrameBytes:
    """One frame, read at its own offsets; a small window is kept.

    Parameters
    ----------
    content : what the fragments are stretches of
    fragments : of the frame, at least one
    """

    __slots__ = ("_content", "_fragments", "_starts", "_window", "_window_at")

    def __init__(self, content: EncodedBytes, fragments: Sequence[Span]) -> None:
        self._content = content
        self._fragments = fragments
        self._starts = list(accumulate((fragment.length for fragment in fragments), initial=0))
        self._window = b""
        self._window_at = 0

    def __len__(self) -> int:
        return self._starts[-1]

    def read(self, position: int, size: int) -> bytes:
        """The bytes at a position, fewer where the frame ends."""
        within = position - self._window_at
        if within < 0 or within + size > len(self._window):
            self._window = self.stretch(position, position + max(size, _WINDOW))
            self._window_at, within = position, 0
        return self._window[within : within + size]

    def stretch(self, start: int, stop: int) -> bytes:
        """The bytes from one position to another."""
        places = self._places(start, min(stop, len(self)))
        return b"".join([self._content[place.offset : place.offset + place.length] for place in places])

    def is_blank(self, start: int, stop: int, padding: bytes = b"\0") -> bool:
        """Whether a stretch holds nothing but padding."""
        return not any(
            self.stretch(position, min(position + CHUNK, stop)).strip(padding) for position in range(start, stop, CHUNK)
        )

    def beyond(self, start: int, stop: int) -> Iterator[Blank]:
        """What follows the end of the image: nothing where it is padding."""
        if not self.is_blank(start, stop, _PADDING):
            yield Blank(start, stop)

    def ends_with(self, marker: bytes, stop: int) -> bool:
        """Whether a marker stands last before a position, but for padding."""
        return self.stretch(max(0, stop - _TAIL), stop).rstrip(_PADDING).endswith(marker)

    def find(self, marker: re.Pattern[bytes], start: int, stop: int) -> int | None:
        """Where a marker of two bytes stands first in a stretch."""
        for position in range(start, stop, CHUNK - 1):
            if found := marker.search(self.stretch(position, min(position + CHUNK, stop))):
                return position + found.start()
        return None

    def blanks(self, blank: Blank) -> Iterator[Blank]:
        """A stretch of the frame as stretches of the content."""
        done = 0
        for place in self._places(blank.start, blank.stop):
            yield Blank(place.offset, place.offset + place.length, blank.lead[done : done + place.length])
            done += place.length

    def _places(self, start: int, stop: int) -> Iterator[Span]:
        which = bisect_right(self._starts, start) - 1
        while start < stop and which < len(self._fragments):
            fragment = self._fragments[which]
            within = start - self._starts[which]
            size = min(fragment.length - within, stop - start)
            if size > 0:
                yield Span(fragment.offset + within, size)
                start += size
            which += 1


def frames_in(content: EncodedBytes) -> Iterator[FrameBytes]:
    """Yield the frames one after the other, told apart by how they begin: offset tables may be wrong.

    Raises
    ------
    InstanceUnreadable : something there is no item, or the first does not begin as a frame of a known kind
    """
    held: list[Span] = []
    for fragment in _fragments(content):
        if not fragment.length:
            continue
        # A frame's first marker may be cut in two only where the cut is a fragment's end; such a one is not seen as a
        # frame of its own, which the number of frames tells.
        if content[fragment.offset : fragment.offset + min(_PEEK, fragment.length)].startswith(STARTS):
            if held:
                yield FrameBytes(content, held)
            held = []
        elif not held:
            raise InstanceUnreadable("A frame that begins as none of JPEG, JPEG-LS and JPEG 2000")
        held.append(fragment)
        if len(held) > _MOST_FRAGMENTS:
            raise InstanceUnreadable(f"A frame in more than {_MOST_FRAGMENTS} fragments")
    if held:
        yield FrameBytes(content, held)


def _fragments(content: EncodedBytes) -> Iterator[Span]:
    """The items after the basic offset table."""
    position, size, is_table = 0, len(content), True
    while position + _ITEM.size <= size:
        group, element, length = _ITEM.unpack(content[position : position + _ITEM.size])
        position += _ITEM.size
        if (group, element) != (0xFFFE, 0xE000) or position + length > size:
            raise InstanceUnreadable("Encapsulated Pixel Data that is not made of items")
        if is_table:
            _check_table(content, position, length)
        else:
            yield Span(position, length)
        is_table = False
        position += length


def _check_table(content: EncodedBytes, start: int, length: int) -> None:
    """Hold the basic offset table to being one: letters taken for an offset lead out of the pixel data."""
    for position in range(start, start + length, CHUNK):
        part = content[position : min(position + CHUNK, start + length)]
        if len(part) % 4 or (np.frombuffer(part, "<u4") > len(content)).any():
            raise InstanceUnreadable("A basic offset table that leads out of Pixel Data")

"""What a JPEG 2000 or HTJ2K frame says beside the image (ISO/IEC 15444-1 Annex A and I)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Final

from dicom_nodes.errors import InstanceUnreadable
from service.deident.code_streams.frame_bytes import JP2, JPEG_2000, FrameBytes
from service.deident.code_streams.harmless_comments import HarmlessComments
from service.deident.code_streams.overwritten_bytes import Blank

MOST_SEGMENTS: Final = 1 << 17
"""Of all headers of a frame: main, and those of its tile-parts, of which there may be 65,535 times 255."""
_SOT, _SOD, _EOC, _COM = 0xFF90, 0xFF93, 0xFFD9, 0xFF64
_IMAGE_MARKERS: Final = frozenset(
    {*range(0xFF50, 0xFF54), *range(0xFF55, 0xFF5A), *range(0xFF5C, 0xFF62), 0xFF63, *range(0xFF70, 0xFF7A)}
)
"""CAP SIZ COD COC; TLM PRF PLM PLT CPF; QCD QCC RGN POC PPM PPT; CRG; and those of part 2."""
_END: Final = re.compile(rb"\xff\xd9")
_SOT_SEGMENT: Final = struct.Struct(">HHIBB")
_BOX: Final = struct.Struct(">I4s")
_HEADER_BOX, _CODE_STREAM_BOX, _COLOUR_BOX, _FREE_BOX = b"jp2h", b"jp2c", b"colr", b"free"
_FILE_BOXES: Final = {b"jP  ": 12, b"ftyp": 64, _FREE_BOX: 0}
"""Boxes beside header and code stream that say nothing, and how long they may be."""
_IMAGE_BOXES: Final = frozenset({b"ihdr", b"bpcc", _COLOUR_BOX, b"pclr", b"cmap", b"cdef", b"res "})
_ENUMERATED: Final = 1
_UNKNOWN: Final = "Marker segments of a compressed frame that cannot be told apart"
_UNKNOWN_BOXES: Final = "Boxes of a JP2 frame that cannot be told apart"


def jpeg2000_blanks(frame: FrameBytes, harmless: HarmlessComments) -> Iterator[Blank]:
    """Yield what has to be blanked of a frame: comments, boxes that are not the image's, and what follows its end.

    Tile-parts are stepped over by the lengths in their heads; what is in them is not read.

    Raises
    ------
    InstanceUnreadable : the segments or boxes cannot be told apart
    """
    if frame.read(0, len(JP2)) == JP2:
        yield from _box_blanks(frame, harmless)
    else:
        yield from _code_stream_blanks(frame, 0, len(frame), harmless)


def _code_stream_blanks(frame: FrameBytes, start: int, end: int, harmless: HarmlessComments) -> Iterator[Blank]:
    position, tile_end = start + 2, 0
    for _ in range(MOST_SEGMENTS):
        if position + 2 > end:
            return  # cut short in its image
        head = frame.read(position, 4)
        marker, length = int.from_bytes(head[:2], "big"), int.from_bytes(head[2:4], "big")
        stop = position + 2 + length
        if marker == _EOC:
            yield from frame.beyond(position + 2, end)
            return
        if marker == _SOD:
            position = _after_data(frame, position + 2, tile_end, end)
            continue
        if len(head) < 4 or length < 2 or stop > end:
            raise InstanceUnreadable(_UNKNOWN)
        if marker == _SOT:
            tile_end = _tile_end(frame, position, end)
        elif marker == _COM:
            content = frame.read(position + 4, length - 2)
            if not harmless.includes(content[2:]) or content[:2] not in (b"\0\0", b"\0\1"):
                yield Blank(position + 4, stop)
        elif marker not in _IMAGE_MARKERS:
            raise InstanceUnreadable(_UNKNOWN)
        position = stop
    raise InstanceUnreadable(f"A compressed frame with more than {MOST_SEGMENTS} marker segments")


def _tile_end(frame: FrameBytes, position: int, end: int) -> int:
    """Where the tile-part at a position ends (ISO/IEC 15444-1 A.4.2); one without a length is the last."""
    segment = frame.read(position + 2, _SOT_SEGMENT.size)
    if len(segment) < _SOT_SEGMENT.size:
        raise InstanceUnreadable(_UNKNOWN)
    _, _, length, _, _ = _SOT_SEGMENT.unpack(segment)
    return position + int(length) if length else end


def _after_data(frame: FrameBytes, position: int, tile_end: int, end: int) -> int:
    """Where a tile-part's data, which begin at a position, end."""
    if tile_end < position:
        raise InstanceUnreadable(_UNKNOWN)
    if tile_end < end or frame.ends_with(_EOC.to_bytes(2, "big"), end):
        return tile_end
    found = frame.find(_END, position, end)  # no byte above 8F follows FF in the data
    return end if found is None else found


def _boxes(frame: FrameBytes, position: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield type, start, start of content and end of each box (ISO/IEC 15444-1 I.4)."""
    for _ in range(MOST_SEGMENTS):
        if end - position < _BOX.size and frame.is_blank(position, end):
            return
        head = frame.read(position, 16)
        if end - position < _BOX.size:
            raise InstanceUnreadable(_UNKNOWN_BOXES)
        length, kind = _BOX.unpack_from(head)
        content = position + 8
        if length == 1:
            length, content = int.from_bytes(head[8:16], "big"), position + 16
        stop = position + length if length else end
        if stop < content or stop > end:
            raise InstanceUnreadable(_UNKNOWN_BOXES)
        yield kind, position, content, stop
        position = stop
    raise InstanceUnreadable(_UNKNOWN_BOXES)


def _box_blanks(frame: FrameBytes, harmless: HarmlessComments) -> Iterator[Blank]:
    for kind, start, content, stop in _boxes(frame, 0, len(frame)):
        if kind == _CODE_STREAM_BOX:
            if not frame.read(content, len(JPEG_2000)).startswith(JPEG_2000):
                raise InstanceUnreadable(_UNKNOWN)
            yield from _code_stream_blanks(frame, content, stop, harmless)
        elif kind == _HEADER_BOX:
            yield from _header_blanks(frame, content, stop)
        elif stop - start > _FILE_BOXES.get(kind, 0):
            yield from _freed(frame, start, content, stop)


def _header_blanks(frame: FrameBytes, start: int, end: int) -> Iterator[Blank]:
    for kind, box, content, stop in _boxes(frame, start, end):
        has_profile = kind == _COLOUR_BOX and frame.read(content, 1) != bytes([_ENUMERATED])
        if has_profile or kind not in _IMAGE_BOXES:
            yield from _freed(frame, box, content, stop)


def _freed(frame: FrameBytes, start: int, content: int, stop: int) -> Iterator[Blank]:
    """A box whose content may be anything becomes free space."""
    if frame.read(start + 4, 4) != _FREE_BOX or not frame.is_blank(content, stop):
        yield Blank(start + 4, start + 8, _FREE_BOX)
        yield Blank(content, stop)

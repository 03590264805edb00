"""What marker segments of a JPEG or JPEG-LS frame say beside the image (ISO/IEC 10918-1 B, 10918-5, 14495-1 C)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from dicom_nodes.errors import InstanceUnreadable
from service.deident.code_streams.frame_bytes import FrameBytes
from service.deident.code_streams.harmless_comments import HarmlessComments
from service.deident.code_streams.overwritten_bytes import Blank

MOST_SEGMENTS: Final = 4096
"""Far more than an image needs; a frame of empty segments without end would cost time alone."""
_EOI, _SOS, _COM = 0xD9, 0xDA, 0xFE
_END: Final = bytes([0xFF, _EOI])
_FRAME_HEADERS: Final = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_JPEG_LS_FRAME: Final = 0xF7
_FRAME_HEADER_BYTES: Final = 6
_MORE_SCANS: Final = frozenset({0xC2, 0xC6, 0xCA, 0xCE, 0xDE})
"""SOF of progressive images, and DHP of hierarchical ones."""
_IMAGE_MARKERS: Final = frozenset({*_FRAME_HEADERS, _SOS, 0xC4, 0xCC, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF, 0xF8})
"""SOFn and SOS; DHT DAC DQT DNL DRI DHP EXP; LSE."""
_APPLICATION: Final = range(0xE0, 0xF0)
_KNOWN_APPLICATION_DATA: Final = (
    (0xE0, b"JFIF\0", 14),
    (0xEE, b"Adobe", 12),
    (0xE8, b"mrfx", 5),
    (0xE8, b"SPIFF\0", 30),
    (0xE8, b"\0\0\0\1\xff\xd8", 6),
)
"""APPn, what it begins with, how long it is: numbers alone, of which decoders take colours. What is behind may go."""
_NEXT_MARKER: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_NEXT_MARKER_LS: Final = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
_UNKNOWN: Final = "Marker segments of a compressed frame that cannot be told apart"


def jpeg_blanks(frame: FrameBytes, harmless: HarmlessComments) -> Iterator[Blank]:
    """Yield what has to be blanked of a frame: comments, application data, thumbnails, and what follows its end.

    No more is read than the segments before the first scan and the last few bytes, unless the frame has several scans,
    between which segments may stand, or does not end with EOI.

    Raises
    ------
    InstanceUnreadable : the segments cannot be told apart
    """
    for marker, start, stop in _segments(frame):
        if marker == _EOI:
            yield from frame.beyond(start, stop)
        elif marker == _COM:
            if not harmless.includes(frame.read(start, stop - start)):
                yield Blank(start, stop)
        elif marker in _APPLICATION:
            yield from _application_data(frame, marker, start, stop)
        elif marker not in _IMAGE_MARKERS:
            raise InstanceUnreadable(_UNKNOWN)


def _segments(frame: FrameBytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start of content and end of each segment, and for EOI what stands behind it."""
    position, scans = 2, _Scans()
    for _ in range(MOST_SEGMENTS):
        head = frame.read(position, 4)
        if len(head) < 2 or head[0] != 0xFF:
            raise InstanceUnreadable(_UNKNOWN)
        marker = head[1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        start, stop = position + 4, position + 2 + int.from_bytes(head[2:4], "big")
        if marker == _EOI:
            yield marker, position + 2, len(frame)
            return
        if len(head) < 4 or stop < start or stop > len(frame):
            raise InstanceUnreadable(_UNKNOWN)
        yield marker, start, stop
        position = stop
        scans.learn(marker, frame.read(start, min(stop - start, _FRAME_HEADER_BYTES)))
        if marker == _SOS:
            if scans.is_one and frame.ends_with(_END, len(frame)):
                return
            found = frame.find(scans.next_marker, stop, len(frame))
            if found is None:
                return  # cut short in its image
            position = found
    raise InstanceUnreadable(f"A compressed frame with more than {MOST_SEGMENTS} marker segments")


class _Scans:
    """Whether an image is done with its first scan, and what a marker looks like among its entropy-coded data."""

    def __init__(self) -> None:
        self.is_one = True
        self.next_marker = _NEXT_MARKER
        self._components = b""

    def learn(self, marker: int, content: bytes) -> None:
        """Take in what a segment says, by the start of its content."""
        if marker in _FRAME_HEADERS:
            self._components = content[5:6]
            self.next_marker = _NEXT_MARKER_LS if marker == _JPEG_LS_FRAME else _NEXT_MARKER
        if marker in _MORE_SCANS or (marker == _SOS and content[:1] != self._components):
            self.is_one = False


def _application_data(frame: FrameBytes, marker: int, start: int, stop: int) -> Iterator[Blank]:
    content = frame.read(start, stop - start)
    kept = max(
        length
        for number, lead, length in (*_KNOWN_APPLICATION_DATA, (marker, b"", 0))
        if number == marker and content.startswith(lead) and len(content) >= length
    )
    if content[kept:].strip(b"\0"):
        yield Blank(start + kept, stop)

"""Which fragments make up which frame of encapsulated pixel data (PS3.5 A.4)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from dicom_nodes.errors import InstanceUnreadable
from service.core.encoded_data_set import ITEM, SEQUENCE_DELIMITER
from service.core.pixel_format import OffsetTable

_ITEM_HEAD: Final = struct.Struct("<HHI")
# Code streams of JPEG, JPEG-LS and JPEG 2000 all close with one of these markers, and may be padded.
_CLOSING_MARKERS: Final = (b"\xff\xd9",)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of the pixel element: where they start in the stream, and how many."""

    offset: int
    length: int


Frame = tuple[Span, ...]


def index_frames(
    read: Callable[[int, int], bytes], start: int, length: int, frames: int, table: OffsetTable | None = None
) -> tuple[Frame, ...]:
    """Find each frame's code stream.

    The offset tables are believed where they fit the items; without one, or with a wrong one, the fragments tell:
    as many as frames, or a closing marker at the end of each frame.

    Parameters
    ----------
    read : bytes at an offset of the stream
    start, length : the encapsulated value, from the basic offset table to, and without, the sequence delimiter
    table : the Extended Offset Table, where the header has one

    Raises
    ------
    InstanceUnreadable : the items cannot be read, or the frames cannot be told apart
    """
    basic, fragments = _read_items(read, start, length)
    if frames == 1:
        return (tuple(fragments),)
    base = fragments[0].offset - 8
    if table is not None and len(table.offsets) == frames:
        return tuple(
            (Span(base + offset + 8, size),) for offset, size in zip(table.offsets, table.lengths, strict=True)
        )
    if len(fragments) == frames:
        return tuple((fragment,) for fragment in fragments)
    return _by_offsets(basic, fragments, base, frames) or _by_markers(read, fragments, frames)


def _read_items(read: Callable[[int, int], bytes], start: int, length: int) -> tuple[tuple[int, ...], list[Span]]:
    """The basic offset table, empty or not, and the fragments after it."""
    position, end = start, start + length
    spans: list[Span] = []
    while position + 8 <= end:
        group, element, size = _ITEM_HEAD.unpack(read(position, 8))
        tag = group << 16 | element
        if tag == SEQUENCE_DELIMITER:
            break
        if tag != ITEM or position + 8 + size > end:
            raise InstanceUnreadable("Encapsulated pixel data that is not made of items")
        spans.append(Span(position + 8, size))
        position += 8 + size
    if len(spans) < 2:
        raise InstanceUnreadable("Encapsulated pixel data without a fragment")
    first, *fragments = spans
    table = read(first.offset, first.length // 4 * 4)
    return struct.unpack(f"<{len(table) // 4}I", table), fragments


def _by_offsets(offsets: Sequence[int], fragments: list[Span], base: int, frames: int) -> tuple[Frame, ...] | None:
    """Group the fragments as the basic offset table says; None where it does not fit."""
    if len(offsets) != frames:
        return None
    starts = {fragment.offset - 8 - base: index for index, fragment in enumerate(fragments)}
    firsts = [starts.get(offset) for offset in offsets]
    known = [first for first in firsts if first is not None]
    if len(known) != frames or known != sorted(set(known)) or known[0] != 0:
        return None
    return tuple(tuple(fragments[first:last]) for first, last in zip(known, [*known[1:], len(fragments)], strict=True))


def _by_markers(read: Callable[[int, int], bytes], fragments: list[Span], frames: int) -> tuple[Frame, ...]:
    """Group the fragments by the marker that ends each frame's code stream."""
    groups: list[Frame] = []
    current: list[Span] = []
    for fragment in fragments:
        current.append(fragment)
        tail = read(fragment.offset + max(0, fragment.length - 10), min(10, fragment.length))
        if any(marker in tail for marker in _CLOSING_MARKERS):
            groups.append(tuple(current))
            current = []
    if current:
        groups.append(tuple(current))
    if len(groups) != frames:
        raise InstanceUnreadable("The fragments of the pixel data cannot be assigned to its frames")
    return tuple(groups)

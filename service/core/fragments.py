"""The items of encapsulated pixel data, stepped over without reading what is in them (PS3.5 A.4)."""

from __future__ import annotations

import struct
from typing import Final, Literal

from dicom_nodes.errors import InstanceUnreadable
from service.core.encoded_bytes import EncodedBytes

DELIMITER_BYTES: Final = 8
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM: Final = 0xFFFEE000
_SEQUENCE_DELIMITER: Final = 0xFFFEE0DD
_WINDOW: Final = 4096
_MOST_ITEMS: Final = 1 << 24
"""More frames than any image has; with empty items without end a sender would have nothing but our time."""


def find_delimiter(content: EncodedBytes, position: int, order: Literal["<", ">"]) -> tuple[int, int]:
    """Find the sequence delimiter behind the items that begin at a position, in byte order ``order``.

    Only the items' heads are read, those of small items several at a time.

    Returns
    -------
    the delimiter's offset, and how many items stand before it, the basic offset table among them

    Raises
    ------
    InstanceUnreadable : the content ends before, or something there is no item
    """
    head = struct.Struct(order + "HHI")
    size = len(content)
    window, window_at = b"", position
    for items in range(_MOST_ITEMS):
        if size < position + head.size:
            raise InstanceUnreadable("Cut short in its encapsulated Pixel Data")
        if position + head.size > window_at + len(window):
            window, window_at = content[position : position + _WINDOW], position
        group, element, length = head.unpack_from(window, position - window_at)
        tag = group << 16 | element
        if tag == _SEQUENCE_DELIMITER:
            return position, items
        if tag != _ITEM or length == _UNDEFINED:
            raise InstanceUnreadable("Encapsulated Pixel Data that is not made of items")
        position += head.size + length
    raise InstanceUnreadable(f"Encapsulated Pixel Data in more than {_MOST_ITEMS} items")

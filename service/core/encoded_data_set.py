"""Walking over an encoded data set element by element without decoding a value (PS3.5 7).

What has to be changed in an encoding (the VR of an element, the order of its bytes, one element of many) is changed
there; everything else stays as the sender wrote it, however odd its values are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dicom_nodes.errors import InstanceUnreadable
from service.core.element_places import place_of

UNDEFINED_LENGTH: Final = 0xFFFFFFFF
ITEM: Final = 0xFFFEE000
ITEM_DELIMITER: Final = 0xFFFEE00D
SEQUENCE_DELIMITER: Final = 0xFFFEE0DD
LONG_VRS: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})

_DEEPEST: Final = 100
_CUT_SHORT: Final = "Cut short in an element"


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the elements of a data set are written."""

    implicit_vr: bool
    little_endian: bool

    @classmethod
    def of(cls, transfer_syntax_uid: str) -> Encoding:
        """The encoding that a transfer syntax says; deflated data sets are meant after inflation."""
        return cls(
            implicit_vr=transfer_syntax_uid in ("1.2.840.10008.1.2", "1.2.840.113619.5.2"),
            little_endian=transfer_syntax_uid != "1.2.840.10008.1.2.2",
        )

    @property
    def order(self) -> str:
        """The byte order as ``struct`` names it."""
        return "<" if self.little_endian else ">"


EXPLICIT_LITTLE_ENDIAN: Final = Encoding(implicit_vr=False, little_endian=True)
IMPLICIT_LITTLE_ENDIAN: Final = Encoding(implicit_vr=True, little_endian=True)


@dataclass(frozen=True, slots=True)
class EncodedElement:
    """Where one element stands, as offsets into the bytes walked over.

    Parameters
    ----------
    vr : as written; "" where the element is in implicit VR
    value_end : before the sequence delimiter, where the length is undefined
    """

    tag: int
    vr: str
    start: int
    value_start: int
    value_end: int
    end: int
    undefined_length: bool


@dataclass(frozen=True, slots=True)
class ElementHead:
    """Tag, VR and length of one element, and where its value begins."""

    tag: int
    vr: str
    length: int
    value_start: int


def read_head(data: memoryview, position: int, encoding: Encoding) -> ElementHead:
    """Read what stands before a value; items and delimiters have no VR (PS3.5 7.5).

    Raises
    ------
    InstanceUnreadable : the bytes end inside it
    """
    if len(data) < position + 8:
        raise InstanceUnreadable(_CUT_SHORT)
    group, element = struct.unpack_from(encoding.order + "HH", data, position)
    tag = group << 16 | element
    code = bytes(data[position + 4 : position + 6])
    # Some writers switch to implicit VR in mid-data set; two capital letters tell.
    explicit = not encoding.implicit_vr and group != 0xFFFE and code.isalpha() and code.isupper()
    if not explicit:
        (length,) = struct.unpack_from(encoding.order + "I", data, position + 4)
        return ElementHead(tag, "", length, position + 8)
    vr = code.decode("ascii")
    if vr not in LONG_VRS:
        (length,) = struct.unpack_from(encoding.order + "H", data, position + 6)
        return ElementHead(tag, vr, length, position + 8)
    if len(data) < position + 12:
        raise InstanceUnreadable(_CUT_SHORT)
    (length,) = struct.unpack_from(encoding.order + "I", data, position + 8)
    return ElementHead(tag, vr, length, position + 12)


def elements(
    data: memoryview, encoding: Encoding, start: int = 0, end: int | None = None, *, depth: int = 0
) -> Iterator[EncodedElement]:
    """Yield the elements of one level from ``start`` on, to ``end`` or an item delimiter, whichever comes first.

    Raises
    ------
    InstanceUnreadable : an element is cut short, or what should be items are none
    """
    position = start
    stop = len(data) if end is None else end
    while position + 8 <= stop:
        head = read_head(data, position, encoding)
        if head.tag == ITEM_DELIMITER:
            return
        if head.length == UNDEFINED_LENGTH:
            value_end = skip_items(data, encoding_within(head, encoding), head.value_start, depth=depth + 1)
            element_end = value_end + 8
        else:
            value_end = element_end = head.value_start + head.length
        if element_end > stop:
            raise InstanceUnreadable(f"{_CUT_SHORT}{place_of(head.tag)}")
        yield EncodedElement(
            head.tag, head.vr, position, head.value_start, value_end, element_end, head.length == UNDEFINED_LENGTH
        )
        position = element_end


def items(
    data: memoryview, encoding: Encoding, start: int, end: int, *, depth: int = 0
) -> Iterator[tuple[int, int, int]]:
    """Yield start, content start and content end of each item of a sequence or of encapsulated pixel data."""
    position = start
    while position + 8 <= end:
        head = read_head(data, position, encoding)
        if head.tag == SEQUENCE_DELIMITER:
            return
        if head.tag != ITEM:
            raise InstanceUnreadable("A sequence that is not made of items")
        if head.length == UNDEFINED_LENGTH:
            content_end = _item_end(data, encoding, head.value_start, depth=depth)
            item_end = content_end + 8
        else:
            content_end = item_end = head.value_start + head.length
        if item_end > end:
            raise InstanceUnreadable("Cut short in a sequence")
        yield position, head.value_start, content_end
        position = item_end


def skip_items(data: memoryview, encoding: Encoding, start: int, *, depth: int = 0) -> int:
    """The offset of the sequence delimiter that closes a value of undefined length."""
    if depth > _DEEPEST:
        raise InstanceUnreadable("Sequences nested too deeply")
    position = start
    while True:
        head = read_head(data, position, encoding)
        if head.tag == SEQUENCE_DELIMITER:
            return position
        if head.tag != ITEM:
            raise InstanceUnreadable("A sequence that is not made of items")
        if head.length == UNDEFINED_LENGTH:
            position = _item_end(data, encoding, head.value_start, depth=depth) + 8
        else:
            position = head.value_start + head.length


def encoding_within(head: ElementHead | EncodedElement, outer: Encoding) -> Encoding:
    """The encoding of an element's items: UN of undefined length holds implicit VR little endian (PS3.5 6.2.2)."""
    return IMPLICIT_LITTLE_ENDIAN if head.vr == "UN" else outer


def _item_end(data: memoryview, encoding: Encoding, start: int, *, depth: int) -> int:
    """The offset of the delimiter that closes an item of undefined length."""
    position = start
    for element in elements(data, encoding, start, depth=depth):
        position = element.end
    if len(data) < position + 8 or read_head(data, position, encoding).tag != ITEM_DELIMITER:
        raise InstanceUnreadable("An item without its delimiter")
    return position

"""Reading the top level of an encoded data set without decoding a value, several times as fast as a general reader.

Only what is written by the book is read here: little endian, tags in ascending order, VRs of the standard, nothing cut
short (PS3.5 7.1). For anything else the answer is None, and pydicom reads it in its own forgiving way.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final, NamedTuple

from pydicom.charset import STAND_ALONE_ENCODINGS, convert_encodings, default_encoding, python_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement, empty_value_for_VR
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, STANDARD_VR

CHARACTER_SET: Final = 0x00080005
UNDEFINED: Final = 0xFFFFFFFF
DEEPEST: Final = 64
REMEMBERED: Final = 16_384
ITEM, ITEM_END, SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0"
PIXEL_TAGS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_LENGTH: Final = struct.Struct("<I")
_length_at = _LENGTH.unpack_from
_new = tuple.__new__


class _Head(NamedTuple):
    """What the first bytes of an element say: tag and, in explicit VR, VR."""

    number: int
    tag: BaseTag
    vr: str | None
    long_form: bool
    """The length stands in four bytes of its own."""
    is_pixels: bool
    is_stray: bool
    """Of the command, the file meta or a group length (retired, PS3.5 7.2): no part of a data set that is kept."""


@lru_cache(maxsize=REMEMBERED)
def base_tag(number: int) -> BaseTag:
    """Return the tag of that number, always the same object: comparing two of pydicom's is slow."""
    return BaseTag(number)


def scan(encoded: bytes, *, implicit_vr: bool) -> tuple[Dataset, int] | None:
    """Read a little endian data set as far as its pixels; elements stay raw, sequences of undefined length as well.

    Groups 0000 to 0007 and group lengths are left out.

    Returns
    -------
    the data set, and where its pixel data begins or all ends; None where anything is out of the ordinary
    """
    found = _implicit(encoded) if implicit_vr else _explicit(encoded)
    if found is None:
        return None
    elements, position = found
    character_set = elements.get(base_tag(CHARACTER_SET))
    codecs: str | list[str] = default_encoding
    if character_set is not None:
        known = _codecs(character_set.value or b"")
        if known is None:
            return None
        codecs = list(known)
    data_set = Dataset(elements)  # type: ignore[arg-type]
    data_set.set_original_encoding(implicit_vr, True, codecs)
    return data_set, position


def _explicit(data: bytes) -> tuple[dict[BaseTag, RawDataElement], int] | None:
    elements: dict[BaseTag, RawDataElement] = {}
    position, size, last = 0, len(data), -1
    while position < size:
        head = _explicit_head(data[position : position + 6])
        if head is None or head[0] <= last:
            return None
        last, tag, vr, long_form, is_pixels, is_stray = head
        if is_pixels:
            break
        start = position + 8
        if not long_form:
            if start > size:
                return None
            length = data[start - 2] | data[start - 1] << 8
        else:
            start += 4
            if start > size or data[position + 6] or data[position + 7]:
                return None
            (length,) = _length_at(data, position + 8)
        if length == UNDEFINED:
            end = _end_of_items(data, start, size, implicit=False, depth=0) if vr == "SQ" else -1
            position = end + 8
        else:
            position = end = start + length
        if end < 0 or position > size:
            return None
        if not is_stray:
            value = data[start:end] if length else _empty(vr)
            elements[tag] = _new(RawDataElement, (tag, vr, length, value, start, False, True, True, False))
    return (elements, position) if elements else None


def _implicit(data: bytes) -> tuple[dict[BaseTag, RawDataElement], int] | None:
    if data[4:6].isalpha() and data[4:6].isupper():
        return None  # explicit VR, whatever the transfer syntax says
    elements: dict[BaseTag, RawDataElement] = {}
    position, size, last = 0, len(data), -1
    while position < size:
        head = _implicit_head(data[position : position + 4])
        start = position + 8
        if head is None or head[0] <= last or start > size:
            return None
        last, tag, _, _, is_pixels, is_stray = head
        if is_pixels:
            break
        vr = None
        (length,) = _length_at(data, position + 4)
        if length == UNDEFINED:
            vr = "SQ"
            end = _end_of_items(data, start, size, implicit=True, depth=0) if _is_sequence(last) else -1
            position = end + 8
        else:
            position = end = start + length
        if end < 0 or position > size:
            return None
        if not is_stray:
            value = data[start:end] if length else None
            elements[tag] = _new(RawDataElement, (tag, vr, length, value, start, True, True, True, False))
    return (elements, position) if elements else None


@lru_cache(maxsize=REMEMBERED)
def _explicit_head(head: bytes) -> _Head | None:
    vr = head[4:].decode("latin-1")
    if vr not in STANDARD_VR:
        return None
    return _head(head, vr)


@lru_cache(maxsize=REMEMBERED)
def _implicit_head(head: bytes) -> _Head | None:
    return _head(head, None) if len(head) == 4 else None


def _head(head: bytes, vr: str | None) -> _Head | None:
    group, element = struct.unpack_from("<HH", head)
    number = group << 16 | element
    if group == 0xFFFE:
        return None
    is_stray = group < 0x0008 or element == 0
    return _Head(number, base_tag(number), vr, vr in EXPLICIT_VR_LENGTH_32, number in PIXEL_TAGS, is_stray)


@lru_cache(maxsize=64)
def _empty(vr: str | None) -> bytes | None:
    value: bytes | None = empty_value_for_VR(vr, raw=True)  # type: ignore[assignment]
    return value


@lru_cache(maxsize=256)
def _codecs(value: bytes) -> tuple[str, ...] | None:
    """Return the codecs of Specific Character Set (PS3.3 C.12.1.1.2); None where a term is not defined."""
    terms = value.decode("latin-1").rstrip("\0 ").split("\\")
    alone = any(term in STAND_ALONE_ENCODINGS for term in terms)
    if any(term not in python_encoding for term in terms) or (alone and len(terms) > 1):
        return None
    return tuple(convert_encodings(terms if len(terms) > 1 else terms[0]))


@lru_cache(maxsize=REMEMBERED)
def _is_sequence(number: int) -> bool:
    """Whether an element of undefined length in implicit VR is known to be a sequence."""
    try:
        return dictionary_VR(number) == "SQ"
    except KeyError:
        return False


def _end_of_items(data: bytes, position: int, size: int, *, implicit: bool, depth: int) -> int:
    """Return where the delimiter of a sequence stands (PS3.5 7.5.2); -1 where the sequence is not well formed."""
    if depth > DEEPEST:
        return -1
    while position + 8 <= size:
        head = data[position : position + 4]
        (length,) = _length_at(data, position + 4)
        if head == SEQUENCE_END:
            return position if length == 0 else -1
        if head != ITEM:
            return -1
        position += 8
        if length == UNDEFINED:
            position = _end_of_item(data, position, size, implicit=implicit, depth=depth)
            if position < 0:
                return -1
            position += 8
        else:
            position += length
    return -1


def _end_of_item(data: bytes, position: int, size: int, *, implicit: bool, depth: int) -> int:
    """Return where the delimiter of an item of undefined length stands; -1 where there is none to be found."""
    while position + 8 <= size:
        if data[position : position + 4] == ITEM_END:
            return position if _length_at(data, position + 4)[0] == 0 else -1
        head = (
            _implicit_head(data[position : position + 4]) if implicit else _explicit_head(data[position : position + 6])
        )
        if head is None:
            return -1
        long_form = implicit or head.long_form
        start = position + (8 if implicit or not long_form else 12)
        if start > size:
            return -1
        length = _length_at(data, start - 4)[0] if long_form else data[start - 2] | data[start - 1] << 8
        if length == UNDEFINED:
            known = _is_sequence(head.number) if implicit else head.vr == "SQ"
            end = _end_of_items(data, start, size, implicit=implicit, depth=depth + 1) if known else -1
            if end < 0:
                return -1
            position = end + 8
        else:
            position = start + length
    return -1

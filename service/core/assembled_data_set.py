"""A data set put together from its metadata and the values that came apart from it (PS3.18 8.6.1, PS3.5 A.4)."""

from __future__ import annotations

import struct
from codecs import getincrementaldecoder
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from dicom_nodes.errors import InstanceUnreadable
from service.core.dicom_json_reading import BulkPlace, JsonInstance, element_head
from service.core.dicom_json_values import BINARY_WORDS, NUMBERS, PADDING
from service.core.element_places import place_of
from service.core.encoded_bytes import IN_MEMORY_BYTES, EncodedBytes, JoinedBytes, chunks
from service.core.encoded_data_set import UNDEFINED_LENGTH

_ITEM: Final = b"\xfe\xff\x00\xe0"
_EMPTY_OFFSET_TABLE: Final = _ITEM + bytes(4)
_SEQUENCE_DELIMITER: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"
_LONGEST: Final = 0xFFFFFFFE
_ONE_BYTE: Final = 8
_WORDS: Final = BINARY_WORDS | {vr: struct.calcsize(f"<{code}") for vr, code in NUMBERS.items()}


@dataclass(frozen=True, slots=True)
class BulkValue:
    """What stands in one place.

    Parameters
    ----------
    parts : the value, in one piece or frame by frame; encapsulated, each is a fragment
    """

    parts: Sequence[EncodedBytes] = field(repr=False)
    encapsulated: bool = False


def assemble(instance: JsonInstance, values: Sequence[BulkValue]) -> EncodedBytes:
    """The encoded data set; in memory where it is small.

    Parameters
    ----------
    values : one for each of ``instance.places``, in their order

    Raises
    ------
    InstanceUnreadable : a value does not fit the VR of its place
    """
    given = iter(values)
    pieces: list[EncodedBytes] = []
    for piece in instance.pieces:
        if isinstance(piece, BulkPlace):
            pieces += _element(piece, next(given), instance.bits_allocated)
        else:
            pieces.append(piece)
    whole = JoinedBytes(pieces)
    return whole[:] if len(whole) <= IN_MEMORY_BYTES else whole


def _element(place: BulkPlace, value: BulkValue, bits_allocated: int | None) -> list[EncodedBytes]:
    if value.encapsulated:
        return [element_head(place.tag, "OB", UNDEFINED_LENGTH), *_fragments(place, value), _SEQUENCE_DELIMITER]
    vr = place.vr
    if place.is_pixel_data and bits_allocated:
        # Metadata of compressed pixels says OB, the values of its frames are words all the same (PS3.5 A.2).
        vr = "OW" if bits_allocated > _ONE_BYTE else vr if vr in ("OB", "OW") else "OB"
    length = sum(len(part) for part in value.parts)
    if length > _LONGEST:
        raise InstanceUnreadable(f"A value longer than an element can be{place_of(place.tag)}")
    if length % _WORDS.get(vr, 1) and not place.is_pixel_data:
        raise InstanceUnreadable(f"The VR {vr} has a value that does not end with a whole word{place_of(place.tag)}")
    if vr in PADDING:
        _check_text(place, value)
    padding = [PADDING.get(vr, b"\0")] if length % 2 else []
    return [element_head(place.tag, vr, length + len(padding)), *value.parts, *padding]


def _fragments(place: BulkPlace, value: BulkValue) -> list[EncodedBytes]:
    items: list[EncodedBytes] = [_EMPTY_OFFSET_TABLE]
    for part in value.parts:
        padded = len(part) + len(part) % 2
        if padded > _LONGEST:
            raise InstanceUnreadable(f"A fragment longer than an item can be{place_of(place.tag)}")
        items += [_ITEM + struct.pack("<I", padded), part]
        if padded != len(part):
            items.append(b"\0")
    return items


def _check_text(place: BulkPlace, value: BulkValue) -> None:
    """Hold text against the character set that the data set then declares."""
    decoder = getincrementaldecoder("utf-8")()
    try:
        for part in value.parts:
            for chunk in chunks(part):
                if "\0" in decoder.decode(chunk):
                    raise InstanceUnreadable(f"The VR {place.vr} has a NUL within its value{place_of(place.tag)}")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise InstanceUnreadable(f"Text as bulk data that is not UTF-8{place_of(place.tag)}") from error

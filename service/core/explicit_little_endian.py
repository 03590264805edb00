"""A data set in any native encoding → Explicit VR Little Endian, value for value (PS3.5 A.2)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

import numpy as np
from pydicom.datadict import dictionary_VR, private_dictionary_VR
from pydicom.tag import Tag

from dicom_nodes.errors import InstanceUnreadable
from service.core.encoded_data_set import (
    LONG_VRS,
    SEQUENCE_DELIMITER,
    EncodedElement,
    Encoding,
    elements,
    encoding_within,
    items,
)

_PIXEL_REPRESENTATION: Final = 0x00280103
_SWAPPED_WIDTH: Final = {
    **dict.fromkeys(("AT", "OW", "SS", "US"), 2),
    **dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), 4),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8),
}


def to_explicit_little_endian(
    data: bytes | memoryview, encoding: Encoding, *, replaced: Mapping[int, bytes | None] | None = None
) -> bytes:
    """Write a data set, or a run of its elements, in Explicit VR Little Endian.

    Values keep their bytes, but for the byte order of numbers; group lengths (retired, PS3.5 7.2) are left out.

    Parameters
    ----------
    replaced : whole elements in explicit VR little endian that take the place of those with their tag at the top
        level, or None to leave one out; one that is absent is put in

    Raises
    ------
    InstanceUnreadable : the encoding is broken
    """
    view = memoryview(data)
    signed = _is_signed(view, encoding)
    return b"".join(_level(view, encoding, 0, len(view), signed, 0, dict(replaced or {})))


def encode_element(tag: int, vr: str, value: bytes) -> bytes:
    """One element in Explicit VR Little Endian; a value too long for its VR goes as UN (PS3.5 6.2.2)."""
    if vr not in LONG_VRS and len(value) > 0xFFFF:
        vr = "UN"
    code = vr.encode("ascii")
    if vr in LONG_VRS:
        return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, code, 0, len(value)) + value
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, code, len(value)) + value


def encode_pixel_head(tag: int, vr: str, length: int) -> bytes:
    """What stands before the value of a native pixel element in Explicit VR Little Endian."""
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode("ascii"), 0, length)


def swap_bytes(value: bytes | memoryview, vr: str) -> bytes:
    """Turn the byte order of a value round as its VR asks (PS3.5 7.3)."""
    width = _SWAPPED_WIDTH.get(vr, 1)
    if width == 1 or len(value) % width:
        return bytes(value)
    return np.frombuffer(value, dtype=f"u{width}").byteswap().tobytes()


def _level(
    data: memoryview,
    encoding: Encoding,
    start: int,
    end: int,
    signed: bool,
    depth: int,
    replaced: dict[int, bytes | None],
) -> list[bytes]:
    written: list[bytes] = []
    creators: dict[tuple[int, int], str] = {}
    waiting = sorted(replaced)
    for element in elements(data, encoding, start, end, depth=depth):
        while waiting and waiting[0] < element.tag:
            written.append(replaced[waiting.pop(0)] or b"")
        if waiting and waiting[0] == element.tag:
            written.append(replaced[waiting.pop(0)] or b"")
            continue
        if element.tag & 0xFFFF == 0:
            continue
        written.append(_element(data, element, encoding, creators, signed, depth))
    written.extend(replaced[tag] or b"" for tag in waiting)
    return written


def _element(
    data: memoryview,
    element: EncodedElement,
    encoding: Encoding,
    creators: dict[tuple[int, int], str],
    signed: bool,
    depth: int,
) -> bytes:
    value = data[element.value_start : element.value_end]
    if element.tag >> 16 & 1 and 0x10 <= element.tag & 0xFFFF <= 0xFF:
        creators[element.tag >> 16, element.tag & 0xFFFF] = bytes(value).decode("latin-1").strip("\0 ")
    vr = element.vr or _dictionary_vr(element.tag, creators, signed)
    if element.undefined_length and element.tag >> 16 != 0x7FE0:
        vr = "SQ"
    if vr == "SQ":
        try:
            return _sequence(data, element, encoding, signed, depth)
        except InstanceUnreadable:
            if element.undefined_length:
                raise
            vr = "UN"  # the dictionary says sequence, the bytes do not
    if element.undefined_length:
        # Encapsulated pixel data is little endian and the same in every explicit transfer syntax.
        return bytes(data[element.start : element.end])
    if not encoding.little_endian:
        return encode_element(element.tag, vr, swap_bytes(value, vr))
    return encode_element(element.tag, vr, bytes(value))


def _sequence(data: memoryview, element: EncodedElement, encoding: Encoding, signed: bool, depth: int) -> bytes:
    if depth > 100:
        raise InstanceUnreadable("Sequences nested too deeply")
    inner = encoding_within(element, encoding) if element.undefined_length else encoding
    if element.vr == "" and not encoding.implicit_vr:
        inner = Encoding(implicit_vr=True, little_endian=encoding.little_endian)
    written: list[bytes] = []
    position = element.value_start
    for start, content_start, content_end in items(data, inner, element.value_start, element.value_end, depth=depth):
        content = b"".join(_level(data, inner, content_start, content_end, signed, depth + 1, {}))
        written += [struct.pack("<HHI", 0xFFFE, 0xE000, len(content)), content]
        position = max(start, content_end)
    if not written and element.value_end - position >= 8 and not _closes(data, position, inner):
        raise InstanceUnreadable("A sequence that is not made of items")
    return encode_element(element.tag, "SQ", b"".join(written))


def _closes(data: memoryview, position: int, encoding: Encoding) -> bool:
    group, number = struct.unpack_from(encoding.order + "HH", data, position)
    return bool((group << 16 | number) == SEQUENCE_DELIMITER)


def _is_signed(data: memoryview, encoding: Encoding) -> bool:
    """Pixel Representation, which decides between US and SS where the dictionary offers both (PS3.3 C.7.6.3)."""
    for element in elements(data, encoding):
        if element.tag == _PIXEL_REPRESENTATION and element.value_end - element.value_start == 2:
            return bytes(data[element.value_start : element.value_end]) in (b"\1\0", b"\0\1")
        if element.tag > _PIXEL_REPRESENTATION:
            break
    return False


def _dictionary_vr(tag: int, creators: Mapping[tuple[int, int], str], signed: bool) -> str:
    """The VR of an element that came in implicit VR; UN where no dictionary knows it (PS3.5 6.2.2)."""
    group, number = tag >> 16, tag & 0xFFFF
    try:
        if not group & 1:
            return _settle(dictionary_VR(tag), signed)
        if 0x10 <= number <= 0xFF:
            return "LO"
        return _settle(private_dictionary_VR(Tag(tag), creators.get((group, number >> 8), "")), signed)
    except KeyError:
        return "UN"


def _settle(vr: str, signed: bool) -> str:
    """Choose where the dictionary offers several: 16-bit words hold what was written in implicit VR (PS3.5 A.1)."""
    if " or " not in vr:
        return vr
    if "OW" in vr:
        return "OW"
    return "SS" if signed else "US"

"""Where Pixel Data lies in an encoded data set, and whether all of it came."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from dicom_nodes.errors import InstanceUnreadable
from service.core.encoded_bytes import EncodedBytes, Section
from service.core.fragments import DELIMITER_BYTES, find_delimiter

FLOAT_PIXEL_DATA: Final = 0x7FE00008
DOUBLE_FLOAT_PIXEL_DATA: Final = 0x7FE00009
PIXEL_DATA: Final = 0x7FE00010
PIXEL_TAGS: Final = frozenset({FLOAT_PIXEL_DATA, DOUBLE_FLOAT_PIXEL_DATA, PIXEL_DATA})

_UNDEFINED: Final = 0xFFFFFFFF
_DELIMITER: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"
_SHORT_LENGTH: Final = frozenset({b"US", b"SS"})


@dataclass(frozen=True, slots=True)
class EncodedPixels:
    """The value of one pixel element as it was encoded, a stretch of the data set that came in.

    Parameters
    ----------
    tag : 0x7FE00010, 0x7FE00008 or 0x7FE00009
    vr : as encoded; "" where the data set is in implicit VR
    value : the value; encapsulated, the items from the basic offset table to, and without, the sequence delimiter
    offset : of ``value`` in the encoded data set, in bytes
    fragments : items after the basic offset table; 0 for native pixel data
    end : offset of what follows the whole element
    """

    tag: int
    vr: str
    value: EncodedBytes = field(repr=False)
    offset: int
    encapsulated: bool
    fragments: int
    end: int


def locate(encoded: EncodedBytes, position: int, *, implicit_vr: bool, little_endian: bool) -> EncodedPixels:
    """Read the pixel element whose tag stands at ``position``.

    Raises
    ------
    InstanceUnreadable : the value is cut short, or what should be items are none
    """
    endian: Literal["<", ">"] = "<" if little_endian else ">"
    if len(encoded) < position + 12:
        raise InstanceUnreadable("Cut short before its Pixel Data")
    head = encoded[position : position + 12]
    group, element = struct.unpack_from(endian + "HH", head)
    code = head[4:6]
    # Some writers switch to implicit VR in mid-data set; two capital letters tell.
    explicit = not implicit_vr and code.isalpha() and code.isupper()
    if explicit and code in _SHORT_LENGTH:
        raise InstanceUnreadable("Pixel Data with a value representation that cannot hold it")
    length_at = 8 if explicit else 4
    (length,) = struct.unpack_from(endian + "I", head, length_at)
    start = position + length_at + 4
    fragments = 0
    if length == _UNDEFINED:
        stop, items = find_delimiter(encoded, start, endian)
        fragments, end = max(0, items - 1), stop + DELIMITER_BYTES
    else:
        stop = end = start + length
        if len(encoded) < stop:
            raise InstanceUnreadable("Cut short in its Pixel Data")
    return EncodedPixels(
        tag=group << 16 | element,
        vr=code.decode("ascii") if explicit else "",
        value=Section(encoded, start, stop),
        offset=start,
        encapsulated=length == _UNDEFINED,
        fragments=fragments,
        end=end,
    )


def expected_length(number: Callable[[int], int | None], tag: int, photometric: str) -> int | None:
    """How many bytes native pixel data has (PS3.5 8.1.1); None where the header does not say.

    Parameters
    ----------
    number : gives the integer value of an element by its tag
    photometric : Photometric Interpretation; YBR_FULL_422 shares its chroma between two pixels (PS3.3 C.7.6.3.1.2)
    """
    rows, columns = number(0x00280010), number(0x00280011)
    bits = {FLOAT_PIXEL_DATA: 32, DOUBLE_FLOAT_PIXEL_DATA: 64}.get(tag) or number(0x00280100)
    if rows is None or columns is None or bits is None:
        return None
    samples = number(0x00280002) or 1
    frames = max(number(0x00280008) or 1, 1)
    if photometric == "YBR_FULL_422" and samples == 3:
        samples = 2
    return (rows * columns * samples * frames * bits + 7) // 8


def encode_head(pixels: EncodedPixels, *, implicit_vr: bool, little_endian: bool, bits_allocated: int | None) -> bytes:
    """Tag, VR and length for the pixel element as it is written back; its value follows untouched."""
    endian = "<" if little_endian else ">"
    tag = struct.pack(endian + "HH", pixels.tag >> 16, pixels.tag & 0xFFFF)
    length = struct.pack(endian + "I", _UNDEFINED if pixels.encapsulated else len(pixels.value))
    if implicit_vr:
        return tag + length
    return tag + _written_vr(pixels, bits_allocated) + b"\0\0" + length


def encode_tail(pixels: EncodedPixels, *, little_endian: bool) -> bytes:
    """What closes the pixel element after its value."""
    if not pixels.encapsulated:
        return b""
    return _DELIMITER if little_endian else struct.pack(">HHI", 0xFFFE, 0xE0DD, 0)


def _written_vr(pixels: EncodedPixels, bits_allocated: int | None) -> bytes:
    """The VR of the pixel element in explicit VR (PS3.5 8.2, A.2, A.4): the sender's where it may stand."""
    if pixels.tag == FLOAT_PIXEL_DATA:
        return b"OF"
    if pixels.tag == DOUBLE_FLOAT_PIXEL_DATA:
        return b"OD"
    if pixels.encapsulated:
        return b"OB"
    if pixels.vr in ("OB", "OW"):
        return pixels.vr.encode("ascii")
    return b"OB" if bits_allocated is not None and bits_allocated <= 8 else b"OW"

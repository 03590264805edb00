"""Bytes of native pixel data behind its last frame: no viewer shows them, and nobody knows what they are."""

from __future__ import annotations

import struct

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from service.core.encoded_bytes import EncodedBytes, chunks
from service.deident.element_values import ascii_text
from service.errors import PixelRestFound

SAMPLES, PHOTOMETRIC, FRAMES = 0x00280002, 0x00280004, 0x00280008
ROWS, COLUMNS, BITS_ALLOCATED = 0x00280010, 0x00280011, 0x00280100
WORDS = {2: "H", 4: "I"}


def refuse_pixel_rest(value: EncodedBytes, header: Dataset) -> None:
    """Look at what native pixel data holds beyond its frames; zeros are padding.

    Cut off it could be frames that the header forgot to count, left it could be anything: that is for a person.

    Raises
    ------
    PixelRestFound : there is more than padding
    """
    expected = frames_length(header)
    if expected is None or len(value) <= expected:
        return
    if any(bytes(piece).strip(b"\0") for piece in chunks(value, expected)):
        raise PixelRestFound("Pixel Data is longer than Rows, Columns and Frames say: the rest may be anything")


def frames_length(header: Dataset) -> int | None:
    """Return how many bytes the frames take (PS3.5 8.1.1), the pad to an even length included; None if unsaid."""
    rows, columns, bits = (number_at(header, tag) for tag in (ROWS, COLUMNS, BITS_ALLOCATED))
    if rows is None or columns is None or bits is None:
        return None
    samples = number_at(header, SAMPLES) or 1
    if samples == 3 and _text(header, PHOTOMETRIC) == "YBR_FULL_422":
        samples = 2  # its chroma is shared between two pixels (PS3.3 C.7.6.3.1.2)
    length = (rows * columns * samples * frames_of(header) * bits + 7) // 8
    return length + length % 2


def frames_of(header: Dataset) -> int:
    """Return Number of Frames (0028,0008), 1 where the header does not say."""
    frames = _text(header, FRAMES)
    return max(int(frames), 1) if frames.isascii() and frames.isdigit() else 1


def number_at(header: Dataset, tag: int) -> int | None:
    """Return a US or UL without having pydicom convert it; None where there is none, or another thing."""
    element = header.get_item(tag, keep_deferred=True)
    if element is None:
        return None
    if not isinstance(element, RawDataElement):
        return element.value if isinstance(element.value, int) else None
    value = element.value or b""
    order = "<" if element.is_little_endian else ">"
    return int(struct.unpack(order + WORDS[len(value)], value)[0]) if len(value) in WORDS else None


def _text(header: Dataset, tag: int) -> str:
    element = header.get_item(tag, keep_deferred=True)
    return "" if element is None else ascii_text(element)

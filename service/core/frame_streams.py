"""Compressed frames that pydicom's decoders do not read: deflated ones, and single bits in RLE."""

from __future__ import annotations

import struct
import zlib
from typing import Final

import numpy as np

from dicom_nodes.errors import InstanceUnreadable

DEFLATED_FRAMES: Final = "1.2.840.10008.1.2.8.1"
"""Deflated Image Frame Compression (PS3.5 A.4.13)."""
_RLE_HEADER: Final = 64


def inflate_frame(stream: bytes, expected: int) -> bytes:
    """The native bytes of a frame that is one deflate stream without a head; what stands behind them is padding.

    Raises
    ------
    InstanceUnreadable : it cannot be inflated, or gives less than is expected
    """
    try:
        native = zlib.decompressobj(-zlib.MAX_WBITS).decompress(stream, expected + 1)
    except zlib.error as err:
        raise InstanceUnreadable("The deflated frame cannot be inflated") from err
    if len(native) < expected:
        raise InstanceUnreadable("The deflated frame is shorter than Rows × Columns ask")
    return native[:expected]


def unpack_rle_bits(stream: bytes, pixels: int) -> bytes:
    """The bit-packed pixels of a frame whose Bits Allocated is 1, written in one RLE segment (PS3.5 Annex G).

    Some writers compress the packed bytes, others a byte for each pixel; the length tells which it was.

    Raises
    ------
    InstanceUnreadable : it is no single segment, or gives less than is expected
    """
    if len(stream) < _RLE_HEADER or struct.unpack_from("<I", stream)[0] != 1:
        raise InstanceUnreadable("A bit-packed RLE frame that is not one segment")
    packed = (pixels + 7) // 8
    native = _unpacked(stream, struct.unpack_from("<I", stream, 4)[0], pixels)
    if len(native) >= pixels > packed:
        bits = np.frombuffer(native, dtype=np.uint8, count=pixels) != 0
        return np.packbits(bits, bitorder="little").tobytes()
    if len(native) < packed:
        raise InstanceUnreadable("The RLE frame is shorter than Rows × Columns ask")
    return bytes(native[:packed])


def _unpacked(stream: bytes, position: int, most: int) -> bytearray:
    """The bytes of a segment, no more than are asked for (PS3.5 G.3.1)."""
    native = bytearray()
    while len(native) < most and position < len(stream):
        control = stream[position]
        if control < 128:
            native += stream[position + 1 : position + 2 + control]
            position += 2 + control
        elif control > 128:
            native += stream[position + 1 : position + 2] * (257 - control)
            position += 2
        else:
            position += 1
    return native

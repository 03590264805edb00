"""Frames of a segmentation written one by one in a compressed transfer syntax (PS3.5 A.4)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, Final

import numpy.typing as npt
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

RLE_FRAMES: Final = str(RLELossless)
_LEVEL: Final = 6
_LARGEST_TABLE: Final = 0xFFFFFFFF


def rle_frames(frames: Iterable[npt.NDArray[Any]]) -> list[bytes]:
    """Each frame of uint8 or uint16 in RLE Lossless (PS3.5 Annex G)."""
    from rle.utils import encode_pixel_data

    return [
        encode_pixel_data(
            frame.astype(frame.dtype.newbyteorder("<"), copy=False).tobytes(),
            rows=frame.shape[0],
            columns=frame.shape[1],
            samples_per_pixel=1,
            bits_allocated=frame.dtype.itemsize * 8,
            number_of_frames=1,
            byteorder="<",
        )
        for frame in frames
    ]


def deflated_frames(frames: Iterable[bytes | memoryview]) -> list[bytes]:
    """Each native frame as a deflate stream of its own, without a head."""
    streams = []
    for frame in frames:
        deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        streams.append(deflater.compress(frame) + deflater.flush())
    return streams


def encapsulated(streams: list[bytes]) -> bytes:
    """Compressed frames as the value of Pixel Data, with a Basic Offset Table where its offsets suffice."""
    size = sum(len(stream) + 9 for stream in streams)
    return encapsulate(streams, has_bot=size <= _LARGEST_TABLE)

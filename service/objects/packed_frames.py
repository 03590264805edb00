"""Patches of masks written as the pixels of frames: bits, fractions or segment numbers (PS3.3 C.8.20.2, PS3.5 8.1.1).

Frames are made from patches alone; no array of all segments is ever there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt

from service.objects.mask_patches import MaskPatch

Octets = npt.NDArray[np.uint8]


def packed_bits(patches: Sequence[MaskPatch], rows: int, columns: int) -> bytes:
    """One frame of single bits for each patch, as one stream without padding between frames.

    The first pixel of a byte is its least significant bit, and a frame may begin in the middle of a byte.
    """
    size = rows * columns
    # Written in place: bytes made from an array would be a second copy of what may be a gigabyte.
    value = BytesIO(bytes((len(patches) * size + 7) // 8))
    stream: Octets = np.frombuffer(value.getbuffer(), dtype=np.uint8)
    for number, patch in enumerate(patches):
        start = number * size + patch.row * columns
        if columns % 8 == 0:
            _set_in_whole_bytes(stream[start // 8 :], patch, columns // 8)
        else:
            _set_in_bits(stream, start, patch, columns)
    del stream
    return value.getvalue()


def _set_in_whole_bytes(stream: Octets, patch: MaskPatch, row_bytes: int) -> None:
    """Where each row begins with a byte: only the bytes that the patch touches."""
    height, width = patch.values.shape
    first, last = patch.column // 8, (patch.column + width + 7) // 8
    bits = np.zeros((height, (last - first) * 8), dtype=bool)
    lead = patch.column - first * 8
    bits[:, lead : lead + width] = patch.values
    rows = stream[: height * row_bytes].reshape(height, row_bytes)
    rows[:, first:last] = np.packbits(bits, axis=1, bitorder="little")


def _set_in_bits(stream: Octets, start: int, patch: MaskPatch, columns: int) -> None:
    """Where rows begin within bytes: all rows that the patch touches; the bytes at both ends are shared with others."""
    height, width = patch.values.shape
    first, lead = divmod(start, 8)
    bits = np.zeros(lead + height * columns, dtype=bool)
    bits[lead:].reshape(height, columns)[:, patch.column : patch.column + width] = patch.values
    packed = np.packbits(bits, bitorder="little")
    stream[first : first + len(packed)] |= packed


def fraction_frames(patches: Sequence[MaskPatch], rows: int, columns: int) -> Iterator[Octets]:
    """One frame of fractions for each patch, shape (rows, columns); each holds until the next is asked for."""
    frame: Octets = np.zeros((rows, columns), dtype=np.uint8)
    for patch in patches:
        box = _box(frame, patch)
        box[...] = patch.values
        yield frame
        box[...] = 0


def label_frames(
    segments: Sequence[Sequence[MaskPatch]], shown: Sequence[int], rows: int, columns: int
) -> Iterator[npt.NDArray[Any]]:
    """Frames whose pixels are the numbers, from 1, of segments that do not overlap; 0 is none.

    Parameters
    ----------
    segments : the patches of each segment, up to 65535
    shown : the source frames to write, in their order

    Yields
    ------
    uint8, or little-endian uint16 where a number needs it; shape (rows, columns); holds until the next is asked for
    """
    frame = np.zeros((rows, columns), dtype=label_type(len(segments)))
    by_frame: dict[int, list[tuple[int, MaskPatch]]] = {number: [] for number in shown}
    for number, patches in enumerate(segments, start=1):
        for patch in patches:
            by_frame[patch.frame].append((number, patch))
    for there in by_frame.values():
        frame.fill(0)
        for number, patch in there:
            np.copyto(_box(frame, patch), frame.dtype.type(number), where=patch.values)
        yield frame


def label_type(segments: int) -> np.dtype[Any]:
    """Of the pixels of a label map with so many segments (PS3.3 C.8.20.2)."""
    return np.dtype("u1") if segments < 256 else np.dtype("<u2")


def _box(frame: npt.NDArray[Any], patch: MaskPatch) -> npt.NDArray[Any]:
    height, width = patch.values.shape
    return frame[patch.row : patch.row + height, patch.column : patch.column + width]

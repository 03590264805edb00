"""Encapsulated pixel data with some frames encoded again; those without a change keep their bytes (PS3.5 A.4)."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import numpy as np
from pydicom.dataset import Dataset

from dicom_nodes.errors import InstanceUnreadable
from service.core.frame_index import Span
from service.deident.pixels.black import blacken
from service.deident.pixels.blackened_native import regions_of
from service.deident.pixels.frame_encoder import (
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    encode_jpeg,
    encode_lossless,
    may_stay,
)
from service.deident.pixels.frame_reader import JPEG_BASELINE, FrameReader
from service.deident.pixels.pixel_outcome import Region
from service.deident.pixels.pixel_source import PixelSource

MOST_HELD: Final = 512 << 20
_ITEM: Final = struct.Struct("<HHI")
_LARGEST_OFFSET: Final = 0xFFFFFFFF

Piece = bytes | Span
"""Bytes made here, or a place in the source that came in."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedFrames:
    """Frames as they are written again.

    Parameters
    ----------
    frames : the fragments of each frame
    changed : indices of those that were encoded again
    photometric : Photometric Interpretation that the header has to declare
    original_bytes, encoded_bytes : of the changed frames, before and after
    """

    frames: tuple[tuple[Piece, ...], ...]
    changed: tuple[int, ...]
    transfer_syntax_uid: str
    photometric: str
    original_bytes: int
    encoded_bytes: int


def encode_blackened(frames: FrameReader, header: Dataset, regions: Sequence[Region]) -> EncodedFrames:
    """Blacken frames of encapsulated pixel data and encode them again.

    In the transfer syntax that came in where there is an encoder for it, else all frames in JPEG 2000 without loss.

    Raises
    ------
    InstanceUnreadable, TransferSyntaxNotSupported : a frame cannot be decoded, blackened or encoded
    """
    layout, came_in = frames.format, frames.transfer_syntax_uid
    stays = may_stay(came_in)
    written_as = came_in if stays else JPEG_2000_LOSSLESS
    wanted = [regions_of(regions, index, layout) for index in range(frames.count)]
    # The irreversible colour transformation would lose something; one header cannot declare both.
    irreversible = came_in == JPEG_2000 and layout.photometric == "YBR_ICT"
    all_change = not stays or irreversible
    photometric = _declared(frames, written_as, all_change=all_change)
    pieces: list[tuple[Piece, ...]] = []
    changed = []
    original = held = 0
    for index in range(frames.count):
        if not wanted[index] and not all_change:
            pieces.append(frames.spans(index))
            continue
        stream = _encoded(frames, index, wanted[index], header, written_as, photometric)
        held += len(stream)
        if held > MOST_HELD:
            raise InstanceUnreadable("More frames would have to be encoded again than fit into memory")
        original += sum(span.length for span in frames.spans(index))
        pieces.append((stream,))
        changed.append(index)
    return EncodedFrames(tuple(pieces), tuple(changed), written_as, photometric, original, held)


def _declared(frames: FrameReader, written_as: str, *, all_change: bool) -> str:
    if not all_change:
        return frames.format.photometric
    _, decoded = frames.stored(0)
    return "YBR_RCT" if written_as in (JPEG_2000, JPEG_2000_LOSSLESS) and decoded == "RGB" else decoded


def _encoded(
    frames: FrameReader, index: int, wanted: list[Region], header: Dataset, written_as: str, photometric: str
) -> bytes:
    stored, decoded = frames.stored(index)
    stored = np.array(stored)
    if wanted:
        blacken(stored, wanted, decoded, frames.format, header)
    if written_as == JPEG_BASELINE:
        return _even(encode_jpeg(stored, frames.format.photometric, frames.encoded(index)))
    return _even(encode_lossless(stored, photometric, frames.format, written_as))


def _even(stream: bytes) -> bytes:
    return stream + b"\0" * (len(stream) % 2)


class EncapsulatedValue:
    """Fragments of the source and new ones as one encapsulated value: basic offset table, then the items.

    Parameters
    ----------
    basic_table : whether to fill the basic offset table; empty beside an Extended Offset Table (PS3.5 A.4)
    """

    def __init__(self, frames: Sequence[Sequence[Piece]], pixels: PixelSource, *, basic_table: bool) -> None:
        self._pixels = pixels
        items: list[Piece] = []
        starts, sizes = [], []
        position = 0
        for frame in frames:
            starts.append(position)
            sizes.append(sum(_size(piece) for piece in frame))
            for piece in frame:
                items += [_ITEM.pack(0xFFFE, 0xE000, _size(piece)), piece]
                position += 8 + _size(piece)
        self.offsets, self.lengths = starts, sizes
        fits = basic_table and starts[-1] <= _LARGEST_OFFSET
        table = struct.pack(f"<{len(starts)}I", *starts) if fits else b""
        self._pieces: list[Piece] = [_ITEM.pack(0xFFFE, 0xE000, len(table)), table, *items]
        self._ends = list(accumulate(_size(piece) for piece in self._pieces))

    @property
    def length(self) -> int:
        """How many bytes there are."""
        return self._ends[-1]

    def read(self, offset: int, size: int) -> bytes:
        """The bytes from ``offset`` on, as far as they go."""
        parts = []
        end = min(offset + size, self.length)
        which = bisect_right(self._ends, offset)
        while offset < end:
            piece = self._pieces[which]
            within = offset - (self._ends[which] - _size(piece))
            count = min(_size(piece) - within, end - offset)
            parts.append(
                piece[within : within + count]
                if isinstance(piece, bytes)
                else self._pixels.read(piece.offset + within, count)
            )
            offset += count
            which += 1
        return b"".join(parts)


def _size(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.length

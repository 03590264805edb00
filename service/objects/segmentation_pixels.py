"""The pixels of a segmentation's frames, one frame at a time, from any transfer syntax that is read here.

Of a native BINARY segmentation only the bytes that are not zero are unpacked: most of a frame is outside its segment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, RLELossless

from dicom_nodes.errors import InstanceUnreadable
from service.core.frame_index import Frame, index_frames
from service.core.frame_streams import DEFLATED_FRAMES, inflate_frame, unpack_rle_bits
from service.core.pixel_format import OffsetTable
from service.errors import ObjectInvalid, TransferSyntaxNotSupported
from service.objects.encoded_segmentation import EncodedSegmentation

Pixels = npt.NDArray[Any]
_LARGEST_FRAME: Final = 1 << 30
_WORD: Final = 8
_RLE_INTERFACE: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class PixelBox:
    """A box of a frame outside of which all pixels are zero; ``values`` may be empty."""

    row: int
    column: int
    values: Pixels


class SegmentationPixels:
    """Reads frames by their number, from 0.

    Parameters
    ----------
    encoded : the segmentation that they are of

    Raises
    ------
    ObjectInvalid : what the header says of the pixels is no segmentation's, or there are fewer than it says
    TransferSyntaxNotSupported : no codec here reads them
    """

    def __init__(self, encoded: EncodedSegmentation) -> None:
        header = encoded.header
        self.rows, self.columns = int(header.get("Rows") or 0), int(header.get("Columns") or 0)
        self.bits = int(header.get("BitsAllocated") or 0)
        self.frames = int(header.get("NumberOfFrames") or 1)
        if self.bits not in (1, 8, 16) or not 0 < self.rows * self.columns <= _LARGEST_FRAME:
            raise ObjectInvalid(f"{self.rows} × {self.columns} pixels of {self.bits} bits are no segmentation's")
        self._syntax = encoded.transfer_syntax_uid
        self._encapsulated = encoded.encapsulated
        self._value = encoded.pixels
        self._header = header
        self._streams = self._index() if encoded.encapsulated else ()
        if not encoded.encapsulated and len(self._value) * 8 < self.frames * self.rows * self.columns * self.bits:
            raise ObjectInvalid(f"Pixel Data are too short for {self.frames} frames")
        if encoded.encapsulated and not self._is_read_here():
            raise TransferSyntaxNotSupported(f"no codec here reads pixels in transfer syntax {self._syntax}")

    def whole(self) -> Pixels | None:
        """All frames of native bytes or words without a copy, shape (frames, rows, columns); None where there are none.

        Not to be written to.
        """
        if self._encapsulated or self.bits == 1:
            return None
        kind = np.dtype("u1" if self.bits == 8 else "<u2")
        count = self.frames * self.rows * self.columns
        return np.frombuffer(self._value, dtype=kind, count=count).reshape(self.frames, self.rows, self.columns)

    def frame(self, number: int) -> Pixels:
        """One frame, shape (rows, columns): uint8 with 0 and 1 where there is one bit a pixel, else uint8 or uint16.

        Raises
        ------
        InstanceUnreadable : it cannot be decoded
        """
        if self._encapsulated:
            return self._decoded(number)
        native = self.whole()
        return self._bits(self._value, number * self.rows * self.columns) if native is None else native[number]

    def box(self, number: int) -> PixelBox:
        """What is not zero in a frame, or a little more.

        Raises
        ------
        InstanceUnreadable : it cannot be decoded
        """
        if self._encapsulated or self.bits != 1 or self.columns % 8:
            return _trimmed(self.frame(number))
        size = self.rows * self.columns // 8
        packed = np.frombuffer(self._value, dtype=np.uint8, count=size, offset=number * size)
        return _unpacked_box(packed.reshape(self.rows, self.columns // 8))

    def _bits(self, value: memoryview | bytes, start: int) -> Pixels:
        """A frame of single bits that begins with a bit, maybe in the middle of a byte."""
        count = self.rows * self.columns
        first, lead = divmod(start, 8)
        octets = np.frombuffer(value, dtype=np.uint8, count=(lead + count + 7) // 8, offset=first)
        bits = np.unpackbits(octets, count=lead + count, bitorder="little")
        return bits[lead:].reshape(self.rows, self.columns)

    def _index(self) -> tuple[Frame, ...]:
        def read(start: int, length: int) -> bytes:
            return bytes(self._value[start : start + length])

        return index_frames(read, 0, len(self._value), self.frames, _offset_table(self._header))

    def _is_read_here(self) -> bool:
        if self._syntax == DEFLATED_FRAMES:
            return True
        try:
            return bool(get_decoder(UID(self._syntax)).is_available)
        except NotImplementedError:
            return False

    def _decoded(self, number: int) -> Pixels:
        spans = self._streams[number]
        stream = b"".join(bytes(self._value[span.offset : span.offset + span.length]) for span in spans)
        if self._syntax == DEFLATED_FRAMES:
            return self._native(inflate_frame(stream, (self.rows * self.columns * self.bits + 7) // 8))
        if self._syntax == RLELossless and self.bits == 1:
            return self._native(unpack_rle_bits(stream, self.rows * self.columns))
        try:
            return self._by_rle(stream) if self._syntax == RLELossless else self._by_codec(stream)
        except Exception as err:  # codecs raise what they like on bytes that they cannot read
            raise InstanceUnreadable(f"Frame {number + 1} cannot be decoded") from err

    def _native(self, frame: bytes) -> Pixels:
        if self.bits == 1:
            return self._bits(frame, 0)
        return np.frombuffer(frame, dtype="u1" if self.bits == 8 else "<u2").reshape(self.rows, self.columns)

    def _by_rle(self, stream: bytes) -> Pixels:
        """By the codec itself: pydicom warns of frames that happen to be as long as they were without compression."""
        from rle.utils import decode_pixel_data

        options: dict[str, Any] = {"rows": self.rows, "columns": self.columns, "bits_allocated": self.bits}
        return self._native(bytes(decode_pixel_data(stream, version=_RLE_INTERFACE, **options)))

    def _by_codec(self, stream: bytes) -> Pixels:
        options: dict[str, Any] = {
            "rows": self.rows,
            "columns": self.columns,
            "samples_per_pixel": 1,
            "bits_allocated": self.bits,
            "bits_stored": self.bits,
            "photometric_interpretation": "MONOCHROME2",
            "pixel_representation": 0,
            "planar_configuration": 0,
            "number_of_frames": 1,
            "pixel_keyword": "PixelData",
        }
        pixels, _ = get_decoder(UID(self._syntax)).as_array(encapsulate([stream], has_bot=False), index=0, **options)
        return pixels.reshape(self.rows, self.columns)


def _offset_table(header: Dataset) -> OffsetTable | None:
    offsets, lengths = (header.get(f"ExtendedOffsetTable{name}") for name in ("", "Lengths"))
    if not offsets or not lengths or len(offsets) != len(lengths):
        return None
    return OffsetTable(*(tuple(np.frombuffer(table, dtype="<u8").tolist()) for table in (offsets, lengths)))


def _unpacked_box(packed: npt.NDArray[np.uint8]) -> PixelBox:
    """The rows and bytes of a packed frame that hold a bit, unpacked; whole words are looked at where there are."""
    words = packed.view(np.uint64) if packed.shape[1] % _WORD == 0 and _aligned(packed) else packed
    rows = np.flatnonzero(np.bitwise_or.reduce(words, axis=1))
    if not len(rows):
        return PixelBox(0, 0, np.zeros((0, 0), dtype=np.uint8))
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    octets = np.flatnonzero(np.bitwise_or.reduce(packed[top:bottom], axis=0))
    left, right = int(octets[0]), int(octets[-1]) + 1
    return PixelBox(top, left * 8, np.unpackbits(packed[top:bottom, left:right], axis=1, bitorder="little"))


def _aligned(packed: npt.NDArray[np.uint8]) -> bool:
    return packed.ctypes.data % _WORD == 0


def _trimmed(frame: Pixels) -> PixelBox:
    rows = np.flatnonzero(frame.any(axis=1))
    if not len(rows):
        return PixelBox(0, 0, frame[:0, :0])
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(frame[top:bottom].any(axis=0))
    left, right = int(columns[0]), int(columns[-1]) + 1
    return PixelBox(top, left, frame[top:bottom, left:right])

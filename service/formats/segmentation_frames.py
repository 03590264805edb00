"""The frames of a stored segmentation, one at a time: a segmentation may be larger than what one wants in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.core.records import PixelLocation
from service.errors import FormatRefused

_DEFLATED: Final = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.8.1"})
_UNREADABLE: Final = (AttributeError, EOFError, IndexError, KeyError, NotImplementedError, RuntimeError, ValueError)


class SegmentationFrames:
    """Reads the stored values of single frames.

    Parameters
    ----------
    header : the segmentation without its pixel data
    open_file : opens the DICOM file that it is kept in
    pixels : where its pixel data lie in that file; None where that is not known
    """

    def __init__(self, header: Dataset, open_file: Callable[[], BinaryIO], pixels: PixelLocation | None) -> None:
        self._header = header
        self._open_file = open_file
        self._pixels = pixels
        self._bits = int(header.get("BitsAllocated", 8))
        self._shape = int(header.Rows), int(header.Columns)
        syntax = str(header.file_meta.TransferSyntaxUID)
        self._lies_open = pixels is not None and not pixels.encapsulated and syntax not in _DEFLATED
        self._whole: Dataset | None = None
        self._decoded: dict[int, npt.NDArray[Any]] = {}

    def frame(self, number: int) -> npt.NDArray[Any]:
        """Stored values of frame ``number`` (from 0), shape (rows, columns); 0 or 1 where they are one bit each.

        Raises
        ------
        FormatRefused : it is not there, or cannot be decoded
        """
        if self._lies_open and self._pixels is not None:
            return self._read(number, self._pixels)
        # Each segment of a label map asks for every frame again.
        if number not in self._decoded:
            try:
                self._decoded[number] = self._decode(number)
            except _UNREADABLE as error:
                raise FormatRefused("the frames of its segmentation cannot be decoded") from error
        return self._decoded[number]

    def _read(self, number: int, pixels: PixelLocation) -> npt.NDArray[Any]:
        """By its place: frames of one bit follow each other without a gap (PS3.5 8.1.1)."""
        size = self._shape[0] * self._shape[1]
        first_bit, end_bit = number * size * self._bits, (number + 1) * size * self._bits
        first, end = first_bit // 8, -(-end_bit // 8)
        with self._open_file() as stream:
            stream.seek(pixels.offset + first)
            content = stream.read(end - first) if end <= pixels.length else b""
        if len(content) != end - first:
            raise FormatRefused("its segmentation has fewer frames in the pixel data than in its header")
        if self._bits == 1:
            bits = np.unpackbits(np.frombuffer(content, dtype=np.uint8), bitorder="little")
            return bits[first_bit - 8 * first :][:size].reshape(self._shape)
        return np.frombuffer(content, dtype=f"<u{self._bits // 8}").reshape(self._shape)

    def _decode(self, number: int) -> npt.NDArray[Any]:
        from pydicom.pixels.utils import pixel_array

        if self._whole is None:
            with self._open_file() as stream:
                self._whole = dcmread(stream)
        decoded: npt.NDArray[Any] = pixel_array(self._whole, index=number)
        return decoded

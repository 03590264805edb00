"""The frames of one object, one at a time: as they were encoded, and as stored values."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from dicom_nodes.errors import InstanceUnreadable
from service.core.frame_index import Frame, index_frames
from service.core.pixel_format import OffsetTable, PixelFormat
from service.deident.pixels.extended_jpeg import JPEG_EXTENDED, decode_extended, reads_extended
from service.deident.pixels.pixel_source import PixelSource
from service.errors import TransferSyntaxNotSupported

Stored = npt.NDArray[Any]
"""Stored values of one frame."""

PIXEL_DATA: Final = 0x7FE00010
NATIVE: Final = frozenset(
    {
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.1.99",
        "1.2.840.10008.1.2.2",
        "1.2.840.113619.5.2",
    }
)
BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
JPEG_BASELINE: Final = "1.2.840.10008.1.2.4.50"
_VIDEO: Final = ("1.2.840.10008.1.2.4.10", "1.2.840.10008.1.2.7")
_LARGEST_FRAME: Final = 1 << 30  # a header of a few bytes can claim 65,535 × 65,535 pixels
_EXTRA: Final = {"1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.111", "1.2.840.10008.1.2.4.112"}


def is_video(transfer_syntax_uid: str) -> bool:
    """Whether frames are coded as a video, so that none can be changed alone (PS3.5 8.2.5 and following)."""
    if transfer_syntax_uid in _EXTRA:
        return False
    return transfer_syntax_uid.startswith(_VIDEO)


def pixel_format(header: Dataset) -> PixelFormat:
    """How the pixels are laid out (PS3.3 C.7.6.3).

    Raises
    ------
    InstanceUnreadable : Rows, Columns or another number is missing, or is none
    """
    rows, columns = _number(header, "Rows", 0), _number(header, "Columns", 0)
    bits = _number(header, "BitsAllocated", 0)
    if not (rows and columns and bits):
        raise InstanceUnreadable("Rows, Columns or Bits Allocated is missing")
    return PixelFormat(
        tag=PIXEL_DATA,
        rows=rows,
        columns=columns,
        samples=_number(header, "SamplesPerPixel", 1),
        frames=max(1, _number(header, "NumberOfFrames", 1)),
        bits_allocated=bits,
        bits_stored=_number(header, "BitsStored", bits),
        signed=_number(header, "PixelRepresentation", 0) == 1,
        photometric=str(header.get("PhotometricInterpretation") or "MONOCHROME2").strip(),
        planar=_number(header, "PlanarConfiguration", 0),
        lossy=str(header.get("LossyImageCompression") or "") == "01",
    )


class FrameReader:
    """Reads the frames of one object; holds one at a time.

    Raises
    ------
    InstanceUnreadable : the layout is missing, or the value is shorter than it says
    TransferSyntaxNotSupported : no codec here reads the frames
    """

    def __init__(self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str) -> None:
        self.format = pixel_format(header)
        self.native = transfer_syntax_uid in NATIVE
        self.transfer_syntax_uid = transfer_syntax_uid
        self._pixels = pixels
        self._order = ">" if transfer_syntax_uid == BIG_ENDIAN else "<"
        if self.format.native_frame_bytes > _LARGEST_FRAME:
            raise InstanceUnreadable("A frame of more than 1 GiB is not looked at")
        self._frames: tuple[Frame, ...] = ()
        if self.native:
            expected = (self.format.samples_per_frame * self.format.frames * self.format.bits_allocated + 7) // 8
            if pixels.length < expected:
                raise InstanceUnreadable("Pixel Data is shorter than Rows, Columns and Number of Frames say")
        else:
            _check_decoder(transfer_syntax_uid, self.format)
            self._frames = index_frames(pixels.read, 0, pixels.length, self.format.frames, _offset_table(header))

    @property
    def count(self) -> int:
        """How many frames there are."""
        return self.format.frames

    def encoded(self, index: int) -> bytes:
        """The bytes of a frame, counted from 0: native values, or the code stream."""
        if self.native:
            start, size = self._native_span(index)
            return self._pixels.read(start, size)
        return b"".join(self._pixels.read(span.offset, span.length) for span in self._frames[index])

    def spans(self, index: int) -> Frame:
        """The fragments of an encapsulated frame, as places in the source."""
        return self._frames[index]

    def layout_of(self, encoded: bytes | bytearray) -> Stored:
        """Native bytes of one frame as they lie: (rows, columns), (rows, columns, samples) or, by plane, (samples, …).

        With shared chroma (YBR_FULL_422) the shape is (rows, columns / 2, 4): two Y, Cb, Cr.
        """
        layout = self.format
        kind = "i" if layout.signed else "u"
        if layout.bits_allocated not in (8, 16, 32, 64):
            raise InstanceUnreadable(f"Pixels of {layout.bits_allocated} bits are not looked at")
        values = np.frombuffer(encoded, dtype=f"{self._order}{kind}{layout.bits_allocated // 8}")
        values = values[: layout.samples_per_frame]
        if shares_chroma(layout):
            return values.reshape(layout.rows, layout.columns // 2, 4)
        if layout.samples > 1 and layout.planar == 1:
            return values.reshape(layout.samples, layout.rows, layout.columns)
        return values.reshape(_shape(layout))

    def stored(self, index: int) -> tuple[Stored, str]:
        """The values of a frame, shape (rows, columns[, samples]), and their photometric interpretation.

        That is the header's, but for codecs that undo their colour transformation.
        """
        layout, encoded = self.format, self.encoded(index)
        if not self.native:
            return _decoded(encoded, layout, self.transfer_syntax_uid)
        if layout.bits_allocated == 1:
            skip = index * layout.samples_per_frame % 8
            bits = np.unpackbits(np.frombuffer(encoded, dtype=np.uint8), bitorder="little")
            return bits[skip : skip + layout.samples_per_frame].reshape(_shape(layout)), layout.photometric
        values = self.layout_of(encoded)
        if shares_chroma(layout):
            spread = np.empty((layout.rows, layout.columns // 2, 2, 3), dtype=values.dtype)
            spread[..., 0] = values[..., :2]
            spread[..., 1:] = values[:, :, None, 2:]
            return spread.reshape(layout.rows, layout.columns, 3), "YBR_FULL"
        if layout.samples > 1 and layout.planar == 1:
            values = values.transpose(1, 2, 0)
        return values, layout.photometric

    def _native_span(self, index: int) -> tuple[int, int]:
        bits = self.format.samples_per_frame * self.format.bits_allocated
        first = index * bits // 8
        return first, -(-(index + 1) * bits // 8) - first


def shares_chroma(layout: PixelFormat) -> bool:
    """Whether two pixels share their chroma in native form (PS3.3 C.7.6.3.1.2)."""
    return layout.photometric == "YBR_FULL_422" and layout.samples == 3 and layout.columns % 2 == 0


def _check_decoder(transfer_syntax_uid: str, layout: PixelFormat) -> None:
    if reads_extended(transfer_syntax_uid, layout):
        return
    try:
        available = get_decoder(UID(transfer_syntax_uid)).is_available
    except NotImplementedError:
        available = False
    if transfer_syntax_uid == JPEG_EXTENDED and layout.bits_stored > 8:
        available = False
    if not available:
        raise TransferSyntaxNotSupported(f"no codec here reads pixels in transfer syntax {transfer_syntax_uid}")


def _decoded(stream: bytes, layout: PixelFormat, transfer_syntax_uid: str) -> tuple[Stored, str]:
    options: dict[str, Any] = {
        "rows": layout.rows,
        "columns": layout.columns,
        "samples_per_pixel": layout.samples,
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "photometric_interpretation": layout.photometric,
        "pixel_representation": int(layout.signed),
        "planar_configuration": layout.planar,
        "number_of_frames": 1,
        "pixel_keyword": "PixelData",
        # What a lossless codec kept above Bits Stored goes back as it came.
        "correct_unused_bits": False,
        # The YCbCr of a JPEG stream belongs to its compression; that of other codecs is what was stored.
        "as_rgb": transfer_syntax_uid in (JPEG_BASELINE, JPEG_EXTENDED),
    }
    try:
        if reads_extended(transfer_syntax_uid, layout):
            return decode_extended(stream, layout, transfer_syntax_uid), layout.photometric
        decoder = get_decoder(UID(transfer_syntax_uid))
        values, described = decoder.as_array(encapsulate([stream], has_bot=False), index=0, **options)
    except Exception as error:  # codecs raise what they like on bytes that they cannot read
        raise InstanceUnreadable("A frame of the pixel data cannot be decoded") from error
    return np.ascontiguousarray(values), str(described["photometric_interpretation"])


def _offset_table(header: Dataset) -> OffsetTable | None:
    """The Extended Offset Table (PS3.3 C.7.6.3.1.8), where the header has a whole one."""
    tables = [header.get(keyword) for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")]
    if not all(isinstance(table, bytes) and table and len(table) % 8 == 0 for table in tables):
        return None
    offsets, lengths = (tuple(int(each) for each in np.frombuffer(table or b"", dtype="<u8")) for table in tables)
    return OffsetTable(offsets, lengths) if len(offsets) == len(lengths) else None


def _shape(layout: PixelFormat) -> tuple[int, ...]:
    if layout.samples == 1:
        return (layout.rows, layout.columns)
    return (layout.rows, layout.columns, layout.samples)


def _number(header: Dataset, keyword: str, default: int) -> int:
    try:
        value = header.get(keyword)
        return default if value is None or value == "" else int(value)
    except Exception as error:  # pydicom raises what it likes on values that break their VR
        raise InstanceUnreadable(f"{keyword} cannot be read") from error

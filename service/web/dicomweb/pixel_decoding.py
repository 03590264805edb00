"""One compressed frame → its pixel values, by whichever codec is installed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from dicom_nodes.errors import InstanceUnreadable
from service.core.frame_streams import DEFLATED_FRAMES, inflate_frame, unpack_rle_bits
from service.core.pixel_format import PixelFormat
from service.errors import NotAcceptable

RLE_LOSSLESS: Final = "1.2.840.10008.1.2.5"
_LOSSY: Final = frozenset(
    {
        "1.2.840.10008.1.2.4.50",
        "1.2.840.10008.1.2.4.51",
        "1.2.840.10008.1.2.4.53",
        "1.2.840.10008.1.2.4.55",
        "1.2.840.10008.1.2.4.81",
        "1.2.840.10008.1.2.4.91",
        "1.2.840.10008.1.2.4.93",
        "1.2.840.10008.1.2.4.203",
        "1.2.840.10008.1.2.4.112",
    }
)
_LARGEST_FRAME_BYTES: Final = 1 << 30  # a header of a few bytes can claim 65,535 × 65,535 pixels
_JPEG_EXTENDED: Final = "1.2.840.10008.1.2.4.51"
# What pydicom's decoders do not read, and the function of imagecodecs that does: 12-bit JPEG, also in its retired
# processes, and JPEG XL.
_EXTRA_CODECS: Final = {
    _JPEG_EXTENDED: "jpeg_decode",
    "1.2.840.10008.1.2.4.53": "jpeg_decode",
    "1.2.840.10008.1.2.4.55": "jpeg_decode",
    "1.2.840.10008.1.2.4.110": "jpegxl_decode",
    "1.2.840.10008.1.2.4.111": "jpegxl_decode",
    "1.2.840.10008.1.2.4.112": "jpegxl_decode",
}
_JPEG_LOSSLESS: Final = frozenset({"1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"})
_JPEG_LOSSY: Final = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """The values of one frame, shape (rows, columns) or (rows, columns, samples), little endian.

    ``pixels`` has one byte a value where Bits Allocated is 1. ``format`` is how the values are to be described: the
    colour transformation of a codec is undone, and planes are interleaved.
    """

    pixels: np.ndarray[Any, Any]
    format: PixelFormat


def may_be_lossy(transfer_syntax_uid: str) -> bool:
    """Whether frames in this transfer syntax may have lost something to compression (PS3.5 A.4)."""
    return transfer_syntax_uid in _LOSSY


def can_decode(transfer_syntax_uid: str, bits_allocated: int | None = None) -> bool:
    """Whether a codec for this transfer syntax is installed.

    Parameters
    ----------
    bits_allocated : JPEG with 12 bits (allocated 16) needs the extra ``codecs``, with 8 it does not
    """
    if transfer_syntax_uid == DEFLATED_FRAMES:
        return True
    if transfer_syntax_uid in _EXTRA_CODECS and (transfer_syntax_uid != _JPEG_EXTENDED or (bits_allocated or 8) > 8):
        return _extra_codec(transfer_syntax_uid) is not None
    try:
        return bool(get_decoder(UID(transfer_syntax_uid)).is_available)
    except NotImplementedError:
        return False


def decode_frame(stream: bytes, layout: PixelFormat, transfer_syntax_uid: str) -> DecodedFrame:
    """Decode one frame.

    Raises
    ------
    NotAcceptable : no codec here reads it; the words say so
    """
    if layout.native_frame_bytes > _LARGEST_FRAME_BYTES:
        raise NotAcceptable("A frame this large is not decoded here; ask for transfer-syntax=* to get it as stored")
    try:
        if transfer_syntax_uid == DEFLATED_FRAMES:
            return from_native(inflate_frame(stream, layout.native_frame_bytes), layout)
        if transfer_syntax_uid == RLE_LOSSLESS and layout.bits_allocated == 1:
            return from_native(unpack_rle_bits(stream, layout.samples_per_frame), layout)
    except InstanceUnreadable as err:
        raise NotAcceptable(str(err)) from err
    try:
        if _extra_is_needed(transfer_syntax_uid, layout):
            return _decode_with_extra(stream, layout, transfer_syntax_uid)
        pixels, described = get_decoder(UID(transfer_syntax_uid)).as_array(
            encapsulate([stream], has_bot=False), index=0, **_options(layout, transfer_syntax_uid)
        )
    except Exception as err:  # codecs raise what they like on bytes that they cannot read
        _log.warning("a frame in %s could not be decoded: %s", transfer_syntax_uid, type(err).__name__)
        raise NotAcceptable(
            f"The pixels are stored in {_name(transfer_syntax_uid)} and cannot be decoded here; "
            "ask for transfer-syntax=* to get them as stored"
        ) from err
    if layout.bits_allocated in (16, 32):  # a stream of fewer bits may have come in a smaller container
        pixels = pixels.astype(f"{'i' if layout.signed else 'u'}{layout.bits_allocated // 8}", copy=False)
    return DecodedFrame(np.ascontiguousarray(pixels), _settled(layout, str(described["photometric_interpretation"])))


def _extra_is_needed(transfer_syntax_uid: str, layout: PixelFormat) -> bool:
    if transfer_syntax_uid == _JPEG_EXTENDED:
        return layout.bits_stored > 8
    return transfer_syntax_uid in _EXTRA_CODECS


def _extra_codec(transfer_syntax_uid: str) -> Callable[[bytes], Any] | None:
    """A decoder of the extra ``codecs``, where it is installed."""
    try:
        import imagecodecs
    except ImportError:
        return None
    return getattr(imagecodecs, _EXTRA_CODECS[transfer_syntax_uid], None)


def _decode_with_extra(stream: bytes, layout: PixelFormat, transfer_syntax_uid: str) -> DecodedFrame:
    decode = _extra_codec(transfer_syntax_uid)
    if decode is None:
        raise NotAcceptable("The extra codecs are not installed")
    kind = "i" if layout.signed else "u"
    pixels = np.asarray(decode(stream)).astype(f"{kind}{layout.bits_allocated // 8}", copy=False)
    photometric = "RGB" if layout.samples == 3 else layout.photometric
    return DecodedFrame(np.ascontiguousarray(pixels.reshape(_shape(layout))), _settled(layout, photometric))


def _options(layout: PixelFormat, transfer_syntax_uid: str) -> dict[str, Any]:
    return {
        "rows": layout.rows,
        "columns": layout.columns,
        "samples_per_pixel": layout.samples,
        "bits_allocated": layout.bits_allocated,
        "bits_stored": _codec_bits(layout, transfer_syntax_uid),
        "photometric_interpretation": layout.photometric,
        "pixel_representation": int(layout.signed),
        "planar_configuration": layout.planar,
        "number_of_frames": 1,
        "pixel_keyword": "PixelData",
        # Bits above Bits Stored may hold an overlay (PS3.5 8.1.1): what a lossless codec kept is passed on.
        "correct_unused_bits": False,
        # The YCbCr of a JPEG stream belongs to its compression; that of other codecs is what was stored.
        "as_rgb": transfer_syntax_uid in _JPEG_LOSSY,
    }


def _codec_bits(layout: PixelFormat, transfer_syntax_uid: str) -> int:
    """Bits Stored as a codec is told: GDCM ends the process over JPEG Lossless of fewer than 8 bits in bytes."""
    if transfer_syntax_uid in _JPEG_LOSSLESS and layout.bits_allocated == 8:
        return 8
    return layout.bits_stored


def unpack_bits(data: bytes, count: int, skip: int = 0) -> np.ndarray[Any, Any]:
    """The first ``count`` bits after ``skip``, one byte each; the least significant bit comes first (PS3.5 8.1.1)."""
    return np.unpackbits(np.frombuffer(data, dtype=np.uint8), bitorder="little")[skip : skip + count]


def pack_bits(bits: np.ndarray[Any, Any]) -> bytes:
    """The inverse of `unpack_bits`; the last byte is filled with zeros."""
    return np.packbits(bits, bitorder="little").tobytes()


def array_of(native: bytes, layout: PixelFormat) -> np.ndarray[Any, Any]:
    """The values of a little-endian native frame, shape (rows, columns[, samples]); planes are interleaved."""
    if layout.bits_allocated == 1:
        bits = unpack_bits(native, layout.samples_per_frame)
        return bits.reshape(_shape(layout))
    if layout.bits_allocated not in (8, 16, 32, 64):
        raise NotAcceptable(f"Pixels of {layout.bits_allocated} bits cannot be decoded here")
    kind = {0x7FE00008: "f", 0x7FE00009: "f"}.get(layout.tag, "i" if layout.signed else "u")
    values = np.frombuffer(native, dtype=f"<{kind}{layout.bits_allocated // 8}", count=layout.samples_per_frame)
    if layout.photometric == "YBR_FULL_422" and layout.samples == 3:
        return _spread_chroma(values, layout)
    if layout.samples > 1 and layout.planar == 1:
        return values.reshape(layout.samples, layout.rows, layout.columns).transpose(1, 2, 0)
    return values.reshape(_shape(layout))


def from_native(native: bytes, layout: PixelFormat) -> DecodedFrame:
    """The values of a little-endian native frame, with its shared chroma spread and its planes interleaved."""
    return DecodedFrame(np.ascontiguousarray(array_of(native, layout)), _settled(layout, layout.photometric))


def _settled(layout: PixelFormat, photometric: str) -> PixelFormat:
    """How one frame's values are described once every pixel has its own chroma and its samples side by side."""
    if photometric == "YBR_FULL_422" and layout.samples == 3:
        photometric = "YBR_FULL"
    return replace(layout, photometric=photometric, planar=0, frames=1)


def _shape(layout: PixelFormat) -> tuple[int, ...]:
    if layout.samples == 1:
        return (layout.rows, layout.columns)
    return (layout.rows, layout.columns, layout.samples)


def _spread_chroma(values: np.ndarray[Any, Any], layout: PixelFormat) -> np.ndarray[Any, Any]:
    """Y1 Y2 Cb Cr → Y1 Cb Cr, Y2 Cb Cr (PS3.3 C.7.6.3.1.2)."""
    quads = values.reshape(-1, 4)
    pixels = np.empty((len(quads), 2, 3), dtype=values.dtype)
    pixels[:, :, 0] = quads[:, :2]
    pixels[:, :, 1:] = quads[:, None, 2:]
    return pixels.reshape(layout.rows, layout.columns, 3)


def _name(transfer_syntax_uid: str) -> str:
    name = UID(transfer_syntax_uid).name
    return f"{name} ({transfer_syntax_uid})" if name != transfer_syntax_uid else transfer_syntax_uid

"""Pixel values → one compressed frame, by whichever codec is installed (PS3.5 8.2)."""

from __future__ import annotations

import io
import logging
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from types import ModuleType
from typing import Any, Final

import numpy as np
from PIL import Image

from service.core.frame_streams import DEFLATED_FRAMES
from service.core.pixel_format import PixelFormat
from service.errors import NotAcceptable
from service.web.dicomweb.frame_reader import native_bytes
from service.web.dicomweb.pixel_decoding import RLE_LOSSLESS, DecodedFrame

JPEG_BASELINE: Final = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS: Final = "1.2.840.10008.1.2.4.70"
JPEG_LS: Final = "1.2.840.10008.1.2.4.80"
JPEG_2000: Final = "1.2.840.10008.1.2.4.90"
HTJ2K: Final = "1.2.840.10008.1.2.4.201"

_PIXEL_DATA: Final = 0x7FE00010
_COLOURS: Final = frozenset({"RGB", "YBR_FULL"})
_GREYS: Final = frozenset({"MONOCHROME1", "MONOCHROME2"})
_RLE_SEGMENTS: Final = 15
_OPENJPEG_BITS: Final = 24
_SMALLEST_OPENJPEG: Final = 32  # a side of its smallest image, by six resolutions
_SMALLEST_JPEG_LS: Final = 256  # bytes; pyjpegls leaves no room for the stream's head beside fewer
_QUALITY: Final = 90
_LARGEST_SIDE: Final = 65535

_log = logging.getLogger(__name__)


def lossless_encodings(layout: PixelFormat) -> tuple[str, ...]:
    """The transfer syntaxes in which pixels of this layout go out with nothing lost, the preferred one first."""
    if not _compressible(layout):
        return ()
    if layout.bits_allocated == 1:
        # The other codecs know whole bytes only; what RLE of single bits looks like is read in two ways.
        return (DEFLATED_FRAMES,)
    photographic = layout.samples == 1 or (layout.samples == 3 and layout.photometric in _COLOURS | {"YBR_FULL_422"})
    return (*(_photographic(layout) if photographic else ()), DEFLATED_FRAMES)


def _photographic(layout: PixelFormat) -> Iterator[str]:
    """Those of the codecs that take grey and colour; what they leave out their libraries refuse."""
    usual = layout.bits_allocated in (8, 16)
    wide = layout.bits_allocated == 32 and layout.bits_stored <= _OPENJPEG_BITS
    if usual and layout.native_frame_bytes >= _SMALLEST_JPEG_LS:
        yield JPEG_LS
    if (usual or wide) and min(layout.rows, layout.columns) >= _SMALLEST_OPENJPEG:
        yield JPEG_2000
    if usual and _extra_codecs() is not None:
        yield HTJ2K
        if layout.samples == 1 or layout.photometric == "RGB":
            yield JPEG_LOSSLESS
    if layout.bits_allocated // 8 * layout.samples <= _RLE_SEGMENTS:
        yield RLE_LOSSLESS


def lossy_encodings(layout: PixelFormat) -> tuple[str, ...]:
    """The transfer syntaxes in which something would be lost; for who names one of them alone."""
    grey = layout.samples == 1 and layout.photometric in _GREYS
    colour = layout.samples == 3 and layout.photometric in _COLOURS | {"YBR_FULL_422"}
    eight_bits = layout.bits_allocated == layout.bits_stored == 8 and not layout.signed
    return (JPEG_BASELINE,) if _compressible(layout) and eight_bits and (grey or colour) else ()


def encode_frame(frame: DecodedFrame, transfer_syntax_uid: str) -> bytes:
    """Compress one frame; lossless but for JPEG baseline.

    Raises
    ------
    NotAcceptable : the codec refuses these pixels
    """
    try:
        return _ENCODERS[transfer_syntax_uid](frame)
    except NotAcceptable:
        raise
    except Exception as error:  # codecs raise what they like on pixels that they cannot take
        _log.warning("a frame could not be written in %s: %s", transfer_syntax_uid, type(error).__name__)
        raise NotAcceptable(
            f"These pixels cannot be written in {transfer_syntax_uid} here; ask for transfer-syntax=* "
            "to get them as stored"
        ) from error


def encoded_format(decoded: PixelFormat, transfer_syntax_uid: str) -> PixelFormat:
    """How an object describes pixels that `encode_frame` compressed: no codec here turns one colour space to another.

    The segments of RLE are planes (PS3.5 G.2); the other codecs keep samples side by side.
    """
    planar = int(transfer_syntax_uid == RLE_LOSSLESS and decoded.samples > 1)
    return replace(decoded, planar=planar)


def _compressible(layout: PixelFormat) -> bool:
    """Only integers are ever compressed: Float Pixel Data is always native (PS3.5 A.4)."""
    return layout.tag == _PIXEL_DATA and max(layout.rows, layout.columns) <= _LARGEST_SIDE


@cache
def _extra_codecs() -> ModuleType | None:
    """The extra ``codecs``, where it is installed."""
    try:
        import imagecodecs
    except ImportError:
        return None
    return imagecodecs  # type: ignore[no-any-return, unused-ignore]


def _precision(frame: DecodedFrame) -> int:
    """Bits that hold every value: Bits Stored, or Bits Allocated where something stands above them (PS3.5 8.1.1)."""
    layout = frame.format
    bits = layout.bits_stored
    if not 0 < bits < layout.bits_allocated:
        return layout.bits_allocated
    lowest, highest = (-(1 << bits - 1), (1 << bits - 1) - 1) if layout.signed else (0, (1 << bits) - 1)
    fits = int(frame.pixels.min()) >= lowest and int(frame.pixels.max()) <= highest
    return bits if fits else layout.bits_allocated


def _unsigned(frame: DecodedFrame, precision: int) -> np.ndarray[Any, Any]:
    """The bits of each value as an unsigned number in the smallest container."""
    raw = frame.pixels.view(f"u{frame.pixels.dtype.itemsize}") & ((1 << precision) - 1)
    return np.ascontiguousarray(raw.astype("u1" if precision <= 8 else "<u2"))


def _jpeg_ls(frame: DecodedFrame) -> bytes:
    from jpeg_ls import encode_pixel_data

    layout = frame.format
    precision = max(_precision(frame), 2)  # ISO/IEC 14495-1 begins there
    return bytes(
        encode_pixel_data(
            _unsigned(frame, precision).tobytes(),
            rows=layout.rows,
            columns=layout.columns,
            samples_per_pixel=layout.samples,
            bits_stored=precision,
            planar_configuration=0,
        )
    )


def _jpeg_2000(frame: DecodedFrame) -> bytes:
    from openjpeg.utils import encode_buffer

    layout = frame.format
    precision = _precision(frame)
    if precision > _OPENJPEG_BITS:
        raise NotAcceptable(f"JPEG 2000 is written here for at most {_OPENJPEG_BITS} bits")
    size = 1 if precision <= 8 else 2 if precision <= 16 else 4
    container = frame.pixels.astype(f"<{'i' if layout.signed else 'u'}{size}")
    # Without the colour transformation, so that the Photometric Interpretation stays what it is.
    return bytes(
        encode_buffer(
            container.tobytes(),
            layout.columns,
            layout.rows,
            layout.samples,
            precision,
            layout.signed,
            use_mct=False,
        )
    )


def _htj2k(frame: DecodedFrame) -> bytes:
    return bytes(_extras().htj2k_encode(np.ascontiguousarray(frame.pixels), rgb=False, reversible=True))


def _jpeg_lossless(frame: DecodedFrame) -> bytes:
    """Process 14 with selection value 1.

    The stream knows no sign, so that signed values are kept in all their bits; and whoever reads it keeps no more than
    Bits Stored.
    """
    layout = frame.format
    precision = max(_precision(frame), 8)
    if precision > max(layout.bits_stored, 8):
        raise NotAcceptable(f"JPEG Lossless keeps nothing above Bits Stored; ask for transfer-syntax={JPEG_LS}")
    if layout.signed:
        precision = layout.bits_allocated
    options: dict[str, Any] = {"lossless": True, "predictor": 1, "bitspersample": precision}
    if layout.samples == 3:
        options |= {"colorspace": "RGB", "outcolorspace": "RGB"}
    return bytes(_extras().jpeg8_encode(_unsigned(frame, precision), **options))


def _rle(frame: DecodedFrame) -> bytes:
    from rle.utils import encode_pixel_data

    layout = frame.format
    stream = bytes(
        encode_pixel_data(
            native_bytes(frame),
            byteorder="<",
            rows=layout.rows,
            columns=layout.columns,
            samples_per_pixel=layout.samples,
            bits_allocated=layout.bits_allocated,
        )
    )
    return stream + b"\0" * (len(stream) % 2)


def _deflated(frame: DecodedFrame) -> bytes:
    compressor = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(native_bytes(frame)) + compressor.flush()


def _jpeg_baseline(frame: DecodedFrame) -> bytes:
    mode = {"RGB": "RGB", "YBR_FULL": "YCbCr"}.get(frame.format.photometric, "L")
    target = io.BytesIO()
    # 4:2:2, which is what YBR_FULL_422 says (PS3.5 8.2.1).
    Image.frombytes(mode, (frame.format.columns, frame.format.rows), native_bytes(frame)).save(
        target, "JPEG", quality=_QUALITY, subsampling=1
    )
    return target.getvalue()


def _extras() -> Any:
    found = _extra_codecs()
    if found is None:
        raise NotAcceptable("The extra codecs are not installed")
    return found


_ENCODERS: Final[dict[str, Callable[[DecodedFrame], bytes]]] = {
    JPEG_BASELINE: _jpeg_baseline,
    JPEG_LOSSLESS: _jpeg_lossless,
    JPEG_LS: _jpeg_ls,
    JPEG_2000: _jpeg_2000,
    HTJ2K: _htj2k,
    RLE_LOSSLESS: _rle,
    DEFLATED_FRAMES: _deflated,
}

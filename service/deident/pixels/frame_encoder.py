"""Encoding one blackened frame again, without loss wherever the transfer syntax allows (PS3.5 A.4)."""

from __future__ import annotations

import io
from typing import Any, Final, cast

import numpy as np
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import UID

from service.core.pixel_format import PixelFormat
from service.deident.pixels.frame_reader import JPEG_BASELINE, Stored
from service.errors import TransferSyntaxNotSupported

RLE: Final = "1.2.840.10008.1.2.5"
JPEG_LS: Final = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR: Final = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS: Final = "1.2.840.10008.1.2.4.90"
JPEG_2000: Final = "1.2.840.10008.1.2.4.91"
JPEG_LOSSLESS: Final = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
HTJ2K: Final = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")

# The lossy ones take a stream without loss as well: nothing is lost a second time.
_WRITTEN_AS: Final = {RLE: RLE, JPEG_LS: JPEG_LS, JPEG_LS_NEAR: JPEG_LS} | dict.fromkeys(
    (JPEG_2000_LOSSLESS, JPEG_2000), JPEG_2000_LOSSLESS
)
_QUALITY: Final = 95


def encode_lossless(stored: Stored, photometric: str, layout: PixelFormat, transfer_syntax_uid: str) -> bytes:
    """The code stream of one frame without loss, in a transfer syntax that can hold it.

    Parameters
    ----------
    stored : shape (rows, columns[, samples])
    photometric : as it is to be declared; YBR_RCT has RGB decorrelated by JPEG 2000 (PS3.5 8.2.4)

    Raises
    ------
    TransferSyntaxNotSupported : no encoder here writes it
    """
    if transfer_syntax_uid in JPEG_LOSSLESS:
        return _jpeg_lossless(stored, photometric, layout)
    if transfer_syntax_uid in HTJ2K:
        return _high_throughput(stored)
    written_as = _WRITTEN_AS.get(transfer_syntax_uid)
    if written_as is None:
        raise TransferSyntaxNotSupported(f"no encoder here writes transfer syntax {transfer_syntax_uid}")
    options: dict[str, Any] = {
        "rows": layout.rows,
        "columns": layout.columns,
        "samples_per_pixel": layout.samples,
        "bits_allocated": layout.bits_allocated,
        "bits_stored": _bits_needed(stored, layout),
        "photometric_interpretation": photometric,
        "pixel_representation": int(layout.signed),
        "number_of_frames": 1,
    }
    if layout.samples > 1:
        options["planar_configuration"] = 0
    try:
        values = np.ascontiguousarray(_little(stored)).tobytes()
        return bytes(get_encoder(UID(written_as)).encode(values, index=0, **options))
    except Exception as error:  # codecs raise what they like on what they cannot write
        raise TransferSyntaxNotSupported(
            f"a frame cannot be written in transfer syntax {transfer_syntax_uid}"
        ) from error


def encode_jpeg(stored: Stored, photometric: str, original: bytes) -> bytes:
    """One frame as JPEG Baseline, with the tables of the stream that it came in: so that next to nothing is lost again.

    Parameters
    ----------
    stored : shape (rows, columns) or (rows, columns, 3), 8 bits; colour as RGB
    photometric : of the header; RGB means that the stream itself holds RGB
    original : the stream before
    """
    from PIL import Image, JpegImagePlugin

    with Image.open(io.BytesIO(original)) as before:
        tables = getattr(before, "quantization", None)
        sampling = JpegImagePlugin.get_sampling(before) if before.mode in ("RGB", "YCbCr") else -1
    options: dict[str, Any] = {"qtables": tables} if tables else {"quality": _QUALITY}
    if stored.ndim == 3:
        options |= {"keep_rgb": True} if photometric == "RGB" else {"subsampling": max(sampling, 0)}
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(stored)).save(stream, "JPEG", **options)
    return stream.getvalue()


def may_stay(transfer_syntax_uid: str) -> bool:
    """Whether a changed frame can go back in the transfer syntax that it came in."""
    if transfer_syntax_uid in HTJ2K:
        return _imagecodecs() is not None
    return transfer_syntax_uid in (*_WRITTEN_AS, *JPEG_LOSSLESS, JPEG_BASELINE)


def _bits_needed(stored: Stored, layout: PixelFormat) -> int:
    """Bits Stored, or all bits where a lossy stream holds values beyond them."""
    bits = layout.bits_stored
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if layout.signed else (0, (1 << bits) - 1)
    return bits if low <= int(stored.min()) and int(stored.max()) <= high else layout.bits_allocated


def _little(stored: Stored) -> Stored:
    return stored.astype(stored.dtype.newbyteorder("<"), copy=False)


def _jpeg_lossless(stored: Stored, photometric: str, layout: PixelFormat) -> bytes:
    """JPEG Lossless, first-order prediction (Process 14, Selection Value 1), which both transfer syntaxes may hold."""
    import gdcm

    if photometric in ("YBR_RCT", "YBR_ICT"):
        photometric = "RGB"
    writer = gdcm.ImageWriter()  # owns the image
    image = writer.GetImage()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((layout.columns, layout.rows, 1))
    kind = gdcm.PhotometricInterpretation.GetPIType(photometric)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.ImplicitVRLittleEndian))
    stored_bits, signed = layout.bits_stored, int(layout.signed)
    image.SetPixelFormat(gdcm.PixelFormat(layout.samples, layout.bits_allocated, stored_bits, stored_bits - 1, signed))
    if layout.samples > 1:
        image.SetPlanarConfiguration(0)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetByteStringValue(np.ascontiguousarray(_little(stored)).tobytes())
    image.SetDataElement(element)
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(image)
    if not change.Change():
        raise TransferSyntaxNotSupported("a frame cannot be written as JPEG Lossless")
    fragments = change.GetOutput().GetDataElement().GetSequenceOfFragments()
    if fragments is None or fragments.GetNumberOfFragments() != 1:
        raise TransferSyntaxNotSupported("a frame cannot be written as JPEG Lossless")
    stream = fragments.GetFragment(0).GetByteValue().GetBuffer()
    return cast(str, stream).encode("utf-8", "surrogateescape")


def _high_throughput(stored: Stored) -> bytes:
    codecs = _imagecodecs()
    if codecs is None:
        raise TransferSyntaxNotSupported("the extra codecs, which write High-Throughput JPEG 2000, are not installed")
    try:
        return bytes(codecs.htj2k_encode(np.ascontiguousarray(_little(stored)), reversible=True))
    except Exception as error:  # codecs raise what they like on what they cannot write
        raise TransferSyntaxNotSupported("a frame cannot be written as High-Throughput JPEG 2000") from error


def _imagecodecs() -> Any:
    try:
        import imagecodecs
    except ImportError:
        return None
    return imagecodecs if getattr(imagecodecs, "htj2k_encode", None) is not None else None

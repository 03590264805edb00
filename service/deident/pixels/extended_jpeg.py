"""Frames of more than eight bits in lossy JPEG: Process 4, and the two progressive processes that are retired.

pydicom's decoders stop at eight bits; GDCM's own reads twelve (PS3.5 A.4.1, 8.2.1). Nothing here writes them.
"""

from __future__ import annotations

from typing import Any, Final, cast

import numpy as np

from dicom_nodes.errors import InstanceUnreadable
from service.core.pixel_format import PixelFormat

JPEG_EXTENDED: Final = "1.2.840.10008.1.2.4.51"
_NAMED: Final = {
    JPEG_EXTENDED: "JPEGExtendedProcess2_4",
    "1.2.840.10008.1.2.4.53": "JPEGSpectralSelectionProcess6_8",
    "1.2.840.10008.1.2.4.55": "JPEGFullProgressionProcess10_12",
}
LOSSY_JPEG: Final = frozenset(_NAMED)
_LEAST_BITS: Final = 9
_MOST_BITS: Final = 12


def reads_extended(transfer_syntax_uid: str, layout: PixelFormat) -> bool:
    """Whether such frames are read here: grey, nine to twelve bits in sixteen."""
    return (
        transfer_syntax_uid in _NAMED
        and layout.samples == 1
        and layout.bits_allocated == 16
        and _LEAST_BITS <= layout.bits_stored <= _MOST_BITS
    )


def decode_extended(stream: bytes, layout: PixelFormat, transfer_syntax_uid: str) -> np.ndarray[Any, Any]:
    """The stored values of one frame, shape (rows, columns).

    Raises
    ------
    InstanceUnreadable : it is no such stream, or one of another size
    """
    import gdcm

    reader = gdcm.Image()
    reader.SetNumberOfDimensions(2)
    reader.SetDimensions((layout.columns, layout.rows, 1))
    kind = gdcm.PhotometricInterpretation.GetPIType(layout.photometric)
    reader.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    signed = int(layout.signed)
    reader.SetPixelFormat(gdcm.PixelFormat(1, 16, layout.bits_stored, layout.bits_stored - 1, signed))
    reader.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, _NAMED[transfer_syntax_uid])))
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(stream)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    reader.SetDataElement(element)
    values = cast("str | None", reader.GetBuffer())
    native = b"" if values is None else values.encode("utf-8", "surrogateescape")
    if len(native) != layout.native_frame_bytes:
        raise InstanceUnreadable("A frame of the pixel data cannot be decoded")
    return np.frombuffer(native, dtype="<i2" if layout.signed else "<u2").reshape(layout.rows, layout.columns)

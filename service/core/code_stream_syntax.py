"""In which transfer syntax a compressed frame is, as far as its first bytes tell (PS3.5 8.2, A.4).

What is sent as ``image/jpeg`` may be lossless, as the default of PS3.18 Table 8.7.3-5 has it, or baseline, as most of
it is: the code stream knows.
"""

from __future__ import annotations

import struct
from typing import Final

LOOK_BYTES: Final = 64 << 10
"""How much of a frame is looked at; longer headers tell nothing."""

JPEG_BASELINE: Final = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED: Final = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS: Final = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1: Final = "1.2.840.10008.1.2.4.70"
JPEG_LS_LOSSLESS: Final = "1.2.840.10008.1.2.4.80"
JPEG_LS: Final = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS: Final = "1.2.840.10008.1.2.4.90"
JPEG_2000: Final = "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS: Final = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL: Final = "1.2.840.10008.1.2.4.202"
HTJ2K: Final = "1.2.840.10008.1.2.4.203"
RLE_LOSSLESS: Final = "1.2.840.10008.1.2.5"

_SOI, _SOC = b"\xff\xd8", b"\xff\x4f\xff\x51"
_SOS, _COD, _CAP, _SOT = 0xDA, 0x52, 0x50, 0x90
_BASELINE, _EXTENDED, _LOSSLESS, _JPEG_LS_FRAME = 0xC0, 0xC1, 0xC3, 0xF7
_OTHER_PROCESSES: Final = frozenset({0xC2, *range(0xC5, 0xD0)} - {0xC8, 0xCC})
_TRANSFORMATION_AT: Final = 9
"""In a COD segment, after its length: Scod, SGcod and four bytes of SPcod stand before it (ISO/IEC 15444-1 A.6.1)."""
_MOST_RLE_SEGMENTS: Final = 15
_RLE_HEADER_BYTES: Final = 64

# What also fits where another is named: a lossless stream in a syntax that may be lossy, and the like.
_WIDER: Final = {
    JPEG_BASELINE: {JPEG_EXTENDED},
    JPEG_LOSSLESS_SV1: {JPEG_LOSSLESS},
    JPEG_LS_LOSSLESS: {JPEG_LS},
    JPEG_2000_LOSSLESS: {JPEG_2000},
    HTJ2K_LOSSLESS: {HTJ2K_LOSSLESS_RPCL, HTJ2K},
}


def syntax_of_code_stream(start: bytes) -> str:
    """The transfer syntax of a frame that begins with these bytes, "" where they do not tell."""
    if start.startswith(_SOC):
        return _jpeg_2000(start)
    if start.startswith(_SOI):
        return _jpeg(start)
    return RLE_LOSSLESS if _is_rle(start) else ""


def fits(found: str, named: str) -> bool:
    """Whether a code stream of one transfer syntax may stand where another one is named."""
    return found == named or named in _WIDER.get(found, ())


def _jpeg(start: bytes) -> str:
    frame, position = 0, len(_SOI)
    while position + 4 <= len(start) and start[position] == 0xFF:
        marker = start[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        (length,) = struct.unpack_from(">H", start, position + 2)
        if marker in _OTHER_PROCESSES:
            return ""
        if marker in (_BASELINE, _EXTENDED, _LOSSLESS, _JPEG_LS_FRAME):
            frame = marker
        if marker == _SOS:
            return _by_scan(frame, start[position + 4 : position + 2 + length])
        position += 2 + length
    return ""


def _by_scan(frame: int, scan: bytes) -> str:
    """By the frame header and the scan header behind it (ISO/IEC 10918-1 B.2.3, 14495-1 C.2.3)."""
    if frame in (_BASELINE, _EXTENDED):
        return JPEG_BASELINE if frame == _BASELINE else JPEG_EXTENDED
    if not scan or len(scan) < 1 + 2 * scan[0] + 3:
        return ""
    # The selection value of the predictor, or how far from lossless JPEG-LS is.
    parameter = scan[1 + 2 * scan[0]]
    if frame == _LOSSLESS:
        return JPEG_LOSSLESS_SV1 if parameter == 1 else JPEG_LOSSLESS
    if frame == _JPEG_LS_FRAME:
        return JPEG_LS if parameter else JPEG_LS_LOSSLESS
    return ""


def _jpeg_2000(start: bytes) -> str:
    """By the main header (ISO/IEC 15444-1 A, 15444-15 A)."""
    reversible: bool | None = None
    high_throughput = False
    position = 2
    while position + 4 <= len(start) and start[position] == 0xFF and start[position + 1] != _SOT:
        marker = start[position + 1]
        (length,) = struct.unpack_from(">H", start, position + 2)
        segment = start[position + 4 : position + 2 + length]
        high_throughput |= marker == _CAP
        if marker == _COD and len(segment) > _TRANSFORMATION_AT:
            reversible = segment[_TRANSFORMATION_AT] == 1
        position += 2 + length
    if reversible is None:
        return ""
    if high_throughput:
        return HTJ2K_LOSSLESS if reversible else HTJ2K
    return JPEG_2000_LOSSLESS if reversible else JPEG_2000


def _is_rle(start: bytes) -> bool:
    """Whether it begins as an RLE frame does (PS3.5 G.5)."""
    if len(start) < _RLE_HEADER_BYTES:
        return False
    segments, first = struct.unpack_from("<2I", start)
    return bool(1 <= segments <= _MOST_RLE_SEGMENTS and first == _RLE_HEADER_BYTES)

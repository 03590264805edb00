"""What a code stream's first bytes tell of its transfer syntax."""

from __future__ import annotations

import numpy as np
import pytest
from imagecodecs import htj2k_encode, jpeg2k_encode, jpeg8_encode, jpegls_encode

from service.core import code_stream_syntax as syntax
from service.core.code_stream_syntax import fits, syntax_of_code_stream

PIXELS = (np.arange(64 * 64).reshape(64, 64) % 251).astype("u1")


@pytest.mark.parametrize(
    ("stream", "found"),
    [
        (jpeg8_encode(PIXELS), syntax.JPEG_BASELINE),
        (jpeg8_encode(PIXELS, lossless=True, predictor=1), syntax.JPEG_LOSSLESS_SV1),
        (jpeg8_encode(PIXELS, lossless=True, predictor=4), syntax.JPEG_LOSSLESS),
        (jpegls_encode(PIXELS), syntax.JPEG_LS_LOSSLESS),
        (jpegls_encode(PIXELS, level=2), syntax.JPEG_LS),
        (jpeg2k_encode(PIXELS, reversible=True, codecformat="J2K"), syntax.JPEG_2000_LOSSLESS),
        (jpeg2k_encode(PIXELS, level=50, reversible=False, codecformat="J2K"), syntax.JPEG_2000),
        (htj2k_encode(PIXELS, reversible=True), syntax.HTJ2K_LOSSLESS),
        (b"\1\0\0\0\x40\0\0\0" + bytes(60), syntax.RLE_LOSSLESS),
        (b"\xff\xd8\xff\xc2\0\x04ab", ""),
        (b"\xff\xd8", ""),
        (b"\0\0\0\x0cjP  \r\n\x87\n", ""),
        (b"", ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "stream",
)
def test_stream_tells_its_transfer_syntax(stream: bytes, found: str) -> None:
    assert syntax_of_code_stream(stream) == found


@pytest.mark.parametrize(
    ("found", "named", "does"),
    [
        (syntax.JPEG_2000_LOSSLESS, syntax.JPEG_2000, True),
        (syntax.JPEG_2000, syntax.JPEG_2000_LOSSLESS, False),
        (syntax.JPEG_BASELINE, syntax.JPEG_LOSSLESS_SV1, False),
        (syntax.JPEG_LOSSLESS_SV1, syntax.JPEG_LOSSLESS, True),
    ],
)
def test_lossy_stream_never_passes_for_a_lossless_one(found: str, named: str, does: bool) -> None:
    assert fits(found, named) is does

"""What a plain installation decodes: a codec that only a developer's machine has would be missed by users."""

from __future__ import annotations

import pytest
from pydicom.pixels import get_decoder
from pydicom.uid import UID

DECODED = {
    "JPEG Baseline": "1.2.840.10008.1.2.4.50",
    "JPEG Lossless SV1": "1.2.840.10008.1.2.4.70",
    "JPEG-LS Lossless": "1.2.840.10008.1.2.4.80",
    "JPEG 2000 Lossless": "1.2.840.10008.1.2.4.90",
    "HTJ2K Lossless": "1.2.840.10008.1.2.4.201",
    "HTJ2K": "1.2.840.10008.1.2.4.203",
    "RLE Lossless": "1.2.840.10008.1.2.5",
}


@pytest.mark.parametrize("transfer_syntax_uid", DECODED.values(), ids=DECODED)
def test_transfer_syntax_has_a_decoder(transfer_syntax_uid):
    assert get_decoder(UID(transfer_syntax_uid)).is_available

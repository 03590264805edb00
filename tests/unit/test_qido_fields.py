"""Which transfer syntaxes a result says it can be had in."""

from __future__ import annotations

import pytest

from service.web.dicomweb.qido_fields import available_syntaxes

EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.mark.parametrize(
    ("stored", "had"),
    [
        (EXPLICIT, [EXPLICIT]),
        ("1.2.840.10008.1.2", ["1.2.840.10008.1.2", EXPLICIT]),
        ("1.2.840.10008.1.2.4.80", ["1.2.840.10008.1.2.4.80", EXPLICIT]),
        ("1.2.840.10008.1.2.4.102", ["1.2.840.10008.1.2.4.102"]),
    ],
)
def test_native_pixels_are_named_where_a_codec_is_at_hand(stored: str, had: list[str]) -> None:
    known = {"00083002": {"vr": "UI", "Value": [stored]}, "00280100": {"vr": "US", "Value": [16]}}
    assert available_syntaxes(known) == had

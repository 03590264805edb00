"""Dummy values: valid for their VR, the same for everybody (PS3.15 E.3, action D)."""

from __future__ import annotations

from typing import Literal

from service.deident.element_values import Encoding, raw_element

TEXT = "REMOVED"
CODE_SCHEME = "99ANNOGATE"
VALUES = {
    "AE": TEXT,
    "AS": "000D",
    "CS": TEXT,
    "DA": "19000101",
    "DS": "0",
    "DT": "19000101000000",
    "IS": "0",
    "LO": TEXT,
    "LT": TEXT,
    "PN": TEXT,
    "SH": TEXT,
    "ST": TEXT,
    "TM": "000000",
    "UC": TEXT,
    "UI": "2.25.0",
    "UR": "urn:removed",
    "UT": TEXT,
}
ZEROS = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "UV": 8, "SV": 8, "AT": 4, "OF": 4, "OL": 4, "OD": 8}
BINARY_LENGTH = 2


def dummy_value(vr: str) -> bytes:
    """Return the encoded dummy value of a VR."""
    text = VALUES.get(vr)
    return text.encode("ascii") if text is not None else bytes(ZEROS.get(vr, BINARY_LENGTH))


def encoded_item(elements: list[tuple[int, str, bytes]], encoding: Encoding) -> bytes:
    """Encode one sequence item of defined length (PS3.5 7.5) from (tag, VR, value), in order of tags."""
    order: Literal["little", "big"] = "little" if encoding.little_endian else "big"
    content = b""
    for tag, vr, value in elements:
        element = raw_element(tag, vr, value, encoding)
        padded = element.value or b""
        head = (tag >> 16).to_bytes(2, order) + (tag & 0xFFFF).to_bytes(2, order)
        if encoding.implicit_vr:
            head += len(padded).to_bytes(4, order)
        elif vr in ("SQ", "OB", "OW", "UN", "UT", "UC", "UR"):
            head += vr.encode() + b"\0\0" + len(padded).to_bytes(4, order)
        else:
            head += vr.encode() + len(padded).to_bytes(2, order)
        content += head + padded
    item = (0xFFFE).to_bytes(2, order) + (0xE000).to_bytes(2, order)
    return item + len(content).to_bytes(4, order) + content


def code_item(value: str, scheme: str, meaning: str, encoding: Encoding) -> bytes:
    """Encode an item of a code sequence (PS3.3 Table 8.8-1)."""
    elements = [(0x00080100, "SH", value), (0x00080102, "SH", scheme), (0x00080104, "LO", meaning)]
    return encoded_item([(tag, vr, text.encode("ascii")) for tag, vr, text in elements], encoding)


def dummy_code(encoding: Encoding) -> bytes:
    """Encode the one item of a code sequence whose code would identify somebody."""
    return code_item(TEXT, CODE_SCHEME, "Removed", encoding)

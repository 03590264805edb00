"""Clean data sets, and how they are written (PS3.5 7.1, 7.5)."""

from __future__ import annotations

import struct
from typing import Any, TypeAlias

from pydicom.datadict import dictionary_VR
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

Clean: TypeAlias = dict[int, tuple[Any, Any, bool]]
"""A clean data set: by tag the VR (None where it was not said), the bytes or items, and whether it had no length."""
TEXT_DUMMIES = dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), "REMOVED") | {
    "AS": "000D",
    "DA": "19000101",
    "DS": "0",
    "DT": "19000101000000",
    "IS": "0",
    "TM": "000000",
    "UI": "2.25.0",
    "UR": "urn:removed",
}
WIDTHS = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "UV": 8, "SV": 8, "AT": 4, "OF": 4, "OL": 4, "OD": 8}


def put(clean: Clean, tag: int, vr: str, value: bytes) -> None:
    """Put a value into a data set, padded to an even length."""
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB", "UN", "OW") else b" "
    clean[tag] = (vr, value, False)


def put_items(clean: Clean, tag: int, inside: list[Clean]) -> None:
    """Put a sequence into a data set."""
    clean[tag] = ("SQ", inside, False)


def code(value: str, scheme: str, meaning: str) -> Clean:
    """Make the item of a code."""
    item: Clean = {}
    for tag, vr, content in ((0x00080100, "SH", value), (0x00080102, "SH", scheme), (0x00080104, "LO", meaning)):
        put(item, tag, vr, content.encode())
    return item


def dummy(vr: str, keyword: str) -> Any:
    """Return a value that is valid for a VR and says nothing."""
    if vr == "SQ":
        return [code("REMOVED", "99ANNOGATE", "Removed")] if keyword.endswith("CodeSequence") else []
    return TEXT_DUMMIES[vr].encode() if vr in TEXT_DUMMIES else bytes(WIDTHS.get(vr, 2))


def written(clean: Clean, *, implicit: bool) -> bytes:
    """Encode a data set with its values as they stand."""
    parts = []
    for tag, (known_vr, held, undefined) in sorted(clean.items()):
        value = held
        if isinstance(held, list):
            inside = [written(item, implicit=implicit) for item in held]
            value = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in inside)
        length = 0xFFFFFFFF if undefined else len(value)
        value += struct.pack("<HHI", 0xFFFE, 0xE0DD, 0) if undefined else b""
        head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        vr = known_vr or dictionary_VR(tag).split(" or ")[0]
        if implicit:
            head += struct.pack("<I", length)
        elif vr in EXPLICIT_VR_LENGTH_32:
            head += vr.encode() + struct.pack("<HI", 0, length)
        else:
            head += vr.encode() + struct.pack("<H", length)
        parts.append(head + value)
    return b"".join(parts)

"""DICOM JSON → an Explicit VR Little Endian data set (PS3.18 Annex F), with places for values that come apart from it.

Each attribute has to have the VR that PS3.6 gives it, or UN. Group lengths, file meta information and groups that data
sets do not have are left out. JSON is always UTF-8, so Specific Character Set (0008,0005) says ISO_IR 192 where it is
needed or was there. A value that is too long for the length field of its VR goes into UN (PS3.5 6.2.2).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

from pydicom.datadict import dictionary_VR

from dicom_nodes.errors import InstanceUnreadable
from service.core.dicom_json_values import (
    BINARY_WORDS,
    PADDING,
    TEXTS,
    VALUE_REPRESENTATIONS,
    ValueEncoder,
    inline_binary,
)
from service.core.element_places import place_of
from service.core.encoded_data_set import LONG_VRS, UNDEFINED_LENGTH

PIXEL_DATA: Final = 0x7FE00010
_EXTENDED_OFFSET_TABLES: Final = frozenset({0x7FE00001, 0x7FE00002})
_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_TRANSFER_SYNTAX_UID: Final = "00020010"
_NAMED: Final = {"sop_class_uid": "00080016", "sop_instance_uid": "00080018", "study_uid": "0020000D"}
_UID: Final = re.compile(r"(?=.{3,64}$)[0-9]+(\.[0-9]+)+")
_KEY: Final = re.compile(r"[0-9A-Fa-f]{8}")
_CONTENTS: Final = ("Value", "BulkDataURI", "InlineBinary")
_BULK_VRS: Final = VALUE_REPRESENTATIONS - {
    "AE",
    "AS",
    "AT",
    "CS",
    "DA",
    "DT",
    "LO",
    "PN",
    "SH",
    "SQ",
    "TM",
    "UI",
    "UR",
}
"""VRs whose value may be elsewhere (PS3.18 F.2.6)."""
_DEEPEST: Final = 64
_ITEM: Final = b"\xfe\xff\x00\xe0"
_ITEM_DELIMITER: Final = b"\xfe\xff\x0d\xe0\0\0\0\0"
_SEQUENCE_DELIMITER: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"
_LONGEST_SHORT: Final = 0xFFFE
_UTF_8: Final = b"ISO_IR 192"

Attributes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BulkPlace:
    """Where an element stands whose value comes apart from the metadata; the element itself is written later.

    Parameters
    ----------
    is_pixel_data : Pixel Data of the data set itself, not of an icon
    """

    tag: int
    vr: str
    uri: str = field(repr=False)
    is_pixel_data: bool = False


Piece = bytes | BulkPlace


@dataclass(frozen=True, slots=True)
class JsonInstance:
    """One instance of a metadata part.

    Parameters
    ----------
    pieces : the data set, and places in it
    sop_class_uid, sop_instance_uid, study_uid : as sent; the study's "" where there is none that is a UID
    transfer_syntax_uid : of (0002,0010), which has no place in metadata but tells what its bulk data is in
    frames, bits_allocated : as its Image Pixel module has them, 1 and None where it does not say
    rounded : whether a DS lost digits
    """

    pieces: tuple[Piece, ...] = field(repr=False)
    sop_class_uid: str
    sop_instance_uid: str = field(repr=False)
    study_uid: str = field(repr=False)
    transfer_syntax_uid: str = ""
    frames: int = 1
    bits_allocated: int | None = None
    rounded: bool = False

    @property
    def places(self) -> list[BulkPlace]:
        """The elements whose values come apart."""
        return [piece for piece in self.pieces if isinstance(piece, BulkPlace)]


def named_uids(attributes: Any) -> tuple[str, str, str]:
    """SOP Class, SOP Instance and Study Instance UID, each "" where there is none that is a UID; raises nothing."""
    class_uid, instance_uid, study_uid = (_uid(attributes, key) for key in _NAMED.values())
    return class_uid, instance_uid, study_uid


def read_instance(attributes: Any) -> JsonInstance:
    """Encode one instance.

    Raises
    ------
    InstanceUnreadable : an attribute is none, or its VR is another than that of the standard or cannot hold its value;
        or nothing names the instance
    """
    encoder = _Encoder()
    pieces = tuple(_joined(encoder.data_set(attributes, 0)))
    class_uid, instance_uid, study_uid = named_uids(attributes)
    if not class_uid or not instance_uid:
        raise InstanceUnreadable("No SOP Class UID (0008,0016), or no SOP Instance UID (0008,0018)")
    frames, bits = _first_integer(attributes, "00280008"), _first_integer(attributes, "00280100")
    return JsonInstance(
        pieces,
        class_uid,
        instance_uid,
        study_uid,
        _uid(attributes, _TRANSFER_SYNTAX_UID),
        1 if frames is None else max(frames, 1),
        bits,
        encoder.rounded,
    )


def element_head(tag: int, vr: str, length: int) -> bytes:
    """Tag, VR and length of an element; UN where the length does not fit its VR (PS3.5 6.2.2, 7.1.2)."""
    group_and_element = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if vr not in LONG_VRS:
        if length <= _LONGEST_SHORT:
            return group_and_element + struct.pack("<2sH", vr.encode("ascii"), length)
        vr = "UN"
    return group_and_element + struct.pack("<2s2xI", vr.encode("ascii"), length)


class _Encoder:
    """Encodes data sets level by level."""

    def __init__(self) -> None:
        self._values = ValueEncoder()

    @property
    def rounded(self) -> bool:
        return self._values.rounded

    def data_set(self, attributes: Any, depth: int) -> list[Piece]:
        """The elements of a data set or item."""
        if depth > _DEEPEST:
            raise InstanceUnreadable("Sequences nested too deeply")
        if not isinstance(attributes, Mapping):
            raise InstanceUnreadable("A data set in JSON is an object with a member for each attribute")
        passed = self._passed(attributes, depth)
        encoded = [(tag, self._element(tag, attribute, depth)) for tag, attribute in passed]
        declared = f"{_SPECIFIC_CHARACTER_SET:08X}" in attributes
        # Items take it over from the data set that they are in (PS3.5 6.1.2.1).
        if declared or (depth == 0 and self._values.beyond_ascii):
            encoded.append((_SPECIFIC_CHARACTER_SET, [_element(_SPECIFIC_CHARACTER_SET, "CS", _UTF_8)]))
            encoded.sort(key=itemgetter(0))
        return [piece for _, pieces in encoded for piece in pieces]

    @staticmethod
    def _passed(attributes: Mapping[str, Any], depth: int) -> Iterator[tuple[int, Any]]:
        """The attributes that are encoded; tables of offsets into pixels that come apart are true no more."""
        left_out = {_SPECIFIC_CHARACTER_SET}
        pixels = attributes.get(f"{PIXEL_DATA:08X}")
        if depth == 0 and isinstance(pixels, Mapping) and "BulkDataURI" in pixels:
            left_out |= _EXTENDED_OFFSET_TABLES
        return ((tag, attribute) for tag, attribute in _ascending(attributes) if tag not in left_out)

    def _element(self, tag: int, attribute: Any, depth: int) -> list[Piece]:
        vr, content, value = _taken_apart(tag, attribute)
        if vr == "SQ":
            return self._sequence(tag, value, depth)
        if content == "BulkDataURI":
            if vr not in _BULK_VRS:
                raise InstanceUnreadable(f"The VR {vr} cannot have a BulkDataURI{place_of(tag)}")
            if not isinstance(value, str) or not value:
                raise InstanceUnreadable(f"A BulkDataURI that is no address{place_of(tag)}")
            self._values.beyond_ascii |= vr in TEXTS
            return [BulkPlace(tag, vr, value, is_pixel_data=tag == PIXEL_DATA and depth == 0)]
        if content == "InlineBinary":
            return [_element(tag, vr, inline_binary(tag, vr, value))]
        if vr in BINARY_WORDS and value:
            raise InstanceUnreadable(f"The VR {vr} has its value as InlineBinary or BulkDataURI{place_of(tag)}")
        return [_element(tag, vr, self._values.encode(tag, vr, value))]

    def _sequence(self, tag: int, items: list[Any], depth: int) -> list[Piece]:
        pieces: list[Piece] = []
        for item in items:
            pieces += _item(self.data_set({} if item is None else item, depth + 1))
        pieces = list(_joined(pieces))
        if all(isinstance(piece, bytes) for piece in pieces):
            size = sum(len(piece) for piece in pieces if isinstance(piece, bytes))
            return [element_head(tag, "SQ", size), *pieces]
        return [element_head(tag, "SQ", UNDEFINED_LENGTH), *pieces, _SEQUENCE_DELIMITER]


def _ascending(attributes: Mapping[str, Any]) -> Iterator[tuple[int, Any]]:
    """The attributes that belong into a data set, by tag."""
    if not all(isinstance(key, str) and _KEY.fullmatch(key) for key in attributes):
        raise InstanceUnreadable("An attribute whose name is not eight hexadecimal digits")
    by_tag = {int(key, 16): attribute for key, attribute in attributes.items()}
    if len(by_tag) != len(attributes):
        raise InstanceUnreadable("An attribute stands twice in one data set")
    for tag in sorted(by_tag):
        if tag & 0xFFFF and 0x0008 <= tag >> 16 < 0xFFFE:
            yield tag, by_tag[tag]


def _taken_apart(tag: int, attribute: Any) -> tuple[str, str, Any]:
    """VR, which of the three contents there is, and that."""
    if not isinstance(attribute, Mapping):
        raise InstanceUnreadable(f"An attribute in JSON is an object{place_of(tag)}")
    vr = attribute.get("vr")
    if not isinstance(vr, str) or vr not in VALUE_REPRESENTATIONS:
        raise InstanceUnreadable(f"An attribute without a VR of the standard{place_of(tag)}")
    due = _dictionary_vrs(tag)
    if due and vr not in due and vr != "UN":
        raise InstanceUnreadable(f"The VR {vr} stands where {' or '.join(due)} is due{place_of(tag)}")
    found = [name for name in _CONTENTS if attribute.get(name) is not None]
    if len(found) > 1:
        raise InstanceUnreadable(f"An attribute has {' and '.join(found)}; one alone may be{place_of(tag)}")
    content = found[0] if found else "Value"
    value = attribute.get(content)
    if content == "Value" and value is not None and not isinstance(value, list):
        raise InstanceUnreadable(f"Value is an array{place_of(tag)}")
    if vr == "SQ" and content != "Value":
        raise InstanceUnreadable(f"The VR SQ cannot have {content}{place_of(tag)}")
    return vr, content, [] if content == "Value" and value is None else value


@lru_cache(maxsize=8192)
def _dictionary_vrs(tag: int) -> tuple[str, ...]:
    """The VRs that an element of the standard may have; none where PS3.6 does not know it."""
    if tag >> 16 & 1:
        return ("LO",) if 0x10 <= tag & 0xFFFF <= 0xFF else ()
    try:
        return tuple(filter(None, str(dictionary_VR(tag)).split(" or ")))
    except KeyError:
        return ()


def _element(tag: int, vr: str, value: bytes) -> bytes:
    if len(value) % 2:
        value += PADDING.get(vr, b"\0")
    return element_head(tag, vr, len(value)) + value


def _item(pieces: list[Piece]) -> list[Piece]:
    if all(isinstance(piece, bytes) for piece in pieces):
        content = b"".join(piece for piece in pieces if isinstance(piece, bytes))
        return [_ITEM + struct.pack("<I", len(content)) + content]
    return [_ITEM + struct.pack("<I", UNDEFINED_LENGTH), *pieces, _ITEM_DELIMITER]


def _joined(pieces: list[Piece]) -> Iterator[Piece]:
    """The same with neighbouring bytes in one piece."""
    held: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            held.append(piece)
            continue
        if held:
            yield b"".join(held)
            held = []
        yield piece
    if held:
        yield b"".join(held)


def _uid(attributes: Any, key: str) -> str:
    value = _first(attributes, key)
    text = value.strip("\0 ") if isinstance(value, str) else ""
    return text if _UID.fullmatch(text) else ""


def _first_integer(attributes: Any, key: str) -> int | None:
    value = _first(attributes, key)
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _first(attributes: Any, key: str) -> Any:
    """The first value of an attribute, whatever it is; None where there is none."""
    attribute = attributes.get(key, attributes.get(key.lower())) if isinstance(attributes, Mapping) else None
    values = attribute.get("Value") if isinstance(attribute, Mapping) else None
    return values[0] if isinstance(values, list) and values else None

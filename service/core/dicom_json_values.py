"""Values of DICOM JSON as they stand in an Explicit VR Little Endian data set (PS3.18 F.2, PS3.5 6.2).

What a VR cannot hold is refused in words that name the element; nothing is guessed. The one thing that is changed is a
number for a DS that needs more than its 16 characters: it is written with as many digits as fit, and that is told.
"""

from __future__ import annotations

import re
import struct
from base64 import b64decode
from collections.abc import Callable, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any, Final, Never

from pydicom.valuerep import format_number_as_ds

from dicom_nodes.errors import InstanceUnreadable
from service.core.element_places import place_of

BINARY_WORDS: Final = {"OB": 1, "UN": 1, "OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
"""VRs whose value is binary, with the bytes of one word."""
TEXTS: Final = frozenset({"LT", "ST", "UR", "UT"})
"""VRs that hold one value, in which a backslash is a character."""
STRINGS: Final = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "SH", "TM", "UC", "UI"})
NUMBERS: Final = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
VALUE_REPRESENTATIONS: Final = frozenset({*BINARY_WORDS, *TEXTS, *STRINGS, *NUMBERS, "AT", "DS", "IS", "PN", "SQ"})
PADDING: Final = {"UI": b"\0"} | dict.fromkeys((*TEXTS, *STRINGS - {"UI"}, "DS", "IS", "PN"), b" ")
"""What makes the length of a value of text even; other values are padded with zero (PS3.5 6.2)."""

_ANY_CHARACTER_SET: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_LONG_NUMBERS: Final = frozenset({"SV", "UV"})
_NAME_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_NOT_FINITE: Final = {"nan": "nan", "inf": "inf", "-inf": "-inf", "infinity": "inf", "-infinity": "-inf"}
_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,30}")
_LONGEST_NUMBER: Final = 400
_MOST_PLACES: Final = 400
_LONGEST_DS: Final = 16
_LEAST_IS: Final = -(2**31)
_GREATEST_IS: Final = 2**31 - 1


class Digits(str):
    """A number of JSON in the digits that it was written with."""

    __slots__ = ()


class ValueEncoder:
    """Encodes the values of one instance.

    ``rounded`` tells whether a DS lost digits, ``beyond_ascii`` whether text needs a Specific Character Set.
    """

    def __init__(self) -> None:
        self.rounded = False
        self.beyond_ascii = False

    def encode(self, tag: int, vr: str, values: Sequence[Any]) -> bytes:
        """The value of an element, without padding.

        Raises
        ------
        InstanceUnreadable : the VR cannot hold it
        """
        if not values:
            return b""
        if vr in NUMBERS:
            return _numbers(tag, vr, values)
        if vr == "AT":
            return b"".join(_tag(tag, value) for value in values)
        if vr in TEXTS and len(values) > 1:
            _refuse(tag, f"The VR {vr} has one value at most")
        text = "\\".join("" if value is None else self._text(tag, vr, value) for value in values)
        self.beyond_ascii |= not text.isascii()
        return _encoded(tag, vr, text)

    def _text(self, tag: int, vr: str, value: Any) -> str:
        if vr == "PN":
            return _name(tag, value)
        if vr in ("DS", "IS") and not _is_text(value):
            return self._decimal(tag, value) if vr == "DS" else _integer_string(tag, value)
        if not _is_text(value):
            _refuse(tag, f"The VR {vr} has a value that is no string")
        return _single(tag, vr, value)

    def _decimal(self, tag: int, value: Any) -> str:
        number = _decimal_of(tag, "DS", value)
        written = str(value)
        if len(written) > _LONGEST_DS and isfinite(float(number)):
            written = format_number_as_ds(float(number))
            self.rounded |= Decimal(written) != number
        elif not isfinite(float(number)):
            _refuse(tag, "The VR DS has a number that is out of range")
        return written


def inline_binary(tag: int, vr: str, text: Any) -> bytes:
    """The bytes of an InlineBinary (PS3.18 F.2.7), without padding.

    Raises
    ------
    InstanceUnreadable : the VR is none of binary values, it is not base64, or the last word is cut short
    """
    if vr not in BINARY_WORDS:
        _refuse(tag, f"The VR {vr} cannot have InlineBinary")
    if not isinstance(text, str):
        _refuse(tag, "InlineBinary that is no string")
    try:
        value = b64decode(text.replace("\r", "").replace("\n", ""), validate=True)
    except ValueError as error:
        raise InstanceUnreadable(f"InlineBinary that is not base64{place_of(tag)}") from error
    if len(value) % BINARY_WORDS[vr]:
        _refuse(tag, f"The VR {vr} has a value that does not end with a whole word")
    return value


def _numbers(tag: int, vr: str, values: Sequence[Any]) -> bytes:
    convert: Callable[[int, str, Any], float] = _float if vr in ("FL", "FD") else _integer
    try:
        return struct.pack(f"<{len(values)}{NUMBERS[vr]}", *(convert(tag, vr, value) for value in values))
    except (struct.error, OverflowError):
        _refuse(tag, f"The VR {vr} has a number that is out of range")


def _integer(tag: int, vr: str, value: Any) -> int:
    if vr in _LONG_NUMBERS and _is_text(value):
        if not _WHOLE.fullmatch(value):
            _refuse(tag, f"The VR {vr} has a value that is no integer")
        return int(value)
    number = _decimal_of(tag, vr, value)
    if number != number.to_integral_value():
        _refuse(tag, f"The VR {vr} has a value that is no integer")
    return int(number)


def _float(tag: int, vr: str, value: Any) -> float:
    if _is_text(value) and value.lower() in _NOT_FINITE:
        return float(_NOT_FINITE[value.lower()])
    number = float(_decimal_of(tag, vr, value))
    if not isfinite(number):
        _refuse(tag, f"The VR {vr} has a number that is out of range")
    return number


def _decimal_of(tag: int, vr: str, value: Any) -> Decimal:
    """A number of JSON, exactly; what has so many places that no VR holds it is refused before anybody counts them."""
    if isinstance(value, bool) or not isinstance(value, Digits | int | float):
        _refuse(tag, f"The VR {vr} has a value that is no number")
    text = str(value)
    if len(text) > _LONGEST_NUMBER or (isinstance(value, float) and not isfinite(value)):
        _refuse(tag, f"The VR {vr} has a number that is out of range")
    number = Decimal(text)
    if number and abs(number.adjusted()) > _MOST_PLACES:
        _refuse(tag, f"The VR {vr} has a number that is out of range")
    return number


def _integer_string(tag: int, value: Any) -> str:
    number = _integer(tag, "IS", value)
    if not _LEAST_IS <= number <= _GREATEST_IS:
        _refuse(tag, "The VR IS has a number that is out of range")
    return str(number)


def _tag(tag: int, value: Any) -> bytes:
    if not _is_text(value) or not _TAG.fullmatch(value):
        _refuse(tag, "The VR AT has a value that is no tag of eight hexadecimal digits")
    number = int(value, 16)
    return struct.pack("<HH", number >> 16, number & 0xFFFF)


def _name(tag: int, value: Any) -> str:
    """A name in its component groups (PS3.18 F.2.2); one string stands for all of them, with = between."""
    if _is_text(value):
        return _single(tag, "PN", value)
    if not isinstance(value, dict) or not value.keys() <= set(_NAME_GROUPS):
        _refuse(tag, "A name is an object with Alphabetic, Ideographic and Phonetic")
    groups = [value.get(group) or "" for group in _NAME_GROUPS]
    if not all(map(_is_text, groups)) or any("=" in group for group in groups):
        _refuse(tag, "A name has a component group that is no string, or several in one")
    return _single(tag, "PN", "=".join(groups).rstrip("="))


def _single(tag: int, vr: str, value: str) -> str:
    if vr not in TEXTS and "\\" in value:
        _refuse(tag, f"The VR {vr} has a backslash within one value")
    if "\0" in value:
        _refuse(tag, f"The VR {vr} has a NUL within its value")
    return value


def _encoded(tag: int, vr: str, text: str) -> bytes:
    try:
        return text.encode("utf-8" if vr in _ANY_CHARACTER_SET else "ascii")
    except UnicodeEncodeError:
        _refuse(tag, f"The VR {vr} has a character that it cannot have")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Digits)


def _refuse(tag: int, words: str) -> Never:
    raise InstanceUnreadable(words + place_of(tag))

"""Values of elements as they lie in a data set, raw or converted, and raw elements made in their place.

Only what a rule looks at is decoded; what is kept stays as it was encoded.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydicom.charset import decode_bytes, python_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

Element: TypeAlias = DataElement | RawDataElement
BACKSLASH = "\\"
BINARY_PAD = frozenset({"UI", "OB", "UN", "OW"})
DEFAULT_ENCODING = "iso8859"
UNREADABLE = "\ufffd"
NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
TEXT_DELIMITERS = {0x5C, 0x5E, 0x3D}
"""Backslash, caret and equals sign: the character set starts anew after each (PS3.5 6.1.2.5.3)."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the data set at hand is encoded; new elements are made to match.

    Parameters
    ----------
    text : Python codecs of the Specific Character Set in force, the first for values without escape sequences
    """

    implicit_vr: bool = False
    little_endian: bool = True
    text: tuple[str, ...] = (DEFAULT_ENCODING,)

    @property
    def order(self) -> Literal["little", "big"]:
        """The byte order, as ``int.from_bytes`` calls it."""
        return "little" if self.little_endian else "big"


def text_codecs(terms: Iterable[str]) -> tuple[str, ...] | None:
    """Return the Python codecs of Specific Character Set values (PS3.3 C.12.1.1.2); None where one is no term."""
    codecs = []
    for term in terms:
        codec = python_encoding.get(term.strip())
        if codec is None:
            return None
        codecs.append(codec)
    return tuple(codecs) or (DEFAULT_ENCODING,)


def is_empty(element: Element) -> bool:
    """Whether an element has no value; a sequence without items is empty, too."""
    value = element.value
    if value is None:
        return element.VR != "SQ" or not isinstance(element, RawDataElement) or element.length == 0
    if isinstance(element, RawDataElement):
        return not value
    return bool(element.is_empty)


def raw_bytes(element: Element, encoding: Encoding) -> bytes:
    """Return the value as bytes; what was converted is encoded again."""
    value = element.value
    if isinstance(value, bytes):
        return value
    if value is None or isinstance(element, RawDataElement):
        return b""
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if element.VR in NUMBERS:
        return _encoded_numbers(value, NUMBERS[element.VR], encoding)
    return converted_text(value).encode(encoding.text[0], "replace")


def _encoded_numbers(value: object, form: str, encoding: Encoding) -> bytes:
    numbers = list(value) if isinstance(value, MultiValue | list | tuple) else [value]
    order = "<" if encoding.little_endian else ">"
    try:
        return struct.pack(f"{order}{len(numbers)}{form}", *numbers)
    except (struct.error, OverflowError):
        return b""  # set by a program, and no numbers of this VR: they cannot be written either


def converted_text(value: object) -> str:
    """Return a converted value as it stands in the data set, several values joined by backslashes."""
    if isinstance(value, MultiValue | list | tuple):
        return BACKSLASH.join(converted_text(part) for part in value)
    original = getattr(value, "original_string", None)
    return str(value if original is None else original)


def ascii_text(element: Element) -> str:
    """Return the value of a UI, DA, TM, DT, CS, AS, DS or IS element without its padding."""
    value = element.value
    if isinstance(element, RawDataElement):
        return (value or b"").decode("latin-1").strip(" \0")
    return "" if value is None else converted_text(value).strip(" \0")


def ascii_at(data_set: Dataset, tag: int) -> str:
    """Return what ``ascii_text`` gives of an element; the empty text where there is none."""
    element = data_set.get_item(tag, keep_deferred=True)
    return "" if element is None else ascii_text(element)


def decoded_forms(value: bytes, encoding: Encoding) -> list[str]:
    """Return the text as each codec in force reads it, for searching; unreadable bytes become U+FFFD.

    What is UTF-8, whatever the header says, is read as such too, and what is not what the header says as Latin-1.
    """
    if value.isascii() and b"\x1b" not in value:
        return [value.decode("ascii")]
    forms = []
    for codec in dict.fromkeys(encoding.text):
        try:
            forms.append(value.decode(codec, "replace"))
        except LookupError:
            forms.append(value.decode("latin-1"))
    try:
        forms.append(value.decode("utf-8"))
    except UnicodeDecodeError:
        if any(UNREADABLE in form for form in forms):
            forms.append(value.decode("latin-1"))
    return list(dict.fromkeys(forms))


def decoded_text(element: Element, encoding: Encoding) -> str:
    """Return the text as it is meant, escape sequences (PS3.5 6.1.2.5) followed, without padding."""
    if not isinstance(element, RawDataElement):
        return "" if element.value is None else converted_text(element.value).rstrip(" \0")
    value = element.value or b""
    if value.isascii() and b"\x1b" not in value:
        text = value.decode("ascii")
    elif len(encoding.text) == 1:
        text = value.decode(encoding.text[0], "replace")
    else:
        text = decode_bytes(value, list(encoding.text), TEXT_DELIMITERS)
    return text.rstrip(" \0")


def element_forms(element: Element, encoding: Encoding) -> list[str]:
    """Return the value of a text element in every way that it may be read."""
    if isinstance(element, RawDataElement):
        return decoded_forms(element.value or b"", encoding)
    return [] if element.value is None else [converted_text(element.value)]


def raw_element(tag: int, vr: str, value: bytes, encoding: Encoding) -> RawDataElement:
    """Make an element with an encoded value, padded to an even length (PS3.5 6.2)."""
    if len(value) % 2:
        value += b"\0" if vr in BINARY_PAD else b" "
    return RawDataElement(
        BaseTag(tag),
        None if encoding.implicit_vr else vr,
        len(value),
        value,
        0,
        encoding.implicit_vr,
        encoding.little_endian,
    )


def fits(element: DataElement, encoding: Encoding) -> bool:
    """Whether an element's text can be written in the character set in force."""
    if element.VR == "SQ":
        return True
    try:
        converted_text(element.value).encode(encoding.text[0])
    except (UnicodeEncodeError, LookupError):
        return False
    return True

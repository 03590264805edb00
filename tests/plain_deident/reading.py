"""Elements as pydicom's reader leaves them: their bytes, their texts, the items of sequences."""

from __future__ import annotations

import io
import re
from typing import Any

from pydicom.charset import decode_bytes, python_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.values import convert_SQ

from service.deident.element_values import Encoding

UNDEFINED = 0xFFFFFFFF
DELIMITERS = set(b"\\^=")


class Level:
    """Where the walk is: the codecs in force and how elements are encoded."""

    def __init__(self, codecs: tuple[str, ...] = ("iso8859",), implicit: bool = False) -> None:
        self.codecs = codecs
        self.implicit = implicit

    @property
    def encoding(self) -> Encoding:
        """The same for what is shared."""
        return Encoding(self.implicit, True, self.codecs)

    def within(self, data_set: Dataset) -> Level:
        """Return what is in force in a data set at this place."""
        implicit = data_set.original_encoding[0]
        codecs = self.codecs
        element = data_set.get_item(0x00080005, keep_deferred=True)
        if element is not None:
            terms = [python_encoding.get(term.strip()) for term in text(element).split("\\")]
            codecs = codecs if None in terms else tuple(str(term) for term in terms)
        return Level(codecs, self.implicit if implicit is None else bool(implicit))


def read_header(content: bytes, *, implicit: bool) -> Dataset:
    """Read a header, little endian, without groups that are not of a stored object."""
    header = read_dataset(io.BytesIO(content), is_implicit_VR=implicit, is_little_endian=True)
    for tag in [tag for tag in header.keys() if tag.group < 8 or tag.element == 0]:  # noqa: SIM118
        del header[tag]
    return header


def octets(element: Any) -> bytes:
    """Return the bytes of a value; none of what is not bytes."""
    return element.value if isinstance(element.value, bytes) else b""


def text(element: Any) -> str:
    """Return a value of an ASCII VR without padding."""
    return octets(element).decode("latin-1").strip(" \0")


def text_at(data_set: Dataset, tag: int) -> str:
    """Return the value of an ASCII VR at a tag; the empty text where there is none."""
    element = data_set.get_item(tag, keep_deferred=True)
    if element is None:
        return ""
    return text(element) if isinstance(element, RawDataElement) else str(element.value or "").strip(" \0")


def readings(value: bytes, codecs: tuple[str, ...]) -> list[str]:
    """Return a text in every way that it may be read."""
    forms = [value.decode(codec, "replace") for codec in codecs]
    try:
        forms.append(value.decode("utf-8"))
    except UnicodeDecodeError:
        forms += [value.decode("latin-1")] if any("\ufffd" in form for form in forms) else []
    return forms


def decoded(value: bytes, codecs: tuple[str, ...]) -> str:
    """Return a text as it is meant, escape sequences followed."""
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii").rstrip(" \0")
    if len(codecs) == 1:
        return value.decode(codecs[0], "replace").rstrip(" \0")
    return decode_bytes(value, list(codecs), DELIMITERS).rstrip(" \0")


def is_undefined(element: Any) -> bool:
    """Whether an element was written without a length."""
    return bool(element.is_undefined_length if isinstance(element, DataElement) else element.length == UNDEFINED)


def is_uid(value: str) -> bool:
    """Whether a text has the form of a UID."""
    return 0 < len(value) <= 64 and re.fullmatch(r"[0-9]+(\.[0-9]+)*", value) is not None


def items(data_set: Dataset, tag: int) -> list[Dataset] | None:
    """Return the items of a sequence; None where it cannot be read as one."""
    element = data_set.get_item(tag, keep_deferred=True)
    if element is None:
        return None
    if isinstance(element, DataElement):
        return list(element.value) if element.VR == "SQ" else None
    try:
        read = _items(data_set, element)
    except Exception:  # noqa: BLE001 - pydicom raises whatever the bytes lead it to
        return None
    return None if read is None or any(map(_is_cut_short, read)) else read


def _items(data_set: Dataset, element: RawDataElement) -> list[Dataset] | None:
    if element.VR == "UN" or (element.VR is None and element.tag.is_private):
        return list(convert_SQ(element.value or b"", True, True))
    alone = Dataset({element.tag: element})  # reading it in place would convert Pixel Representation as well
    implicit, little = data_set.original_encoding
    alone.set_original_encoding(implicit, little, data_set.original_character_set)
    converted = alone[element.tag]
    return list(converted.value or ()) if converted.VR == "SQ" else None


def _is_cut_short(item: Dataset) -> bool:
    held = [element for _, element in item.items()][-1:]
    if not held or not isinstance(held[0], RawDataElement) or held[0].length == UNDEFINED:
        return False
    return held[0].value is not None and len(held[0].value) < held[0].length


def first_code(item: Dataset, tag: int) -> tuple[str, str]:
    """Return scheme and value of the first code of a code sequence."""
    for inner in items(item, tag) or []:
        return text_at(inner, 0x00080102), text_at(inner, 0x00080100)
    return "", ""

"""Clean headers as bytes: elements that nobody converted are written as they stand.

Most elements are such, and pydicom's own writing converts each of them first, which takes longer than all else.
"""

from __future__ import annotations

import struct

from pydicom.charset import default_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.tag import BaseTag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

UNDEFINED = 0xFFFFFFFF


class ElementEncoder:
    """Writes elements in one encoding (PS3.5 7.1.2, 7.1.3)."""

    def __init__(self, *, implicit_vr: bool, little_endian: bool) -> None:
        order = "<" if little_endian else ">"
        self._implicit_vr = implicit_vr
        self._little_endian = little_endian
        self._implicit = struct.Struct(order + "HHI")
        self._short = struct.Struct(order + "HH2sH")
        self._long = struct.Struct(order + "HH2sxxI")

    def fits(self, element: RawDataElement) -> bool:
        """Whether the element was read in this encoding, with a length; some writers change it in mid-data set."""
        is_explicit = element.VR is not None
        is_read = element.value is not None or element.length == 0
        return is_read and element.is_implicit_VR == self._implicit_vr != is_explicit and element.length != UNDEFINED

    def raw(self, element: RawDataElement) -> bytes:
        """Encode an element that ``fits``."""
        value = element.value or b""
        return self._head(element.tag, element.VR, len(value)) + value

    def element(self, data_set: Dataset, tag: BaseTag, character_set: str | list[str]) -> bytes:
        """Encode an element of a data set, by pydicom where it does not fit."""
        element = data_set.get_item(tag, keep_deferred=True)
        if isinstance(element, RawDataElement) and self.fits(element):
            return self.raw(element)
        converted = data_set[tag]
        if converted.VR == "SQ":
            return self._sequence(converted, character_set)
        buffer = DicomBytesIO()
        buffer.is_implicit_VR, buffer.is_little_endian = self._implicit_vr, self._little_endian
        write_data_element(buffer, converted, character_set)
        return buffer.getvalue()

    def _sequence(self, element: DataElement, character_set: str | list[str]) -> bytes:
        """Encode a sequence item by item (PS3.5 7.5), so that what nobody converted stands as it stood there, too."""
        items = b"".join([self._item(item, character_set) for item in element.value or ()])
        undefined = element.is_undefined_length
        head = self._head(element.tag, None if self._implicit_vr else "SQ", UNDEFINED if undefined else len(items))
        return head + items + (self._implicit.pack(0xFFFE, 0xE0DD, 0) if undefined else b"")

    def _item(self, item: Dataset, character_set: str | list[str]) -> bytes:
        character_set = item.get("SpecificCharacterSet", character_set)
        content = b"".join([self.element(item, tag, character_set) for tag in sorted(item.keys()) if tag.element])
        if item.is_undefined_length_sequence_item:
            end = self._implicit.pack(0xFFFE, 0xE00D, 0)
            return self._implicit.pack(0xFFFE, 0xE000, UNDEFINED) + content + end
        return self._implicit.pack(0xFFFE, 0xE000, len(content)) + content

    def _head(self, tag: int, vr: str | None, length: int) -> bytes:
        if vr is None:
            return self._implicit.pack(tag >> 16, tag & 0xFFFF, length)
        form = self._long if vr in EXPLICIT_VR_LENGTH_32 else self._short
        return form.pack(tag >> 16, tag & 0xFFFF, vr.encode("ascii"), length)


def encoded_header(header: Dataset, *, implicit_vr: bool, little_endian: bool) -> bytes:
    """Encode a data set that was read in this encoding, element for element as it was read."""
    encoder = ElementEncoder(implicit_vr=implicit_vr, little_endian=little_endian)
    character_set = character_set_of(header)
    return b"".join(encoder.element(header, tag, character_set) for tag in sorted(header.keys()))


def character_set_of(header: Dataset) -> str | list[str]:
    """Return Specific Character Set (0008,0005) as pydicom's writer takes it."""
    declared: str | list[str] = header.get("SpecificCharacterSet", default_encoding)
    return declared

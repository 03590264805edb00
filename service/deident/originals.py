"""What the vault keeps of a header: the patient's and the study's own attributes and the UIDs that were replaced."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable
from typing import Any, TypeAlias

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import PersonName

from service.deident.element_values import (
    BACKSLASH,
    NUMBERS,
    Element,
    Encoding,
    converted_text,
    decoded_text,
    text_codecs,
)
from service.deident.sequence_items import items_of

Json: TypeAlias = dict[str, Any]
SINGLE_TEXT = frozenset({"ST", "LT", "UT", "UR"})
STRINGS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UC", "UI"}) | SINGLE_TEXT
NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
CHARACTER_SET = 0x00080005
UTF8 = "utf8"
MAX_DEPTH = 8
"""Study attributes are codes and identifications; what is nested deeper is not kept."""


def elements_json(header: Dataset, tags: Iterable[int], encoding: Encoding, depth: int = 0) -> Json:
    """Return elements in the DICOM JSON model (PS3.18 Annex F), with strings as they came, never converted."""
    document: Json = {}
    for tag in sorted(tags):
        element = header.get_item(tag, keep_deferred=True)
        if element is not None:
            document[f"{tag:08X}"] = _element_json(header, element, encoding, depth)
    return document


def elements_of_json(document: Json) -> Dataset:
    """Return the elements that ``elements_json`` wrote, their texts decoded and marked as UTF-8 at every depth."""
    return _in_utf8(Dataset.from_json(document))


def _in_utf8(data_set: Dataset) -> Dataset:
    for element in data_set:
        if element.VR == "SQ":
            for item in element.value:
                _in_utf8(item)
        elif element.VR == "PN" and element.value:
            names = element.value if isinstance(element.value, MultiValue | list) else [element.value]
            in_utf8 = [PersonName(str(name), [UTF8]) for name in names]
            element.value = in_utf8 if len(in_utf8) > 1 else in_utf8[0]
    if CHARACTER_SET in data_set:
        data_set.SpecificCharacterSet = "ISO_IR 192"
    return data_set


def _element_json(header: Dataset, element: Element, encoding: Encoding, depth: int) -> Json:
    vr = element.VR
    if vr is None or vr == "UN":
        try:
            vr = dictionary_VR(element.tag).split(" or ")[0]
        except KeyError:
            vr = "UN"
    if vr == "SQ":
        return {"vr": vr, "Value": _items_json(header, element, encoding, depth)}
    if element.value is None or element.value == b"":
        return {"vr": vr}
    if vr not in STRINGS:
        return {"vr": vr} | _not_text(element, vr, encoding)
    text = decoded_text(element, encoding)
    values = [text] if vr in SINGLE_TEXT else text.split(BACKSLASH)
    if vr == "PN":
        return {"vr": vr, "Value": [_name(value) for value in values]}
    return {"vr": vr, "Value": [value.strip(" \0") for value in values]}


def _not_text(element: Element, vr: str, encoding: Encoding) -> Json:
    """Return numbers as numbers, so that they can be written again, and other bytes as they are."""
    value = element.value
    if vr not in NUMBERS:
        if isinstance(value, bytes):
            return {"InlineBinary": base64.b64encode(value).decode("ascii")}
        return {"Value": [converted_text(value)]}
    if not isinstance(value, bytes):
        return {"Value": list(value) if isinstance(value, MultiValue | list) else [value]}
    width = struct.calcsize(NUMBERS[vr])
    order = "<" if encoding.little_endian else ">"
    count = len(value) // width
    return {"Value": list(struct.unpack(f"{order}{count}{NUMBERS[vr]}", value[: count * width]))}


def _items_json(header: Dataset, element: Element, encoding: Encoding, depth: int) -> list[Json]:
    if depth >= MAX_DEPTH:
        return []
    return [
        elements_json(item, [int(tag) for tag in item.keys()], encoding_of_item(item, encoding), depth + 1)  # noqa: SIM118
        for item in items_of(header, int(element.tag))
    ]


def encoding_of_item(item: Dataset, outer: Encoding) -> Encoding:
    """Return the encoding of an item's texts, which may have a character set of their own."""
    element = item.get_item(CHARACTER_SET, keep_deferred=True)
    if element is None:
        return outer
    codecs = text_codecs(decoded_text(element, outer).split(BACKSLASH))
    return outer if codecs is None else Encoding(outer.implicit_vr, outer.little_endian, codecs)


def _name(value: str) -> dict[str, str]:
    groups = zip(NAME_GROUPS, value.split("="), strict=False)
    return {name: group.strip(" \0") for name, group in groups if group.strip(" \0")}

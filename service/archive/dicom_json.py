"""A data set as DICOM JSON (PS3.18 Annex F), written straight from the encoded values.

Elements that pydicom has not decoded yet are written from their bytes; anything out of the ordinary (a private or
ambiguous VR, a code extension, a value that breaks its VR) goes through pydicom's own decoding. Where Annex F leaves
a choice, this is ours:

- Specific Character Set (0008,0005), where present, says ISO_IR 192: JSON text is always UTF-8;
- DS and IS are numbers with the digits that were stored ("1.50" stays 1.50), strings where they are no numbers;
- FL and FD that JSON has no number for are the strings "NaN", "inf" and "-inf"; SV and UV beyond 2**53 are strings;
- a value that breaks its VR so that it cannot be decoded is written as UN;
- big-endian binary values are written in little-endian order, which PS3.18 has as the default.

In the text that `JsonWriter` returns, `BASE` stands where the base URL of a BulkDataURI goes.
"""

from __future__ import annotations

import re
import struct
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from json.encoder import encode_basestring
from math import isfinite, isnan
from typing import Any

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from service.core.set_aside import NOTHING_ASIDE, SetAside

BASE = "\0"
"""Cannot occur in JSON text, where control characters are escaped."""

PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Float, Double Float and Pixel Data: never inline (PS3.18 10.4.3.3.2)."""

_FLOAT_PIXELS = {0x7FE00008: "OF", 0x7FE00009: "OD"}
_TEXT_DELIMITERS = {0x0D, 0x0A, 0x09, 0x0C}  # where a code extension ends (PS3.5 6.1.2.5.3)
_SPECIFIC_CHARACTER_SET = 0x00080005
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?").fullmatch
_DECIMAL = re.compile(r"([+-]?)0*([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?").fullmatch
_LARGEST_EXACT = 2**53
_REMEMBERED_BYTES = 64
_REMEMBERED_SEQUENCE_BYTES = 4096
_REMEMBERED_SEQUENCES = 512
_PIXEL_REPRESENTATION = 0x00280103
_UTF_8 = '{"vr":"CS","Value":["ISO_IR 192"]}'
_NUMBER_FORMATS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
_BINARY_WORD_BYTES = {"OB": 1, "UN": 1, "OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
BINARY_VRS = frozenset(_BINARY_WORD_BYTES)
_STRINGS = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "PN", "SH", "TM", "UC", "UI", "DS", "IS"})
_TEXTS = frozenset({"LT", "ST", "UT", "UR"})
_CHARACTER_SET_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})

Element = DataElement | RawDataElement


class JsonWriter:
    """Writes the elements of one instance.

    Parameters
    ----------
    instance_path : path of the instance below the base URL, ``/studies/…/series/…/instances/…``; None writes every
        value inline
    bulk_threshold : binary values longer than this many bytes become a BulkDataURI
    aside : what stands for long values; each becomes a BulkDataURI
    """

    def __init__(
        self, instance_path: str | None = None, bulk_threshold: int = 1024, aside: SetAside = NOTHING_ASIDE
    ) -> None:
        self._instance_path = instance_path
        self._bulk_threshold = bulk_threshold
        self._aside = aside

    def data_set(self, data_set: Dataset, path: str = "", bulk: dict[int, str] | None = None) -> str:
        """The whole data set; ``bulk`` gives the VR of elements whose value is elsewhere, by tag."""
        elements: dict[int, Element] = {int(tag): element for tag, element in data_set.items()}
        encodings = _encodings(data_set)
        members = []
        for tag in sorted(elements if not bulk else elements.keys() | bulk.keys()):
            if not tag & 0xFFFF or tag >> 16 == 0x0002:  # group lengths and file meta information
                continue
            if bulk and tag in bulk:
                members.append(f'"{tag:08X}":{{"vr":"{bulk[tag]}",{self._bulk_uri(tag, path)}}}')
            else:
                members.append(self._member(data_set, tag, elements[tag], encodings, path))
        return "{" + ",".join(members) + "}"

    def elements(self, data_set: Dataset, *groups: Iterable[int]) -> list[str]:
        """For each group of tags, which ascend, the elements among them that the data set holds."""
        encodings = _encodings(data_set)
        held: dict[int, Element] = {int(tag): element for tag, element in data_set.items()}
        written = []
        for tags in groups:
            members = [self._member(data_set, tag, held[tag], encodings, "") for tag in tags if tag in held]
            written.append("{" + ",".join(members) + "}")
        return written

    def _member(self, data_set: Dataset, tag: int, element: Element, encodings: tuple[str, ...], path: str) -> str:
        if isinstance(element, RawDataElement):
            value = element.value
            if value is not None and len(value) <= _REMEMBERED_BYTES:
                member = _remembered_member(tag, element.VR, value, element.is_little_endian, encodings)
                if member is not None:
                    return member
        return f'"{tag:08X}":{self._element(data_set, tag, element, encodings, path)}'

    def _element(self, data_set: Dataset, tag: int, element: Element, encodings: tuple[str, ...], path: str) -> str:
        if tag == _SPECIFIC_CHARACTER_SET:
            return _UTF_8
        if isinstance(element, RawDataElement):
            body = self._raw(tag, element, encodings, path)
            if body is not None:
                return body
            try:
                if element.VR == "SQ":
                    return self._sequence(data_set, tag, element, encodings, path)
                return self._decoded(tag, data_set[tag], path)
            except Exception:  # noqa: BLE001 - pydicom raises anything over a broken value; it is then shown as it is
                return self._binary(tag, "UN", element.value or b"", path)
        return self._decoded(tag, element, path)

    def _raw(self, tag: int, element: RawDataElement, encodings: tuple[str, ...], path: str) -> str | None:
        """The element from its bytes, or None when pydicom has to decode it."""
        value = element.value
        vr = element.VR
        if vr is None or vr == "UN":
            # PS3.5 6.2.2 note 2: a known element in UN is in implicit VR little endian
            vr = _dictionary_vr(tag)
        if self._aside.of(value) is not None:
            vr = vr if vr in _BINARY_WORD_BYTES else "OW" if vr is not None and "OW" in vr else "UN"
            return self._binary(tag, vr, value or b"", path)
        if value is None:
            return f'{{"vr":"{vr}"}}' if element.length == 0 and vr in _WRITERS else None
        if vr in _BINARY_WORD_BYTES:
            return self._binary(tag, vr, little_endian(value, vr, element.is_little_endian), path)
        return _raw_body(vr, value, element.is_little_endian, encodings)

    def _sequence(
        self, data_set: Dataset, tag: int, element: RawDataElement, encodings: tuple[str, ...], path: str
    ) -> str:
        """A sequence; the same bytes give the same text at the top, in explicit VR, unless a BulkDataURI is in it."""
        value, implicit_vr, little_endian = element.value or b"", element.is_implicit_VR, element.is_little_endian
        if path or implicit_vr or len(value) > _REMEMBERED_SEQUENCE_BYTES:
            return self._decoded(tag, data_set[tag], path)
        inline = self._instance_path is None, self._bulk_threshold
        key = (value, little_endian, encodings, inline, _pixel_representation(data_set))
        body = _remembered_sequences.get(key)
        if body is None:
            body = self._decoded(tag, data_set[tag], path)
            if BASE not in body:
                if len(_remembered_sequences) >= _REMEMBERED_SEQUENCES:
                    _remembered_sequences.clear()
                _remembered_sequences[key] = body
        return body

    def _decoded(self, tag: int, element: DataElement, path: str) -> str:
        vr, value = str(element.VR), element.value
        if vr == "SQ":
            items = (self.data_set(item, f"{path}{tag:08X}/{index}/") for index, item in enumerate(value or ()))
            body = ",".join(items)
            return f'{{"vr":"SQ","Value":[{body}]}}' if body else '{"vr":"SQ"}'
        if " or " in vr:
            vr = _unambiguous(vr, value)
        if vr in _BINARY_WORD_BYTES:
            return self._binary(tag, vr, value or b"", path)
        if isinstance(value, bytes):
            return self._binary(tag, "UN", value, path)
        if value is None or (isinstance(value, (str, list, tuple, MultiValue)) and not len(value)):
            return f'{{"vr":"{vr}"}}'
        values = value if isinstance(value, (list, tuple, MultiValue)) else (value,)
        return _values(vr, [_WRITERS[vr](_plain(vr, one)) for one in values])

    def _binary(self, tag: int, vr: str, value: bytes, path: str) -> str:
        if not value:
            return f'{{"vr":"{vr}"}}'
        if self._instance_path is not None and (len(value) > self._bulk_threshold or tag in PIXEL_TAGS):
            return f'{{"vr":"{vr}",{self._bulk_uri(tag, path)}}}'
        return f'{{"vr":"{vr}","InlineBinary":"{b64encode(value).decode()}"}}'

    def _bulk_uri(self, tag: int, path: str) -> str:
        return f'"BulkDataURI":"{BASE}{self._instance_path}/bulkdata/{path}{tag:08X}"'


@lru_cache(maxsize=8192)
def _dictionary_vr(tag: int) -> str | None:
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return None


def _encodings(data_set: Dataset) -> tuple[str, ...]:
    """Python names of the encodings in which the data set's undecoded text stands."""
    read = data_set.original_character_set
    if read:
        return (read,) if isinstance(read, str) else tuple(read)
    declared = data_set.get(_SPECIFIC_CHARACTER_SET)
    return tuple(convert_encodings(declared.value if declared is not None else None))


def _pixel_representation(data_set: Dataset) -> str:
    """What decides between US and SS inside sequences as well (PS3.3 C.7.6.3.1)."""
    element = data_set.get_item(_PIXEL_REPRESENTATION)
    return "" if element is None else str(element.value)


def _text(vr: str, value: bytes, encodings: tuple[str, ...]) -> str:
    if vr not in _CHARACTER_SET_VRS:
        return value.decode("latin-1").rstrip("\0 ")
    if b"\x1b" in value:
        return decode_bytes(value, encodings, _TEXT_DELIMITERS).rstrip("\0 ")
    return value.decode(encodings[0], "replace").rstrip("\0 ")


def pixel_vr(tag: int, *, encapsulated: bool, bits_allocated: int | None) -> str:
    """The VR of pixel data whose element is not at hand (PS3.5 8.2, A.4)."""
    if tag in _FLOAT_PIXELS:
        return _FLOAT_PIXELS[tag]
    return "OB" if encapsulated or (bits_allocated or 16) <= 8 else "OW"


def _values(vr: str, values: Iterable[str]) -> str:
    body = ",".join(values)
    return f'{{"vr":"{vr}"}}' if body == "null" else f'{{"vr":"{vr}","Value":[{body}]}}'


def _string(text: str) -> str:
    stripped = text.rstrip("\0 ")
    return encode_basestring(stripped) if stripped else "null"


def _title(text: str) -> str:
    return _string(text.lstrip(" "))


def _person_name(text: str) -> str:
    groups = zip(("Alphabetic", "Ideographic", "Phonetic"), text.rstrip("\0 ").split("="), strict=False)
    members = [f'"{name}":{encode_basestring(group)}' for name, group in groups if group]
    return "{" + ",".join(members) + "}" if members else "null"


def _number_string(text: str) -> str:
    """A DS or IS value as a JSON number with its own digits, or as a string if it is none (PS3.18 Table F.2.3-1)."""
    stripped = text.strip("\0 ")
    if not stripped:
        return "null"
    number = stripped if _JSON_NUMBER(stripped) else _json_number(stripped)
    if number is None or not isfinite(float(number)):
        return encode_basestring(stripped)
    return number


def _json_number(text: str) -> str | None:
    match = _DECIMAL(text)
    if match is None or not any(character.isdigit() for character in text.partition("e")[0].partition("E")[0]):
        return None
    sign, whole, fraction, exponent = match.groups()
    return (
        f"{'-' if sign == '-' else ''}{whole or '0'}{'.' + fraction if fraction else ''}"
        f"{'e' + exponent if exponent else ''}"
    )


def _integer(value: int) -> str:
    return str(int(value))


def _long_integer(value: int) -> str:
    return str(int(value)) if -_LARGEST_EXACT <= value <= _LARGEST_EXACT else f'"{int(value)}"'


def _float(value: float) -> str:
    if isfinite(value):
        return repr(float(value))
    return '"NaN"' if isnan(value) else '"inf"' if value > 0 else '"-inf"'


def _tag(value: int) -> str:
    return f'"{int(value):08X}"'


_WRITERS: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(("AS", "CS", "DA", "DT", "LO", "SH", "TM", "UC", "UI", "LT", "ST", "UT", "UR"), _string),
    **dict.fromkeys(("US", "SS", "UL", "SL"), _integer),
    **dict.fromkeys(("UV", "SV"), _long_integer),
    **dict.fromkeys(("FL", "FD"), _float),
    **dict.fromkeys(("DS", "IS"), _number_string),
    "AE": _title,
    "AT": _tag,
    "PN": _person_name,
}


def _raw_body(vr: str | None, value: bytes, is_little_endian: bool, encodings: tuple[str, ...]) -> str | None:
    if vr in _NUMBER_FORMATS:
        return _raw_numbers(vr, value, is_little_endian)
    if vr in _STRINGS:
        text = _text(vr, value, encodings)
        return f'{{"vr":"{vr}"}}' if not text else _values(vr, map(_WRITERS[vr], text.split("\\")))
    if vr in _TEXTS:
        text = _text(vr, value, encodings)
        return f'{{"vr":"{vr}"}}' if not text else _values(vr, (encode_basestring(text),))
    return None


def _raw_member(
    tag: int, vr: str | None, value: bytes, is_little_endian: bool, encodings: tuple[str, ...]
) -> str | None:
    """An element with its tag, from what it holds alone; None when more is needed."""
    if tag == _SPECIFIC_CHARACTER_SET:
        return f'"{tag:08X}":{_UTF_8}'
    body = _raw_body(_dictionary_vr(tag) if vr is None or vr == "UN" else vr, value, is_little_endian, encodings)
    return None if body is None else f'"{tag:08X}":{body}'


# Nine in ten elements of a series' headers are the same in each.
_remembered_member = lru_cache(maxsize=8192)(_raw_member)
_remembered_sequences: dict[tuple[object, ...], str] = {}


def _raw_numbers(vr: str, value: bytes, little_endian: bool) -> str | None:
    code = _NUMBER_FORMATS[vr]
    size = struct.calcsize(f"<{code}")
    if not value:
        return f'{{"vr":"{vr}"}}'
    if len(value) % size:
        return None
    numbers = struct.unpack(f"{'<' if little_endian else '>'}{len(value) // size}{code}", value)
    return _values(vr, map(_WRITERS[vr], numbers))


def little_endian(value: bytes, vr: str, is_little_endian: bool) -> bytes:
    """A binary value in little-endian order (PS3.5 7.3)."""
    size = _BINARY_WORD_BYTES[vr]
    if is_little_endian or size == 1 or len(value) % size:
        return value
    swapped = bytearray(len(value))
    for position in range(size):
        swapped[position::size] = value[size - 1 - position :: size]
    return bytes(swapped)


def _unambiguous(vr: str, value: object) -> str:
    """A VR for an element whose data set does not tell which it is (PS3.5 Annex A.1)."""
    choices: Sequence[str] = vr.split(" or ")
    if isinstance(value, bytes):
        return "OW" if "OW" in choices else "UN"
    return choices[0]


def _plain(vr: str, value: Any) -> Any:
    """A value of pydicom's as the writers take it: whatever is text in DICOM as its text."""
    if vr in _STRINGS:
        return "" if value is None else str(value)
    return value

"""A data set as XML: the Native DICOM Model (PS3.19 Annex A.1), from DICOM JSON and back (PS3.18 Annex F).

Where the two forms do not say the same, this is what happens:

- a private element carries its creator and not its block (Table A.1.5-2): the Private Creator elements themselves are
  not written where an element of their block is;
- a private element without a creator in its data set keeps its tag as it is;
- a name of more than five components has the rest in NameSuffix; delimiters at the end of a name go;
- characters that XML 1.0 cannot hold (control characters, lone surrogates) become U+FFFD.

`from_xml` (`service.core.native_dicom_reader`) is the other way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import lru_cache
from math import isfinite, isnan
from typing import Any, Final

from pydicom.datadict import keyword_for_tag

from service.core.native_dicom_reader import from_xml
from service.core.native_dicom_terms import (
    FIRST_BLOCK,
    NAME_COMPONENTS,
    NAME_GROUPS,
    NAMESPACE,
    is_private,
    is_private_creator,
)

__all__ = ["first_attributes", "from_xml", "to_xml", "xml_of_text", "xml_pieces"]

_HEAD: Final = f'<?xml version="1.0" encoding="UTF-8"?>\n<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">'
_TAIL: Final = "</NativeDicomModel>"
_END: Final = "</DicomAttribute>"
_SEQUENCE: Final = '{"vr":"SQ","Value":['
_DECODER: Final = json.JSONDecoder(parse_float=str, parse_int=str)
"""Numbers keep their digits."""
_UNCARRIED: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_TO_ESCAPE: Final = re.compile('[&<>"\r\n\t]')
_ESCAPES: Final = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "\r": "&#13;",
    "\n": "&#10;",
    "\t": "&#9;",
}


def to_xml(attributes: Mapping[str, Any]) -> bytes:
    """Write one data set.

    Parameters
    ----------
    attributes : DICOM JSON: tag → ``vr`` and at most one of Value, InlineBinary and BulkDataURI. Numbers may be
        strings, which keep their digits
    """
    return b"".join(xml_pieces(attributes))


def xml_pieces(attributes: Mapping[str, Any]) -> Iterator[bytes]:
    """The same, one attribute of the outermost data set at a time."""
    yield _HEAD.encode()
    for piece in _data_set(attributes):
        yield piece.encode()
    yield _TAIL.encode()


def xml_of_text(text: str) -> Iterator[bytes]:
    """The same of DICOM JSON as text, one attribute or item at a time, so that long sequences are never held.

    Parameters
    ----------
    text : one data set, tags ascending, without white space between its tokens and ``vr`` before ``Value``
    """
    yield _HEAD.encode()
    creators: dict[str, Mapping[str, Any]] = {}
    said = set()
    position = 1
    while text[position] != "}":
        name, position = _DECODER.raw_decode(text, position)
        tag, position = int(name, 16), position + 1
        if text.startswith(_SEQUENCE, position):
            creator = _creator_of(creators, tag)
            yield _begin(tag, "SQ", creator).encode()
            position = yield from _items(text, position + len(_SEQUENCE))
            yield _END.encode()
        else:
            attribute, position = _DECODER.raw_decode(text, position)
            if is_private_creator(tag):
                creators[name] = attribute
                creator = ""
            else:
                creator = _creator_of(creators, tag)
                yield _attribute(tag, attribute, creator).encode()
        if creator:
            said.add(f"{tag >> 16:04X}00{tag >> 8 & 0xFF:02X}")
        position += text[position] == ","
    for name in sorted(creators.keys() - said):
        yield _attribute(int(name, 16), creators[name], "").encode()
    yield _TAIL.encode()


def first_attributes(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The attributes of the outermost data set of such a text, each read when its turn comes."""
    position = 1
    while text[position] != "}":
        name, position = _DECODER.raw_decode(text, position)
        attribute, position = _DECODER.raw_decode(text, position + 1)
        yield name, attribute
        position += text[position] == ","


def _items(text: str, position: int) -> Generator[bytes, None, int]:
    """The items of a sequence, one at least, and where the text goes on behind it."""
    number = 0
    while True:
        item, position = _DECODER.raw_decode(text, position)
        number += 1
        yield _item(number, item).encode()
        if text[position] == "]":
            return position + len("]}")
        position += 1


def _data_set(attributes: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(attributes):
        tag = int(name, 16)
        if not is_private_creator(tag):
            yield _attribute(tag, attributes[name], _creator_of(attributes, tag))
        elif not _is_said_elsewhere(attributes, tag):
            yield _attribute(tag, attributes[name], "")


def _attribute(tag: int, attribute: Mapping[str, Any], creator: str) -> str:
    vr = attribute.get("vr", "UN")
    opening = _begin(tag, vr, creator)
    if (uri := attribute.get("BulkDataURI")) is not None:
        return f'{opening}<BulkData uri="{_escaped(str(uri))}"/>' + _END
    if (binary := attribute.get("InlineBinary")) is not None:
        return f"{opening}<InlineBinary>{_escaped(str(binary))}</InlineBinary>{_END}"
    write = _WRITERS.get(vr, _value)
    values = [write(number, value) for number, value in enumerate(attribute.get("Value") or (), start=1)]
    return f"{opening}{''.join(values)}{_END}"


def _begin(tag: int, vr: str, creator: str) -> str:
    if creator:
        return f'<DicomAttribute tag="{tag & 0xFFFF00FF:08X}" vr="{vr}" privateCreator="{_escaped(creator)}">'
    return _opening(tag, vr)


@lru_cache(maxsize=8192)
def _opening(tag: int, vr: str) -> str:
    keyword = "" if is_private(tag) else keyword_for_tag(tag)
    named = f' keyword="{keyword}"' if keyword else ""
    return f'<DicomAttribute tag="{tag:08X}" vr="{vr}"{named}>'


def _value(number: int, value: object) -> str:
    return f'<Value number="{number}">{"" if value is None else _escaped(_text(value))}</Value>'


def _item(number: int, item: Mapping[str, Any] | None) -> str:
    return f'<Item number="{number}">{"".join(_data_set(item or {}))}</Item>'


def _person_name(number: int, name: Mapping[str, str] | str | None) -> str:
    if isinstance(name, str):
        name = dict(zip(NAME_GROUPS, name.split("="), strict=False))
    groups = [_name_group(group, name[group]) for group in NAME_GROUPS if name and name.get(group)]
    return f'<PersonName number="{number}">{"".join(groups)}</PersonName>'


def _name_group(group: str, text: str) -> str:
    components = zip(NAME_COMPONENTS, text.rstrip("^").split("^", len(NAME_COMPONENTS) - 1), strict=False)
    body = "".join(f"<{name}>{_escaped(component)}</{name}>" for name, component in components if component)
    return f"<{group}>{body}</{group}>"


_WRITERS: Final[Mapping[str, Callable[[int, Any], str]]] = {"SQ": _item, "PN": _person_name}


def _text(value: object) -> str:
    if isinstance(value, float) and not isfinite(value):
        return "NaN" if isnan(value) else "inf" if value > 0 else "-inf"
    return str(value)


def _escaped(text: str) -> str:
    """Text as it stands in an element or an attribute; line ends are written so that no parser changes them."""
    return _TO_ESCAPE.sub(lambda found: _ESCAPES[found[0]], _UNCARRIED.sub("\ufffd", text))


def _creator_of(attributes: Mapping[str, Any], tag: int) -> str:
    """The creator of a private element, "" where the data set names none."""
    block = tag >> 8 & 0xFF
    if not is_private(tag) or block < FIRST_BLOCK:
        return ""
    creator = (attributes.get(f"{tag & 0xFFFF0000 | block:08X}", {}).get("Value") or ("",))[0]
    return creator if isinstance(creator, str) and creator.strip() else ""


def _is_said_elsewhere(attributes: Mapping[str, Any], creator_tag: int) -> bool:
    """Whether an element of its block tells what a Private Creator element does."""
    block = f"{creator_tag >> 16:04X}{creator_tag & 0xFF:02X}"
    return bool(_creator_of(attributes, int(f"{block}00", 16))) and any(name.startswith(block) for name in attributes)

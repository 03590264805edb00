"""Attributes and data sets of the Native DICOM Model (PS3.19 Table A.1.5-2) while they are being read."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass, field
from math import isfinite, isnan
from typing import Any, Final

from service.core.native_dicom_terms import (
    FIRST_BLOCK,
    LAST_BLOCK,
    NAME_COMPONENTS,
    NAME_GROUPS,
    is_private,
    place,
)
from service.core.search import Attributes
from service.errors import BadRequest

_BINARY: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_INTEGERS: Final = frozenset({"SL", "SS", "SV", "UL", "US", "UV"})
_FLOATS: Final = frozenset({"FD", "FL"})
_STRINGS: Final = frozenset(
    {"AE", "AS", "AT", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
)
VRS: Final = _BINARY | _INTEGERS | _FLOATS | _STRINGS | {"PN", "SQ"}

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)
_FLOAT: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_NO_NUMBER: Final = re.compile(r"[+-]?(?:nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)


@dataclass(slots=True)
class OpenAttribute:
    """An attribute whose content is being read.

    Parameters
    ----------
    creator : of a private attribute that says it, else ""
    """

    tag: int
    vr: str
    creator: str
    _content: str = ""
    _values: dict[int, Any] = field(default_factory=dict)
    _number: int = 0
    _name: dict[str, list[str]] = field(default_factory=dict)
    _scalar: str = ""

    def begin(self, content: str, attributes: dict[str, str]) -> None:
        """Begin one Value, Item, PersonName, InlineBinary or BulkData."""
        if content not in self._allowed():
            raise BadRequest(f"{place(self.tag)} with the VR {self.vr} cannot have {content}")
        if self._content and (content != self._content or content in ("InlineBinary", "BulkData")):
            raise BadRequest(f"{place(self.tag)} has more than one kind of content")
        self._content = content
        if content == "BulkData":
            self._scalar = self._uri(attributes)
        elif content != "InlineBinary":
            number = attributes.get("number", "")
            if not _NUMBER.fullmatch(number) or int(number) in self._values:
                raise BadRequest(f"{place(self.tag)} has a value whose number is missing, taken or not from 1")
            self._number = int(number)
            self._values[self._number] = None
        self._name = {}

    def begin_name_group(self, group: str) -> None:
        """Begin one group of a person's name."""
        if group in self._name:
            raise BadRequest(f"{place(self.tag)} has a name with {group} twice")
        self._name[group] = [""] * len(NAME_COMPONENTS)

    def name_component(self, group: str, component: str, text: str) -> None:
        """Take one component of a group."""
        self._name[group][NAME_COMPONENTS.index(component)] = text

    def end_name(self) -> None:
        """Take the name whose groups were read."""
        groups = {group: "^".join(self._name[group]).rstrip("^") for group in NAME_GROUPS if group in self._name}
        self._values[self._number] = {group: text for group, text in groups.items() if text} or None

    def end_item(self, item: Attributes) -> None:
        """Take an item of a sequence."""
        self._values[self._number] = item

    def end_value(self, text: str) -> None:
        """Take a value."""
        self._values[self._number] = self._parsed(text) if text.strip() else None

    def end_binary(self, text: str) -> None:
        """Take the whole value in base64."""
        packed = "".join(text.split())
        try:
            b64decode(packed, validate=True)
        except ValueError as error:
            raise BadRequest(f"{place(self.tag)} has InlineBinary that is not base64") from error
        self._scalar = packed

    def finish(self) -> dict[str, Any]:
        """The attribute as DICOM JSON has it."""
        if self._content == "BulkData":
            return {"vr": self.vr, "BulkDataURI": self._scalar}
        if self._content == "InlineBinary":
            return {"vr": self.vr, "InlineBinary": self._scalar} if self._scalar else {"vr": self.vr}
        if self._values and max(self._values) != len(self._values):
            raise BadRequest(f"{place(self.tag)} has values that are not numbered from 1 without gaps")
        values = [self._values[number] for number in sorted(self._values)]
        return {"vr": self.vr} if values in ([], [None]) else {"vr": self.vr, "Value": values}

    def _allowed(self) -> tuple[str, ...]:
        if self.vr == "SQ":
            return ("Item",)
        if self.vr == "PN":
            return ("PersonName",)
        return ("InlineBinary", "BulkData") if self.vr in _BINARY else ("Value", "BulkData")

    def _uri(self, attributes: dict[str, str]) -> str:
        uri, uuid = attributes.get("uri", ""), attributes.get("uuid", "")
        if bool(uri) == bool(uuid):
            raise BadRequest(f"{place(self.tag)} has BulkData without exactly one of uri and uuid")
        return uri or f"urn:uuid:{uuid}"

    def _parsed(self, text: str) -> str | int | float:
        """A value as DICOM JSON has it (PS3.18 Table F.2.3-1)."""
        stripped = text.strip()
        if self.vr in _INTEGERS:
            if _INTEGER.fullmatch(stripped):
                return int(stripped)
            raise BadRequest(f"{place(self.tag)} with the VR {self.vr} has a value that is no integer")
        if self.vr in _FLOATS:
            return self._parsed_float(stripped)
        if self.vr == "AT":
            if _TAG.fullmatch(stripped):
                return stripped.upper()
            raise BadRequest(f"{place(self.tag)} with the VR AT has a value that is no tag of eight hexadecimal digits")
        return stripped if self.vr in ("DS", "IS") else text

    def _parsed_float(self, text: str) -> float | str:
        if not _FLOAT.fullmatch(text) and not _NO_NUMBER.fullmatch(text):
            raise BadRequest(f"{place(self.tag)} with the VR {self.vr} has a value that is no number")
        value = float(text)
        if isfinite(value):
            return value
        return "NaN" if isnan(value) else "inf" if value > 0 else "-inf"


@dataclass(slots=True)
class OpenDataSet:
    """A data set whose attributes are being read; those with a creator get their tags at the end."""

    _found: Attributes = field(default_factory=dict)
    _private: list[OpenAttribute] = field(default_factory=list)
    _unnamed_blocks: set[int] = field(default_factory=set)

    def add(self, attribute: OpenAttribute) -> None:
        """Take an attribute that is complete."""
        if attribute.creator:
            self._private.append(attribute)
            return
        if is_private(attribute.tag) and attribute.tag & 0xFFFF > LAST_BLOCK:
            self._unnamed_blocks.add(attribute.tag >> 8)
        self._put(attribute.tag, attribute.finish())

    def finish(self) -> Attributes:
        """The data set as DICOM JSON has it."""
        for attribute in self._private:
            self._put(self._tag_in_block(attribute), attribute.finish())
        return dict(sorted(self._found.items()))

    def _put(self, tag: int, attribute: dict[str, Any]) -> None:
        name = f"{tag:08X}"
        if name in self._found:
            raise BadRequest(f"{place(tag)} stands twice in one data set")
        self._found[name] = attribute

    def _tag_in_block(self, attribute: OpenAttribute) -> int:
        """A free tag in a block of its creator; the block that the tag names, if it does, is tried first."""
        group, element, named = attribute.tag & 0xFFFF0000, attribute.tag & 0xFF, attribute.tag >> 8 & 0xFF
        blocks = [*((named,) if named >= FIRST_BLOCK else ()), *range(FIRST_BLOCK, LAST_BLOCK + 1)]
        for block in blocks:
            tag: int = group | block << 8 | element
            if self._creator_at(group | block) == attribute.creator and f"{tag:08X}" not in self._found:
                return tag
        for block in blocks:
            if self._creator_at(group | block) is None and (group >> 8 | block) not in self._unnamed_blocks:
                self._found[f"{group | block:08X}"] = {"vr": "LO", "Value": [attribute.creator]}
                return int(group | block << 8 | element)
        raise BadRequest(f"Group {group >> 16:04X} has more private creators than blocks")

    def _creator_at(self, tag: int) -> object:
        """What a Private Creator element says, "" for nothing; None where there is none."""
        held = self._found.get(f"{tag:08X}")
        return None if held is None else (held.get("Value") or [""])[0] or ""

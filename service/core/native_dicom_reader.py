"""Reads the Native DICOM Model (PS3.19 Annex A.1) into DICOM JSON (PS3.18 Annex F).

What it makes of what JSON says otherwise: private elements come into blocks that are given out anew, from 10 on, where
the XML does not say which they were; DS and IS are strings, with the digits that were written; FL and FD that JSON has
no number for are ``"NaN"``, ``"inf"`` and ``"-inf"``; BulkData by UUID is a ``urn:uuid:``.

Elements are taken in the model's namespace or, as older writers have them, in none. Every document type declaration is
refused, so that there are no entities to expand or to fetch. Messages name elements, never values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from xml.parsers import expat

from pydicom.datadict import dictionary_VR

from service.core.native_dicom_attribute import VRS, OpenAttribute, OpenDataSet
from service.core.native_dicom_terms import (
    NAME_COMPONENTS,
    NAME_GROUPS,
    NAMESPACE,
    is_private,
    is_private_creator,
    place,
)
from service.core.search import Attributes
from service.errors import BadRequest

DEEPEST: Final = 100
"""Data sets within each other, the outermost included."""

_CHILDREN: Final[Mapping[str, frozenset[str]]] = {
    "": frozenset({"NativeDicomModel"}),
    "NativeDicomModel": frozenset({"DicomAttribute"}),
    "DicomAttribute": frozenset({"Value", "Item", "PersonName", "InlineBinary", "BulkData"}),
    "Item": frozenset({"DicomAttribute"}),
    "PersonName": frozenset(NAME_GROUPS),
    **dict.fromkeys(NAME_GROUPS, frozenset(NAME_COMPONENTS)),
}
_TEXTS: Final = frozenset({"Value", "InlineBinary", *NAME_COMPONENTS})
_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)


def from_xml(data: bytes) -> Attributes:
    """Read one data set.

    Returns
    -------
    DICOM JSON, tags ascending

    Raises
    ------
    BadRequest : it is not well-formed, declares a document type, is nested too deeply, or is not in the model
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise BadRequest(f"The XML is not well-formed in line {error.lineno}") from error
    except (LookupError, ValueError) as error:
        raise BadRequest("The XML is in an encoding that is not read here; UTF-8 is") from error
    return reader.found


def _refuse_doctype(*_: object) -> None:
    raise BadRequest("A document type declaration is not taken in XML; the Native DICOM Model needs none")


class _Reader:
    """Takes what the parser finds and builds the data set, without recursion."""

    def __init__(self) -> None:
        self.found: Attributes = {}
        self._path: list[str] = [""]
        self._data_sets: list[OpenDataSet] = []
        self._attributes: list[OpenAttribute] = []
        self._text: list[str] = []

    def start(self, qualified: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        name = _local(qualified)
        if name not in _CHILDREN.get(self._path[-1], ()):
            raise BadRequest(f"{self._path[-1] or 'The XML'} has an element in it that the Native DICOM Model has not")
        self._path.append(name)
        self._text = []
        if name == "DicomAttribute":
            self._attributes.append(_open_attribute(attributes))
        elif name in _CHILDREN["DicomAttribute"]:
            self._attributes[-1].begin(name, attributes)
        elif name in NAME_GROUPS:
            self._attributes[-1].begin_name_group(name)
        if name in ("NativeDicomModel", "Item"):
            if len(self._data_sets) == DEEPEST:
                raise BadRequest(f"Sequences are nested more than {DEEPEST - 1} deep")
            self._data_sets.append(OpenDataSet())

    def text(self, piece: str) -> None:
        """Text, which has its place in some elements only; white space may stand between all."""
        if self._path[-1] in _TEXTS:
            self._text.append(piece)
        elif piece.strip():
            raise BadRequest(f"{self._path[-1]} has text in it, for which the Native DICOM Model has no place there")

    def end(self, _: str) -> None:
        """An element ends."""
        name = self._path.pop()
        if name == "NativeDicomModel":
            self.found = self._data_sets.pop().finish()
            return
        attribute = self._attributes[-1]
        if name == "DicomAttribute":
            self._data_sets[-1].add(self._attributes.pop())
        elif name == "Item":
            attribute.end_item(self._data_sets.pop().finish())
        elif name == "PersonName":
            attribute.end_name()
        elif name == "Value":
            attribute.end_value("".join(self._text))
        elif name == "InlineBinary":
            attribute.end_binary("".join(self._text))
        elif name in NAME_COMPONENTS:
            attribute.name_component(self._path[-1], name, "".join(self._text))


def _local(qualified: str) -> str:
    namespace, _, name = qualified.rpartition(" ")
    if namespace not in ("", NAMESPACE):
        raise BadRequest("The XML has an element of another namespace than that of the Native DICOM Model")
    return name


def _open_attribute(attributes: dict[str, str]) -> OpenAttribute:
    written = attributes.get("tag", "")
    if not _TAG.fullmatch(written):
        raise BadRequest("A DicomAttribute has no tag of eight hexadecimal digits")
    tag = int(written, 16)
    creator = attributes.get("privateCreator", "") if is_private(tag) else ""
    vr = attributes.get("vr") or _dictionary_vr(tag, creator)
    if vr not in VRS:
        raise BadRequest(f"{place(tag)} has a VR that is none")
    return OpenAttribute(tag, vr, creator if creator.strip() else "")


def _dictionary_vr(tag: int, creator: str) -> str:
    """The VR of an element that says none; the first where several are possible."""
    if is_private(tag):
        return "LO" if is_private_creator(tag) and not creator else "UN"
    try:
        return str(dictionary_VR(tag)).split(" or ", maxsplit=1)[0]
    except KeyError:
        return "UN"

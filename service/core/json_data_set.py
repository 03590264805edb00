"""DICOM JSON from outside (PS3.18 Annex F), looked at before anything believes it: structure, VRs, sizes.

Messages name elements and rules, never values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pydicom.datadict import dictionary_VR

from service.core.search import Attributes
from service.errors import BadRequest

_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f\ud800-\udfff]")
_DATE: Final = r"[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])"
_DATE_TIME: Final = (
    r"[0-9]{4}((0[1-9]|1[0-2])((0[1-9]|[12][0-9]|3[01])(([01][0-9]|2[0-3])([0-5][0-9]([0-5][0-9]|60)?"
    r"(\.[0-9]{1,6})?)?)?)?)?([+-][0-9]{4})?"
)
# PS3.5 Table 6.2-1: what a value of a VR looks like, and how many characters it has at most.
_FORMS: Final[Mapping[str, re.Pattern[str]]] = {
    vr: re.compile(form, re.ASCII)
    for vr, form in {
        "UI": r"[0-9]+(\.[0-9]+)*",
        "CS": r"[A-Z0-9_ ]*",
        "DA": _DATE,
        "DT": _DATE_TIME,
        "TM": r"([01][0-9]|2[0-3])([0-5][0-9]([0-5][0-9]|60)?(\.[0-9]{1,6})?)?",
        "AS": r"[0-9]{3}[DWMY]",
        "IS": r" *[+-]?[0-9]+ *",
        "DS": r" *[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)? *",
    }.items()
}
_LONGEST: Final[Mapping[str, int]] = {
    "AE": 16,
    "CS": 16,
    "SH": 16,
    "UI": 64,
    "LO": 64,
    "DT": 26,
    "TM": 16,
    "DS": 16,
    "IS": 12,
    "AS": 4,
    "DA": 8,
    "PN": 64,
    "ST": 1024,
    "LT": 10240,
}
_INTEGERS: Final = frozenset({"US", "SS", "UL", "SL", "UV", "SV"})
_NUMBERS: Final = frozenset({"FL", "FD", "DS", "IS"}) | _INTEGERS
_TEXTS: Final = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
)
_NAME_GROUPS: Final = frozenset({"Alphabetic", "Ideographic", "Phonetic"})
_KNOWN_MEMBERS: Final = frozenset({"vr", "Value"})
_BY_REFERENCE: Final = frozenset({"BulkDataURI", "InlineBinary"})


@dataclass(frozen=True, slots=True)
class DataSetLimits:
    """How much one data set may hold.

    Parameters
    ----------
    depth : data sets within each other, the outermost included
    items : items of all sequences together
    values : values of all attributes together
    characters : of one value
    """

    depth: int = 8
    items: int = 20_000
    values: int = 100_000
    characters: int = 10_240


def read_json_data_set(body: bytes, limits: DataSetLimits) -> Attributes:
    """Read one data set, alone or as the one of an array.

    Raises
    ------
    BadRequest : it is no JSON, not one data set, or not one of DICOM
    """
    try:
        document = json.loads(body)
    except RecursionError:
        raise BadRequest("The body is nested too deep") from None
    except ValueError:
        raise BadRequest("The body is no JSON") from None
    if isinstance(document, list):
        if len(document) != 1:
            raise BadRequest("The body holds one data set, alone or in an array")
        document = document[0]
    return checked_data_set(document, limits)


def checked_data_set(document: object, limits: DataSetLimits) -> Attributes:
    """The same data set, tags in upper case and ascending.

    Raises
    ------
    BadRequest : something in it is not as PS3.18 Annex F has it; bulk data is refused too
    """
    return _Check(limits).data_set(document, 1)


class _Check:
    """One walk; counts what it meets."""

    def __init__(self, limits: DataSetLimits) -> None:
        self._limits = limits
        self._items = 0
        self._values = 0

    def data_set(self, document: object, depth: int) -> Attributes:
        if not isinstance(document, dict):
            raise BadRequest("A data set is a JSON object")
        if depth > self._limits.depth:
            raise BadRequest(f"Sequences are nested deeper than {self._limits.depth}")
        found: Attributes = {}
        for name, element in document.items():
            if not _TAG.fullmatch(name):
                raise BadRequest("Attributes are named by tags of eight hexadecimal digits")
            tag = name.upper()
            if tag in found:
                raise BadRequest(f"{tag} is there twice")
            found[tag] = self._element(tag, element, depth)
        return dict(sorted(found.items()))

    def _element(self, tag: str, element: object, depth: int) -> dict[str, Any]:
        if not isinstance(element, dict):
            raise BadRequest(f"{tag}: an attribute is a JSON object with vr and Value")
        if element.keys() & _BY_REFERENCE:
            raise BadRequest(f"{tag}: bulk data has no place here")
        if not element.keys() <= _KNOWN_MEMBERS:
            raise BadRequest(f"{tag}: an attribute has vr and Value alone")
        vr = element.get("vr") or vr_of(tag)
        if not isinstance(vr, str) or vr not in (_TEXTS | _NUMBERS | {"SQ", "PN", "AT"}):
            raise BadRequest(f"{tag}: this VR has no place here")
        known = vr_of(tag)
        if known and vr not in known.split(" or "):
            raise BadRequest(f"{tag}: its VR is {known}")
        values = element.get("Value", [])
        if not isinstance(values, list):
            raise BadRequest(f"{tag}: Value is an array")
        self._values += len(values)
        if self._values > self._limits.values:
            raise BadRequest(f"There are more than {self._limits.values} values")
        kept = [self._value(tag, vr, value, depth) for value in values]
        return {"vr": vr, "Value": kept} if kept else {"vr": vr}

    def _value(self, tag: str, vr: str, value: object, depth: int) -> Any:
        if vr == "SQ":
            self._items += 1
            if self._items > self._limits.items:
                raise BadRequest(f"There are more than {self._limits.items} items")
            return self.data_set({} if value is None else value, depth + 1)
        if value is None:
            return None
        if vr == "PN":
            return self._name(tag, value)
        if vr in _NUMBERS and not isinstance(value, str):
            if isinstance(value, bool) or not isinstance(value, int if vr in _INTEGERS else (int, float)):
                raise BadRequest(f"{tag}: a value of {vr} is a number")
            return value
        return self._text(tag, vr, value)

    def _name(self, tag: str, value: object) -> dict[str, str]:
        if not isinstance(value, dict) or not value.keys() <= _NAME_GROUPS:
            raise BadRequest(f"{tag}: a person's name is an object of Alphabetic, Ideographic and Phonetic")
        return {group: self._text(tag, "PN", text) for group, text in value.items()}

    def _text(self, tag: str, vr: str, value: object) -> str:
        if not isinstance(value, str):
            raise BadRequest(f"{tag}: a value of {vr} is a string")
        if len(value) > min(self._limits.characters, _LONGEST.get(vr, self._limits.characters)):
            raise BadRequest(f"{tag}: a value is longer than {vr} takes")
        if _CONTROL.search(value):
            raise BadRequest(f"{tag}: a control character")
        form = _FORMS.get(vr)
        if form is not None and value and not form.fullmatch(value):
            raise BadRequest(f"{tag}: no value of {vr}")
        return value


@lru_cache(maxsize=4096)
def vr_of(tag: str) -> str:
    """The VR that the dictionary has for a tag, "" where it has none."""
    try:
        return dictionary_VR(int(tag, 16))
    except KeyError:
        return ""

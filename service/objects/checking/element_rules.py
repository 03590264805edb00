"""Rules of a single element: its VR, how many values it has, and how each is written (PS3.5 6.2, 6.4, 9.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from pydicom import config
from pydicom.datadict import dictionary_VM, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.valuerep import validate_value

from service.objects.rule_catalogue import Breach

_UID: Final = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")
_LONGEST_UID: Final = 64
_PIXELS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_FLOATS: Final[dict[str, np.dtype[Any]]] = {"OF": np.dtype("<f4"), "OD": np.dtype("<f8")}
_BYTES: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_ONE_VALUE: Final = frozenset({"LT", "ST", "UR", "UT"})
"""Texts in which a backslash is a letter."""
_WRITTEN: Final = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UR"})
_DIGITS: Final = frozenset({"DS", "FD", "FL"})


@dataclass(frozen=True, slots=True)
class Multiplicity:
    """How many values an element has (PS3.6): at least, at most (0: any), and in steps of."""

    least: int
    most: int
    step: int

    def takes(self, count: int) -> bool:
        """Whether so many values may be there."""
        return self.least <= count and (not self.most or count <= self.most) and (count - self.least) % self.step == 0

    @classmethod
    def of(cls, text: str) -> Multiplicity:
        """Read "1", "1-3", "1-n" or "2-2n"."""
        least, _, most = text.partition("-")
        if not most:
            return cls(int(least), int(least), 1)
        if most.endswith("n"):
            return cls(int(least), 0, int(most[:-1] or 1))
        return cls(int(least), int(most), 1)


@lru_cache(maxsize=4096)
def _known(tag: int) -> tuple[frozenset[str], Multiplicity] | None:
    """VRs and multiplicity of a public element; None of others."""
    try:
        return frozenset(dictionary_VR(tag).split(" or ")), Multiplicity.of(dictionary_VM(tag))
    except (KeyError, ValueError):
        return None


def element_breaches(element: DataElement) -> Iterator[Breach]:
    """What is wrong with an element, seen by itself; of private ones only UIDs and numbers are looked at."""
    vr, name = str(element.VR), name_of(element)
    if vr == "UI":
        yield from _uid_breaches(element, name)
    if not _is_finite(element):
        yield "NUMBER-FINITE", f"{name} holds what is no number, or one without end"
    known = None if element.tag.is_private else _known(int(element.tag))
    if known is None:
        return
    vrs, multiplicity = known
    if vr != "UN" and vrs.isdisjoint(vr.split(" or ")):
        yield "IOD-VR", f"{name} is {vr} instead of {' or '.join(sorted(vrs))}"
    elif vr != "SQ" and not element.is_empty:
        yield from _count_breaches(element, vr, multiplicity, name)
        yield from _form_breaches(element, vr, name)


def name_of(element: DataElement) -> str:
    """The keyword of an element, or its tag."""
    return keyword_for_tag(element.tag) or str(element.tag)


def values_in(element: DataElement) -> list[Any]:
    """The values of an element, one after the other."""
    value = element.value
    if value is None:
        return []
    return [value] if isinstance(value, str | bytes) or not hasattr(value, "__iter__") else list(value)


def _uid_breaches(element: DataElement, name: str) -> Iterator[Breach]:
    for value in values_in(element):
        uid = str(value or "")
        if uid and (len(uid) > _LONGEST_UID or not _UID.fullmatch(uid)):
            yield "UID-FORM", f"{name} holds what is no UID"


def _count_breaches(element: DataElement, vr: str, multiplicity: Multiplicity, name: str) -> Iterator[Breach]:
    if vr in _BYTES or vr in _ONE_VALUE:
        return
    count = 1 if vr == "PN" and element.VM == 0 else element.VM
    if not multiplicity.takes(count):
        yield "IOD-VM", f"{name} has {count} values"


def _form_breaches(element: DataElement, vr: str, name: str) -> Iterator[Breach]:
    if vr not in _WRITTEN:
        return
    for value in values_in(element):
        text = "" if value is None else str(value)
        if not text or (vr in _DIGITS and not np.isfinite(_number(value))):
            continue
        try:
            validate_value(vr, text, config.RAISE)
        except ValueError:
            yield "IOD-VALUE", f"{name} holds a value that no {vr} may be"
            return


def _is_finite(element: DataElement) -> bool:
    vr = element.VR
    if vr in _DIGITS:
        value = element.value
        if value is None or value == "":
            return True
        return all(np.isfinite(_number(one)) for one in values_in(element))
    if vr in _FLOATS and int(element.tag) not in _PIXELS and isinstance(element.value, bytes):
        kind = _FLOATS[vr]
        whole = len(element.value) // kind.itemsize * kind.itemsize
        return bool(np.isfinite(np.frombuffer(element.value[:whole], dtype=kind)).all())
    return True


def _number(value: Any) -> float:
    """The number; of what is none, one that is finite: how it is written is another rule's."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0

"""Rules of the IOD: what its modules ask for at every depth, and what holds for every element (PS3.3, PS3.5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isnan
from typing import Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from service.objects.checking.attribute_tables import NOTHING_ASKED, AttributeTables, ItemTable, ValueRule, tables_of
from service.objects.checking.condition import values_of
from service.objects.checking.element_rules import element_breaches, name_of
from service.objects.iod_tables import PATIENT_AND_STUDY_MODULES, code_sequences, iod_of, root_keywords
from service.objects.rule_catalogue import Breach

DEEPEST: Final = 64
"""Levels of sequences that are looked into; what is nested deeper nobody reads."""
PER_FRAME: Final = "PerFrameFunctionalGroupsSequence"
_PIXELS: Final = frozenset({"PixelData", "FloatPixelData", "DoubleFloatPixelData"})
_TYPE_RULES: Final = {"1C": "IOD-TYPE-1C", "2C": "IOD-TYPE-2C"}
_KIND_RULES: Final = {"enumerated": "IOD-ENUMERATED", "defined": "IOD-DEFINED"}
_AT_THE_TOP: Final = frozenset({"IOD-TYPE-1", "IOD-TYPE-2", "UID-FORM", "NUMBER-FINITE"})


class ItemChecks:
    """Holds the items of one object against the tables of its IOD.

    Parameters
    ----------
    has_pixels : False where pixel data are kept elsewhere, so that nothing is said of their absence
    """

    def __init__(self, data_set: Dataset, *, has_pixels: bool = True) -> None:
        self.root = data_set
        self._has_pixels = has_pixels
        self._tables: AttributeTables = tables_of(iod_of(str(data_set.get("SOPClassUID", ""))))
        self._copied = root_keywords(PATIENT_AND_STUDY_MODULES)

    @property
    def top(self) -> ItemTable:
        """What is asked of the object's top."""
        return self._tables.table_of(self.root)

    def object_breaches(self) -> Iterator[Breach]:
        """All of the object but its per-frame functional groups, of which there may be very many."""
        for element in self.root:
            keyword = name_of(element)
            if keyword == PER_FRAME:
                continue
            found = self.element_breaches(self.root, element, (), self.top)
            yield from self._as_copied(found) if keyword in self._copied else found
        for rule, message in self.asked(self.root, (), self.top):
            if message.partition(" ")[0] in self._copied and rule not in _AT_THE_TOP:
                yield "IOD-COPIED", message
            else:
                yield rule, message

    def element_breaches(
        self, item: Dataset, element: DataElement, path: Sequence[str], table: ItemTable
    ) -> Iterator[Breach]:
        """An element of an item, with all below it."""
        yield from ((rule, _placed(path, message)) for rule, message in element_breaches(element))
        sequence = path[-1] if path else ""
        keyword = name_of(element)
        for rule in self._tables.values_of(sequence, keyword):
            yield from self._value_breaches(item, keyword, path, rule)
        if element.VR == "SQ" and len(path) >= DEEPEST:
            yield "IOD-DEPTH", f"sequences are nested more than {DEEPEST} deep"
        elif element.VR == "SQ":
            below = table.below.get(keyword, NOTHING_ASKED)
            if len(element.value) > 1 and self._tables.is_single(sequence, keyword):
                yield "IOD-ITEMS", f"{_placed(path, keyword)} has {len(element.value)} items, where one may be"
            for one in element.value:
                if keyword in code_sequences():
                    yield from _code_breaches(one, (*path, keyword))
                yield from self.item_breaches(one, (*path, keyword), below)

    def item_breaches(self, item: Dataset, path: Sequence[str], table: ItemTable) -> Iterator[Breach]:
        """An item of a sequence, with all below it."""
        for element in item:
            yield from self.element_breaches(item, element, path, table)
        yield from self.asked(item, path, table)

    def asked(self, item: Dataset, path: Sequence[str], table: ItemTable) -> Iterator[Breach]:
        """Attributes that an item misses, and those that it may not have."""
        for keyword, kind in table.always:
            if keyword not in item:
                if keyword not in _PIXELS or self._has_pixels:
                    yield f"IOD-TYPE-{kind}", f"{_placed(path, keyword)} is missing"
            elif kind == "1" and item[keyword].is_empty:
                yield "IOD-TYPE-1", f"{_placed(path, keyword)} is empty"
        for keyword, kind, demand in table.perhaps:
            if demand.required is not None and demand.required(item, self.root):
                lacking = keyword not in item or (kind == "1C" and item[keyword].is_empty)
                if lacking and (keyword not in _PIXELS or self._has_pixels):
                    yield demand.rule or _TYPE_RULES[kind], f"{_placed(path, keyword)} is missing, or empty"
            if demand.forbidden is not None and keyword in item and demand.forbidden(item, self.root):
                yield demand.rule or "IOD-NOT-ALLOWED", f"{_placed(path, keyword)} may not be there"

    def _value_breaches(self, item: Dataset, keyword: str, path: Sequence[str], rule: ValueRule) -> Iterator[Breach]:
        if rule.when is not None and not rule.when(item, self.root):
            return
        values = values_of(item, keyword)
        if rule.position:
            values = values[rule.position - 1 : rule.position]
        if rule.kind in _KIND_RULES:
            strange = [value for value in values if value not in rule.values]
        else:
            strange = [value for value in values if not _is_within(value, rule)]
        if strange:
            name = rule.rule or _KIND_RULES.get(rule.kind, "IOD-NUMBER")
            place = f" (value {rule.position})" if rule.position else ""
            yield name, f"{_placed(path, keyword)}{place} is none of {_limits(rule)}"

    @staticmethod
    def _as_copied(breaches: Iterator[Breach]) -> Iterator[Breach]:
        for rule, message in breaches:
            yield (rule, message) if rule in ("UID-FORM", "NUMBER-FINITE") else ("IOD-COPIED", message)


def top_breaches(data_set: Dataset) -> Iterator[Breach]:
    """A SOP class without a table of its modules, and levels that share a UID."""
    if iod_of(str(data_set.get("SOPClassUID", ""))) is None:
        yield "IOD-UNKNOWN", "no rules are known for this SOP class"
    levels = [str(data_set.get(f"{level}InstanceUID", "")) for level in ("Study", "Series", "SOP")]
    given = [uid for uid in levels if uid]
    if len(set(given)) < len(given):
        yield "UID-ONCE", "study, series and instance share a UID"


def _placed(path: Sequence[str], keyword: str) -> str:
    """Where something stands; a content tree's levels are named once."""
    shown = [name for place, name in enumerate(path) if place == 0 or name != path[place - 1]]
    return ".".join((*shown, keyword))


def _code_breaches(code: Dataset, path: Sequence[str]) -> Iterator[Breach]:
    value = code.get("CodeValue") or code.get("LongCodeValue") or code.get("URNCodeValue")
    scheme = code.get("CodingSchemeDesignator") or code.get("URNCodeValue")
    place = _placed(path[:-1], path[-1])
    if not value or not scheme:
        yield "CODE-SCHEME", f"{place} lacks a value or a scheme"
    if not code.get("CodeMeaning"):
        yield "CODE-MEANING", f"{place} lacks a meaning"


def _is_within(value: str, rule: ValueRule) -> bool:
    try:
        number = float(value)
    except ValueError:
        return True  # how it is written is another rule's
    if isnan(number):  # not a number at all: another rule's as well
        return True
    if rule.kind == "above":
        return number > float(rule.values[0])
    return float(rule.values[0]) <= number <= float(rule.values[1])


def _limits(rule: ValueRule) -> str:
    if rule.kind == "above":
        return f"the numbers above {rule.values[0]}"
    return f"{rule.values[0]} to {rule.values[1]}" if rule.kind == "between" else ", ".join(rule.values)

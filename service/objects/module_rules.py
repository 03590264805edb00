"""Rules of the IOD: what its mandatory modules ask for, and what holds for UIDs anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from service.objects.iod_tables import AttributeRow, iod_of, mandatory_modules, module_rows
from service.objects.rule_catalogue import Breach

_UID: Final = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")

# The content tree has rules of its own: the table lists each value type's attributes as if every item had them.
_OWN_RULES: Final = frozenset({"sr-document-content"})
_FUNCTIONAL_GROUPS: Final = frozenset({"SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"})


def module_breaches(data_set: Dataset) -> Iterator[Breach]:
    """Type 1 and Type 2 attributes that mandatory modules miss, at every depth that the object has."""
    iod = iod_of(str(data_set.get("SOPClassUID", "")))
    if iod is None:
        return
    for path, rows in _required_rows(iod).items():
        for item in _items_at(data_set, path):
            yield from _missing(item, path, rows)


@cache
def _required_rows(iod: str) -> dict[tuple[str, ...], tuple[AttributeRow, ...]]:
    """Rows of Type 1 and 2 by their path; a functional group may stand in two places, so none is asked for."""
    rows: dict[tuple[str, ...], dict[str, AttributeRow]] = {}
    for module, table in module_rows(mandatory_modules(iod)).items():
        for row in table:
            if module in _OWN_RULES or row.type not in ("1", "2"):
                continue
            if len(row.path) == 1 and row.path[0] in _FUNCTIONAL_GROUPS:
                continue
            stricter = rows.setdefault(row.path, {}).get(row.keyword)
            if stricter is None or row.type < stricter.type:
                rows[row.path][row.keyword] = row
    return {path: tuple(named.values()) for path, named in rows.items()}


def _items_at(data_set: Dataset, path: Sequence[str]) -> Iterator[Dataset]:
    """Every item that the data set has below a path of sequences; itself for the empty one."""
    if not path:
        yield data_set
        return
    for item in data_set.get(path[0]) or ():
        yield from _items_at(item, path[1:])


def _missing(item: Dataset, path: Sequence[str], rows: Sequence[AttributeRow]) -> Iterator[Breach]:
    for row in rows:
        place = ".".join((*path, row.keyword))
        if row.keyword not in item:
            yield f"IOD-TYPE-{row.type}", f"{place} is missing"
        elif row.type == "1" and _is_empty(item[row.keyword]):
            yield "IOD-TYPE-1", f"{place} is empty"


def _is_empty(element: DataElement) -> bool:
    value = element.value
    return value is None or (hasattr(value, "__len__") and len(value) == 0)


def uid_breaches(data_set: Dataset) -> Iterator[Breach]:
    """UIDs that are none, and levels that share one."""
    for element in _uid_elements(data_set):
        values = element.value if element.VM > 1 else [element.value]
        for value in values or ():
            uid = str(value or "")
            if uid and (len(uid) > 64 or not _UID.fullmatch(uid)):
                yield "UID-FORM", f"{element.keyword or element.tag} holds what is no UID"
    levels = [str(data_set.get(f"{level}InstanceUID", "")) for level in ("Study", "Series", "SOP")]
    given = [uid for uid in levels if uid]
    if len(set(given)) < len(given):
        yield "UID-ONCE", "study, series and instance share a UID"


def _uid_elements(data_set: Dataset) -> Iterator[DataElement]:
    for element in data_set:
        if element.VR == "UI":
            yield element
        elif element.VR == "SQ":
            for item in element.value:
                yield from _uid_elements(item)


def unknown_class_breaches(data_set: Dataset) -> Iterator[Breach]:
    """A SOP class without a table of its modules."""
    if iod_of(str(data_set.get("SOPClassUID", ""))) is None:
        yield "IOD-UNKNOWN", "no rules are known for this SOP class"

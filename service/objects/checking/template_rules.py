"""Rules of SR templates: rows that are asked for, where each stands, as what, how often, with which codes (PS3.16)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage

from service.core.codes import Code
from service.objects import concepts
from service.objects.checking.object_case import ObjectCase
from service.objects.checking.template_tables import (
    Choice,
    TemplateBook,
    TemplateRow,
    ValueSet,
    group_concepts,
    template_book,
    template_rows,
)
from service.objects.content_rules import describe, is_reference
from service.objects.content_tree import child, children, coded_child, descendants, first_code, name_of, template_of
from service.objects.rule_catalogue import Breach

MEASUREMENT_REPORT: Final = "1500"
KEY_OBJECTS: Final = "2010"
_STANDARD: Final = "DCMR"
_OBSERVER_ROWS: Final = frozenset({("1003", "1"), ("1004", "1")})
"""What a rule of its own asks for: TID-OBSERVER."""
_PERSON_NAME: Final = Code("121008", "DCM", "Person Observer Name")
_VOLUME_MARKS: Final = frozenset({("DCM", "121191"), ("DCM", "121231")})
_PLANE_MARKS: Final = frozenset({("DCM", "111030"), ("DCM", "121214")})
_Found = dict[tuple[tuple[str, ...], str], list[tuple[int, Dataset]]]
"""Items by the inclusion and the label of their row, each with its place among its siblings."""


def template_breaches(case: ObjectCase) -> Iterator[Breach]:
    """A document against the template that its root follows; of unknown ones that is all that is said."""
    root, book = case.data_set, template_book()
    yield from _identifier_breaches(root, book)
    template = KEY_OBJECTS if case.sop_class_uid == KeyObjectSelectionDocumentStorage else root_template(root)
    if template is None:
        if template_of(root).isdigit() and not _is_private(root):
            yield "TID-UNCHECKED", "it follows a template of which no rows are known here"
        return
    yield from _Reader(book, root).level(root, template_rows(template), (template,))
    if template == MEASUREMENT_REPORT or child(root, concepts.OBSERVER_TYPE) is not None:
        yield from _observer_breaches(root)


def root_template(root: Dataset) -> str | None:
    """The template that a document follows, by what it says or by its title; None of those that are not known here."""
    book, name = template_book(), name_of(root)
    said = template_of(root)
    if said in book.roots:
        return said
    if said or name is None:
        return None
    return next((template for template, titles in book.roots.items() if book.concept_of(name) in titles), None)


def _identifier_breaches(root: Dataset, book: TemplateBook) -> Iterator[Breach]:
    for item in (root, *(below for _, below in descendants(root))):
        for template in item.get("ContentTemplateSequence") or ():
            identifier = str(template.get("TemplateIdentifier") or "")
            if _is_private(item) or not identifier:
                continue
            if not identifier.isdigit() or not book.numbers[0] <= int(identifier) <= book.numbers[1]:
                yield "TID-UNKNOWN", f"{describe(item)} names a template that PS3.16 does not have"


def _is_private(item: Dataset) -> bool:
    """Whether its template is not one of the standard's own."""
    return any(one.get("MappingResource") != _STANDARD for one in item.get("ContentTemplateSequence") or ())


def _observer_breaches(root: Dataset) -> Iterator[Breach]:
    """Who observed (TID 1002): a person, as long as nothing else is said."""
    kind = coded_child(root, concepts.OBSERVER_TYPE)
    if kind is not None and concepts.same(kind, concepts.DEVICE):
        if child(root, concepts.DEVICE_OBSERVER_UID) is None:
            yield "TID-OBSERVER", "the device observer has no UID"
    elif (kind is None or kind.value == "121006") and child(root, _PERSON_NAME) is None:
        yield "TID-OBSERVER", "the person observer has no name"


class _Reader:
    def __init__(self, book: TemplateBook, root: Dataset) -> None:
        self._book = book
        title = name_of(root)
        self._title = None if title is None else book.concept_of(title)

    def level(self, holder: Dataset, rows: Sequence[TemplateRow], inclusion: tuple[str, ...]) -> Iterator[Breach]:
        """The items below one, against the rows of that level; then what is below each of them.

        Parameters
        ----------
        inclusion : of the rows that are not included at this level
        """
        found: _Found = defaultdict(list)
        below: list[tuple[Dataset, TemplateRow]] = []
        for place, item in enumerate(children(holder)):
            if is_reference(item):
                continue
            row, breaches = self._match(item, rows)
            yield from breaches
            if row is not None:
                found[row.inclusion, row.row].append((place, item))
                below.append((item, row))
                yield from self._value_breaches(item, row)
        yield from self._count_breaches(rows, found, inclusion)
        yield from self._choice_breaches(rows, found, inclusion)
        yield from self._order_breaches(rows, found)
        for item, row in below:
            yield from self.level(item, row.below, row.inclusion_below)

    def _match(self, item: Dataset, rows: Sequence[TemplateRow]) -> tuple[TemplateRow | None, list[Breach]]:
        """The row that an item stands for; none where an extensible template has something of its own in it."""
        name, kind, relation = name_of(item), item.get("ValueType"), item.get("RelationshipType")
        concept = None if name is None else self._book.concept_of(name)
        named = [row for row in rows if row.concept is not None and row.concept == concept]
        if named:
            named = self._of_template(item, named)
            fitting = [row for row in named if row.value_type == kind and row.relationship in ("", relation)]
            if fitting:
                return fitting[0], []
            wanted = " or ".join(sorted({f"{row.relationship} {row.value_type}".strip() for row in named}))
            return None, [("TID-ROW", f"TID {named[0].template} row {named[0].row}: {describe(item)} is not {wanted}")]
        others = [
            row for row in rows if row.concept is None and row.value_type == kind and row.relationship in ("", relation)
        ]
        grouped = [row for row in others if row.group is not None and concept in group_concepts(row.group)]
        if grouped:
            return grouped[0], []
        free = [row for row in others if row.group is None or kind == "NUM"]
        return (free[0] if free else None), []

    def _of_template(self, item: Dataset, rows: list[TemplateRow]) -> list[TemplateRow]:
        """Of rows that begin templates of their own, the one whose template an item follows."""
        if not all(row.container_of for row in rows):
            return rows
        said = template_of(item) or self._kind_of_group(item)
        return [row for row in rows if row.container_of == said] or rows[-1:]

    def _kind_of_group(self, item: Dataset) -> str:
        """What a measurement group that does not say so follows, by the regions that it has."""
        names = Counter(self._book.concept_of(name) for below in children(item) if (name := name_of(below)))
        regions = names["DCM", "111030"]
        if _VOLUME_MARKS & names.keys() or regions > 1:
            return "1411"
        return "1410" if _PLANE_MARKS & names.keys() else "1501"

    def _value_breaches(self, item: Dataset, row: TemplateRow) -> Iterator[Breach]:
        place = f"TID {row.template} row {row.row}"
        value = first_code(item, "ConceptCodeSequence")
        if row.values is not None and row.value_type == "CODE" and value is not None:
            yield from self._code_breaches(row.values, value, f"{place}: the value of {describe(item)}")
        if row.value_type == "NUM":
            yield from self._unit_breaches(item, row, place)

    def _code_breaches(self, values: ValueSet, value: Code, place: str) -> Iterator[Breach]:
        """A suggestion is followed by any code of the schemes that it is made of."""
        known, concept = group_concepts(values.group), self._book.concept_of(value)
        if not known or concept in known:
            return
        if values.is_baseline and concept[0] in {scheme for scheme, _ in known}:
            return
        yield "TID-CODE" if values.is_closed else "TID-CODE-GROUP", f"{place} is none of CID {values.group}"

    def _unit_breaches(self, item: Dataset, row: TemplateRow, place: str) -> Iterator[Breach]:
        for measured in item.get("MeasuredValueSequence") or ():
            unit = first_code(measured, "MeasurementUnitsCodeSequence")
            if unit is None:
                continue
            if unit.scheme != "UCUM":
                yield "TID-UNITS", f"{place}: {describe(item)} has a unit that is not of UCUM"
            elif row.units.startswith("CID "):
                yield from self._unit_group_breaches(row.units, unit, f"{place}: the unit of {describe(item)}")
            elif row.units and unit.value != row.units:
                yield "TID-UNITS", f"{place}: {describe(item)} is not in {row.units}"

    @staticmethod
    def _unit_group_breaches(units: str, unit: Code, place: str) -> Iterator[Breach]:
        """A suggestion is followed by any unit of UCUM: a volume in mL, a glycolysis in g."""
        number = int(units.split()[1])
        if not units.endswith("baseline") and ("UCUM", unit.value) not in group_concepts(number):
            yield "TID-UNITS", f"{place} is none of CID {number}"

    def _count_breaches(
        self, rows: Sequence[TemplateRow], found: _Found, inclusion: tuple[str, ...]
    ) -> Iterator[Breach]:
        begun = {inclusion} | {one for one, _ in found}
        for row in rows:
            times = len(found.get((row.inclusion, row.row), ()))
            place, what = f"TID {row.template} row {row.row}", row.meaning or row.value_type
            if row.most and times > row.most:
                yield "TID-COUNT", f"{place}: {what} stands there {times} times"
            if (
                row.is_mandatory
                and not times
                and row.inclusion in begun
                and (row.template, row.row) not in _OBSERVER_ROWS
            ):
                yield "TID-REQUIRED", f"{place}: {what} is missing"

    def _choice_breaches(
        self, rows: Sequence[TemplateRow], found: _Found, inclusion: tuple[str, ...]
    ) -> Iterator[Breach]:
        """Of included rows only where one of them is there."""
        begun = {inclusion} | {one for one, _ in found}
        labels: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for row in rows:
            labels[row.inclusion].add(row.row)
        for choice in self._book.choices:
            for one in begun:
                if one[-1] == choice.template and choice.rows & labels[one]:
                    yield from self._chosen(choice, {row for path, row in found if path == one})

    def _chosen(self, choice: Choice, given: set[str]) -> Iterator[Breach]:
        if choice.once and not choice.once & given:
            return
        if choice.title is not None and choice.title != self._title:
            return
        count = len(choice.rows & given)
        if count < choice.least or (choice.most and count > choice.most):
            yield choice.rule, choice.says

    def _order_breaches(self, rows: Sequence[TemplateRow], found: _Found) -> Iterator[Breach]:
        labels = {key: number for number, key in enumerate(dict.fromkeys((row.inclusion, row.row) for row in rows))}
        by_inclusion: dict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
        for key, items in found.items():
            if key[0][-1] in self._book.ordered or (key[0][-1] == "301" and "300" in self._book.ordered):
                by_inclusion[key[0]] += [(place, labels[key]) for place, _ in items]
        for inclusion, places in by_inclusion.items():
            order = [label for _, label in sorted(places)]
            if order != sorted(order):
                yield "TID-ORDER", f"rows of TID {inclusion[-1]} do not stand in their order"

"""Where a header says who the patient is: at its top, in items of some sequences, in the content of a report.

What is known only from an item counts as much as what stands at the top: the name before it was corrected, the number
of the order, another hospital's Patient ID, the subject of a report.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from service.deident.bounded_memory import remember
from service.deident.element_values import Element, Encoding, ascii_at, raw_bytes
from service.deident.identity_tags import (
    ACCESSION_NUMBER,
    BIRTH_DATE,
    FILLER_NUMBER,
    IDENTITY_SEQUENCES,
    IDENTITY_TAGS,
    ISSUER,
    PATIENT_ID,
    PATIENT_NAME,
    PERSON_CODES,
    PLACER_NUMBER,
    REFERRING_PHYSICIAN,
)
from service.deident.originals import encoding_of_item
from service.deident.sequence_items import items_of
from service.errors import IdentityNotRemovable

CODE_VALUE, CODE_SCHEME, CODE_MEANING = 0x00080100, 0x00080102, 0x00080104
CONTENT_SEQUENCE, CONCEPT_NAME, VALUE_TYPE = 0x0040A730, 0x0040A043, 0x0040A040
CONTENT_VALUES = {"PNAME": 0x0040A123, "TEXT": 0x0040A160, "DATE": 0x0040A121}
SAID_OF_SUBJECT = {
    ("PNAME", "121029"): PATIENT_NAME,
    ("PNAME", "121036"): PATIENT_NAME,
    ("TEXT", "121030"): PATIENT_ID,
    ("TEXT", "121022"): ACCESSION_NUMBER,
    ("TEXT", "121020"): PLACER_NUMBER,
    ("TEXT", "121021"): FILLER_NUMBER,
    ("DATE", "121031"): BIRTH_DATE,
}
"""Content items that say what an element says: Subject Name and its mother's, Subject ID, numbers of the order, Subject
Birth Date (PS3.16 TID 1007 and 1204)."""
SOUGHT = IDENTITY_TAGS | {ISSUER}
DEEPEST = 8
"""How deep these sequences stand in each other."""
DEEPEST_CONTENT = 64
MOST_STATEMENTS = 512
"""Each is looked for in each text; nobody has so many names."""
REMEMBERED = 256
LONGEST_REMEMBERED = 2048
UNDEFINED = 0xFFFFFFFF


class Statement(NamedTuple):
    """An element that says something of the patient or a person, and what it counts as.

    Parameters
    ----------
    tag : of the element at the top of a header that says the same
    """

    tag: int
    element: Element
    encoding: Encoding


class IdentitySources:
    """Finds what headers say; remembers the items of sequences, which a series repeats in every instance."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], tuple[Statement, ...]] = {}

    def of(self, header: Dataset, encoding: Encoding) -> list[Statement]:
        """Return what a header says; the header is not changed but for the parsing of a content tree.

        Raises
        ------
        IdentityNotRemovable : it names more than anybody is called
        """
        # Plain numbers, which are found several times faster than tags; and none of them is converted.
        held = {int(tag): element for tag, element in header.items()}
        said = [Statement(tag, held[tag], encoding) for tag in sorted(SOUGHT & held.keys())]
        nested = IDENTITY_SEQUENCES & held.keys()
        for tag in sorted(nested):
            said += self._in_sequence(header, tag, held[tag], encoding)
        if CONTENT_SEQUENCE in held:
            said += _in_content(header, encoding)
        if nested or CONTENT_SEQUENCE in held:
            said = _distinct(said)
        if len(said) > MOST_STATEMENTS:
            raise IdentityNotRemovable(f"it names persons and identifiers more than {MOST_STATEMENTS} times")
        return said

    def _in_sequence(self, header: Dataset, tag: int, element: Element, encoding: Encoding) -> tuple[Statement, ...]:
        if not isinstance(element, RawDataElement) or element.value is None:
            return tuple(_in_items(header, tag, encoding, 1))
        key = (tag, element.value, element.VR, element.length == UNDEFINED, encoding)
        known = self._known.get(key)
        if known is None:
            # Read by itself: the header keeps its bytes, by which the element is known again.
            alone = Dataset({BaseTag(tag): element})
            implicit, little = header.original_encoding
            alone.set_original_encoding(implicit, little, header.original_character_set)
            known = tuple(_in_items(alone, tag, encoding, 1))
            if len(element.value) <= LONGEST_REMEMBERED:
                remember(self._known, key, known, REMEMBERED)
        return known


def _in_items(holder: Dataset, tag: int, encoding: Encoding, depth: int) -> Iterator[Statement]:
    for item in items_of(holder, tag):
        inner = encoding_of_item(item, encoding)
        held = {int(number): element for number, element in item.items()}
        for number in sorted(IDENTITY_TAGS & held.keys()):
            yield Statement(number, held[number], inner)
        if tag in PERSON_CODES and CODE_MEANING in held:
            yield Statement(REFERRING_PHYSICIAN, held[CODE_MEANING], inner)
        if depth < DEEPEST:
            for number in sorted(IDENTITY_SEQUENCES & held.keys()):
                yield from _in_items(item, number, inner, depth + 1)


def _in_content(header: Dataset, encoding: Encoding) -> Iterator[Statement]:
    """Yield what the content items of a report say (PS3.3 C.17.3); deeper ones than these are refused later."""
    waiting = [(header, encoding, 0)]
    while waiting:
        parent, outer, depth = waiting.pop()
        for item in items_of(parent, CONTENT_SEQUENCE):
            inner = encoding_of_item(item, outer)
            value_type = ascii_at(item, VALUE_TYPE)
            if value_type in CONTENT_VALUES:
                element = item.get_item(CONTENT_VALUES[value_type], keep_deferred=True)
                counts_as = _counts_as(item, value_type)
                if element is not None and counts_as is not None:
                    yield Statement(counts_as, element, inner)
            if depth < DEEPEST_CONTENT and CONTENT_SEQUENCE in item:
                waiting.append((item, inner, depth + 1))


def _counts_as(item: Dataset, value_type: str) -> int | None:
    """Return which element of a header says the same as a content item; None where none does."""
    for code in items_of(item, CONCEPT_NAME)[:1]:
        if ascii_at(code, CODE_SCHEME) == "DCM":
            subject = SAID_OF_SUBJECT.get((value_type, ascii_at(code, CODE_VALUE)))
            if subject is not None:
                return subject
    return REFERRING_PHYSICIAN if value_type == "PNAME" else None


def _distinct(said: list[Statement]) -> list[Statement]:
    """Return each statement once, however many items repeat it."""
    found = {(one.tag, raw_bytes(one.element, one.encoding), one.encoding.text): one for one in said}
    return list(found.values())

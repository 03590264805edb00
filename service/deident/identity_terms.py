"""What of a header says who the patient is, as terms to be searched for in other texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pydicom.dataset import Dataset

from service.deident.date_mentions import Day
from service.deident.element_values import BACKSLASH, Element, Encoding, decoded_text, element_forms, raw_bytes
from service.deident.name_forms import (
    NOT_WORD,
    SHORTEST_INSIDE,
    SHORTEST_WORD,
    add_name,
    folded,
    ideographic,
    name_parts,
)
from service.deident.sequence_items import items_of

NAME_TAGS = (0x00100010, 0x00101001, 0x00101005, 0x00101060, 0x00102297)
"""Patient's Name, Other Patient Names, Birth Name, Mother's Birth Name, Responsible Person."""
STAFF_TAGS = (0x00080090, 0x0008009C, 0x00081048, 0x00081050, 0x00081060, 0x00081070, 0x00321032)
IDENTIFIER_TAGS = (
    0x00100020,
    0x00101000,
    0x00101090,
    0x00080050,
    0x00380010,
    0x00101050,
    0x00102154,
    0x00101040,
    0x00102155,
)
"""Patient ID, other IDs, record locator, Accession Number, Admission ID, insurance, phone, address, telecom."""
ORDER_TAGS = (0x00200010, 0x00380060, 0x00401001, 0x00402016, 0x00402017)
"""Study ID, Service Episode ID, Requested Procedure ID, numbers of placer's and filler's order."""
ADDRESS_TAGS = (0x00101040,)
OTHER_IDS_SEQUENCE = 0x00101002
PATIENT_ID = 0x00100020
BIRTH_DATE = 0x00100030
PHONE_TAGS = (0x00102154,)
DATE_TAGS = (BIRTH_DATE, 0x00080012, 0x00080020, 0x00080021, 0x00080022, 0x00080023)
"""Birth, instance creation, study, series, acquisition and content date."""
IDENTITY_TAGS = (*NAME_TAGS, *STAFF_TAGS, *IDENTIFIER_TAGS, *ORDER_TAGS, OTHER_IDS_SEQUENCE, *DATE_TAGS)
SHORTEST_STAFF_WORD = 4
NO_NAMES = frozenset(
    {
        "anonymized", "anonymous", "clinic", "default", "department", "doctor", "emergency", "none", "null", "operator",
        "physician", "prof", "radiology", "removed", "service", "staff", "system", "team", "technologist", "test",
        "unknown", "user",
    }
)  # fmt: skip
"""What stands in the place of a physician's or operator's name without being one."""
ORDER_DIGITS = 5
SHORTEST_ADDRESS_PART = 8
PHONE_DIGITS = 8
"""The last digits of a telephone number, which stay the same with and without a country's code."""


class IdentityTerms(NamedTuple):
    """Terms of one patient, folded and without separators, by the way in which they are found.

    Parameters
    ----------
    words : where they stand apart
    inside : anywhere
    raw : in bytes
    staff : of physicians and operators
    days : birth and the study's dates
    """

    words: set[str]
    inside: set[str]
    raw: set[bytes]
    staff: set[str]
    days: set[Day]


def identity_terms(header: Dataset, encoding: Encoding) -> IdentityTerms:
    """Collect the terms from the top of a header."""
    words: set[str] = set()
    inside: set[str] = set()
    days: set[Day] = set()
    for name in _values(header, NAME_TAGS, encoding):
        add_name(name, words, inside)
    others = [
        value
        for element in other_ids(header)
        for form in element_forms(element, encoding)
        for value in form.split(BACKSLASH)
    ]
    for identifier in [*_values(header, IDENTIFIER_TAGS, encoding), *others]:
        _add_identifier(identifier, words, inside)
    for order in _values(header, ORDER_TAGS, encoding):
        # Words and small numbers stand there as well: the name of a protocol, the first study.
        if sum(char.isdigit() for char in order) >= ORDER_DIGITS:
            _add_identifier(order, words, inside)
    for address in _values(header, ADDRESS_TAGS, encoding):
        for part in re.split(r"[,;^\r\n]", address):
            if len(part) >= SHORTEST_ADDRESS_PART:
                _add_identifier(part, words, inside)
    for number in _values(header, PHONE_TAGS, encoding):
        _add_phone(number, inside)
    for date in _values(header, DATE_TAGS, encoding):
        _add_date(date, words, inside, days)
    names = [part for name in _values(header, STAFF_TAGS, encoding) for part in name_parts(name)]
    staff = {part for part in names if len(part) >= SHORTEST_STAFF_WORD or ideographic(part)} - NO_NAMES
    raw = _raw_parts(header, encoding)
    raw |= {term.encode("ascii") for term in inside if term.isascii()}
    return IdentityTerms(words, inside, {term for term in raw if len(term) >= SHORTEST_INSIDE}, staff, days)


def _values(header: Dataset, tags: Iterable[int], encoding: Encoding) -> Iterator[str]:
    """Yield each value of some elements, in each way that it may be read."""
    for tag in tags:
        for form in _forms(header, tag, encoding):
            yield from form.split(BACKSLASH)


def _raw_parts(header: Dataset, encoding: Encoding) -> set[bytes]:
    """Return the parts of names and identifiers as they are encoded, without case."""
    parts: set[bytes] = set()
    for tag in (*NAME_TAGS, *IDENTIFIER_TAGS):
        element = header.get_item(tag, keep_deferred=True)
        if element is not None:
            parts |= {part.strip() for part in re.split(rb"[\\^=]", raw_bytes(element, encoding).lower())}
    for value in _values(header, (*NAME_TAGS, *IDENTIFIER_TAGS), encoding):
        if not value.isascii() and "\ufffd" not in value:
            written = [form for part in re.split(r"[\^=]", value) for form in (part, part.lower(), part.upper())]
            # Lowered once more as bytes are, since what is searched is lowered so.
            parts |= {form.strip().encode(codec).lower() for form in written for codec in ("utf-8", "utf-16-le")}
    return parts


def _forms(header: Dataset, tag: int, encoding: Encoding) -> list[str]:
    element = header.get_item(tag, keep_deferred=True)
    if element is None:
        return []
    forms = element_forms(element, encoding)
    # What escape sequences announce is read right only when they are followed (PS3.5 6.1.2.5).
    return forms if len(encoding.text) == 1 else [*forms, decoded_text(element, encoding)]


def other_ids(header: Dataset) -> list[Element]:
    """Return the Patient ID elements in the items of Other Patient IDs Sequence (0010,1002)."""
    items = items_of(header, OTHER_IDS_SEQUENCE)
    found = [item.get_item(PATIENT_ID, keep_deferred=True) for item in items]
    return [element for element in found if element is not None]


def _add_identifier(value: str, words: set[str], inside: set[str]) -> None:
    joined = NOT_WORD.sub("", folded(value))
    if "�" in joined:
        return
    forms = {joined, joined.lstrip("0")}
    # The number of "PAT-0012345" is also written alone.
    forms |= {number.lstrip("0") for number in re.findall(r"\d+", joined) if len(number) >= SHORTEST_INSIDE}
    for form in forms:
        if len(form) >= SHORTEST_INSIDE:
            inside.add(form)
        elif len(form) >= SHORTEST_WORD:
            words.add(form)


def _add_phone(value: str, inside: set[str]) -> None:
    digits = re.sub(r"\D", "", value)
    if len(digits) >= PHONE_DIGITS:
        inside.add(digits[-PHONE_DIGITS:])


def _add_date(value: str, words: set[str], inside: set[str], days: set[Day]) -> None:
    digits = re.sub(r"\D", "", value)
    if len(digits) == 8:
        year, month, day = digits[:4], digits[4:6], digits[6:]
        inside.update({year + month + day, day + month + year, month + day + year})
        words.update({year[2:] + month + day, day + month + year[2:], month + day + year[2:]})
        days.add((int(year), int(month), int(day)))

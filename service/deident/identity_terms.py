"""What of a header says who the patient is, as terms to be searched for in other texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from service.deident.date_mentions import Day
from service.deident.element_values import BACKSLASH, decoded_text, element_forms, raw_bytes
from service.deident.identity_sources import Statement
from service.deident.identity_tags import (
    ADDRESS_TAGS,
    DATE_TAGS,
    IDENTIFIER_TAGS,
    NAME_TAGS,
    ORDER_TAGS,
    PHONE_TAGS,
    STAFF_TAGS,
)
from service.deident.name_forms import (
    NOT_WORD,
    SHORTEST_INSIDE,
    SHORTEST_WORD,
    add_name,
    folded,
    ideographic,
    name_parts,
)

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


def identity_terms(said: Iterable[Statement], further: Iterable[str] = ()) -> IdentityTerms:
    """Collect the terms from what a header says.

    Parameters
    ----------
    further : identifiers of the patient that stand elsewhere
    """
    by_tag: dict[int, list[Statement]] = {}
    for statement in said:
        by_tag.setdefault(statement.tag, []).append(statement)
    further = list(further)
    words: set[str] = set()
    inside: set[str] = set()
    days: set[Day] = set()
    for name in _values(by_tag, NAME_TAGS):
        add_name(name, words, inside)
    for identifier in [*_values(by_tag, IDENTIFIER_TAGS), *further]:
        _add_identifier(identifier, words, inside)
    for order in _values(by_tag, ORDER_TAGS):
        # Words and small numbers stand there as well: the name of a protocol, the first study.
        if sum(char.isdigit() for char in order) >= ORDER_DIGITS:
            _add_identifier(order, words, inside)
    for address in _values(by_tag, ADDRESS_TAGS):
        for part in re.split(r"[,;^\r\n]", address):
            if len(part) >= SHORTEST_ADDRESS_PART:
                _add_identifier(part, words, inside)
    for number in _values(by_tag, PHONE_TAGS):
        _add_phone(number, inside)
    for date in _values(by_tag, DATE_TAGS):
        _add_date(date, words, inside, days)
    names = [part for name in _values(by_tag, STAFF_TAGS) for part in name_parts(name)]
    staff = {part for part in names if len(part) >= SHORTEST_STAFF_WORD or ideographic(part)} - NO_NAMES
    raw = _raw_parts(by_tag, further)
    raw |= {term.encode("ascii") for term in inside if term.isascii()}
    return IdentityTerms(words, inside, {term for term in raw if len(term) >= SHORTEST_INSIDE}, staff, days)


def _values(said: Mapping[int, list[Statement]], tags: Iterable[int]) -> Iterator[str]:
    """Yield each value of some elements, in each way that it may be read."""
    for tag in tags:
        for statement in said.get(tag, ()):
            for form in _forms(statement):
                yield from form.split(BACKSLASH)


def _raw_parts(said: Mapping[int, list[Statement]], further: Iterable[str]) -> set[bytes]:
    """Return the parts of names and identifiers as they are encoded, without case."""
    parts: set[bytes] = set()
    values = list(further)
    for tag in (*NAME_TAGS, *IDENTIFIER_TAGS):
        for _, element, encoding in said.get(tag, ()):
            parts |= {part.strip() for part in re.split(rb"[\\^=]", raw_bytes(element, encoding).lower())}
    parts |= {value.encode("ascii").lower() for value in values if value.isascii()}
    for value in [*_values(said, (*NAME_TAGS, *IDENTIFIER_TAGS)), *values]:
        if not value.isascii() and "\ufffd" not in value:
            written = [form for part in re.split(r"[\^=]", value) for form in (part, part.lower(), part.upper())]
            # Lowered once more as bytes are, since what is searched is lowered so.
            parts |= {form.strip().encode(codec).lower() for form in written for codec in ("utf-8", "utf-16-le")}
    return parts


def _forms(statement: Statement) -> list[str]:
    _, element, encoding = statement
    forms = element_forms(element, encoding)
    # What escape sequences announce is read right only when they are followed (PS3.5 6.1.2.5).
    return forms if len(encoding.text) == 1 else [*forms, decoded_text(element, encoding)]


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

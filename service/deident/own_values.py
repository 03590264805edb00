"""The patient's own values, and finding them in text that is otherwise kept.

They are found without regard to case, accents, separators and the order of a name's parts, with initials in the place
of parts, and dates in whatever order or words they are written. When one is found in text that is otherwise kept, the
whole text goes: what repeats a name once may say more; text that is cleaned word by word asks where they stand. The
real dates of the study count, since one beside a shifted date would give the shift away, and so does anything that
looks like a UID.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from pydicom.dataset import Dataset

from service.deident.date_mentions import Day, dates_in, mentions, two_digit_years
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
from service.deident.own_value_search import JoinedText, Span, merged
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

UID_LIKE = re.compile(r"(?<![0-9])[0-9]++(?:\.[0-9]++){6,}")
DIGIT = re.compile(r"\d")
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
REMEMBERED = 4096
LONGEST_REMEMBERED = 256
STRETCH = 4 << 20
"""Bytes that are searched at once."""


class Reading(NamedTuple):
    """A text as it is searched, the same for everybody."""

    has_uid: bool
    days: frozenset[Day]
    words: frozenset[str]
    joined: str


def _read(text: str) -> Reading:
    plain = folded(text)
    has_uid = UID_LIKE.search(text) is not None
    days: set[Day] = set()
    if DIGIT.search(text):
        days = {day for _, meanings in dates_in(text) for day in meanings}
    return Reading(has_uid, frozenset(days), frozenset(NOT_WORD.split(plain)), NOT_WORD.sub("", plain))


_reading = lru_cache(maxsize=REMEMBERED)(_read)


class OwnValues:
    """Search terms made from one patient's header.

    Parameters
    ----------
    words : found where they stand as a word of their own
    inside : found anywhere once separators are taken out
    raw : found in bytes, without case
    staff : words of physicians' and operators' names, found in free text but not in coded strings
    days : found in any form in which a date is written
    """

    def __init__(
        self,
        words: Iterable[str],
        inside: Iterable[str],
        raw: Iterable[bytes] = (),
        staff: Iterable[str] = (),
        days: Iterable[Day] = (),
    ) -> None:
        self._words = frozenset(words)
        self._inside = tuple(sorted(set(inside)))
        self._raw = tuple(sorted(set(raw)))
        self._staff = frozenset(staff)
        self._days = two_digit_years(set(days))
        self._memory: dict[tuple[bytes, tuple[str, ...], bool], bool] = {}

    @classmethod
    def of_vault_entry(cls, patient: dict[str, Any]) -> OwnValues:
        """Collect the terms from an opened vault entry of kind "patient"."""
        return cls.of(Dataset.from_json(patient["elements"]), Encoding())

    @classmethod
    def of(cls, header: Dataset, encoding: Encoding) -> OwnValues:
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
        return cls(words, inside, [term for term in raw if len(term) >= SHORTEST_INSIDE], staff, days)

    def found_in(self, forms: Iterable[str], *, coded: bool = False) -> bool:
        """Whether one of the patient's own values stands in a text, in any of its readings.

        Parameters
        ----------
        coded : the text is a coded string, which may share a word with a physician's or a department's name
        """
        return any(self._found(form, coded=coded) for form in forms)

    def found_in_value(self, value: bytes, encoding: Encoding, forms: Iterable[str], *, coded: bool = False) -> bool:
        """As ``found_in``; remembers what was asked, since a series repeats its texts in every instance."""
        key = (value, encoding.text, coded)
        known = self._memory.get(key)
        if known is None:
            if len(self._memory) >= REMEMBERED:
                self._memory.clear()
            known = self._memory[key] = self.found_in(forms, coded=coded)
        return known

    def found_in_bytes(self, value: bytes) -> bool:
        """Whether an own value of five bytes or more stands in binary data, as ASCII or in UTF-16."""
        overlap = 2 * max(map(len, self._raw), default=0)
        stretches = (value[at : at + STRETCH + overlap].lower() for at in range(0, len(value), STRETCH))
        return any(term in stretch or _wide(term) in stretch for stretch in stretches for term in self._raw)

    def is_identifier(self, value: bytes) -> bool:
        """Whether the whole of an encoded value is one of the patient's identifiers of five characters or more."""
        return value.strip(b" \0").lower() in self._raw

    def _found(self, text: str, *, coded: bool) -> bool:
        read = _reading(text) if len(text) <= LONGEST_REMEMBERED else _read(text)
        if read.has_uid:
            return True
        if not self._words.isdisjoint(read.words) or not (coded or self._staff.isdisjoint(read.words)):
            return True
        if any(term in read.joined for term in self._inside):
            return True
        return not self._days.isdisjoint(read.days) or any(True for _ in self._apart(text, read.joined))

    def spans_in(self, text: str) -> list[Span]:
        """Return where the patient's own values stand in a text, in order, as far as they reach."""
        read = JoinedText(text)
        spans = [match.span() for match in UID_LIKE.finditer(text)]
        for term in self._inside:
            spans += read.anywhere(term)
        for term in self._words | self._staff:
            spans += read.apart(term)
        if self._days and DIGIT.search(text):
            spans += mentions(text, self._days)
        return merged(spans)

    def _apart(self, text: str, joined: str) -> Iterator[Span]:
        """Yield where short values stand apart though not as words: "D.O.E.", "scanDoe", "AB-12"."""
        terms = [term for term in self._words if term in joined]
        if terms:
            read = JoinedText(text)
            for term in terms:
                yield from read.apart(term)


def _wide(term: bytes) -> bytes:
    return b"".join(bytes((byte, 0)) for byte in term)[:-1]


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

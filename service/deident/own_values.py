"""The patient's own values, and finding them in text that is otherwise kept.

They are found without regard to case, accents, separators and the order of a name's parts. When one is found, the whole
text goes: what repeats a name once may say more. The real dates of the study count, since one beside a shifted date
would give the shift away, and so does anything that looks like a UID.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from pydicom.dataset import Dataset

from service.deident.element_values import Element, Encoding, element_forms, raw_bytes
from service.deident.sequence_items import items_of

NAME_TAGS = (0x00100010, 0x00101001, 0x00101005, 0x00101060, 0x00102297)
"""Patient's Name, Other Patient Names, Birth Name, Mother's Birth Name, Responsible Person."""
STAFF_TAGS = (0x00080090, 0x0008009C, 0x00081048, 0x00081050, 0x00081060, 0x00081070, 0x00321032)
IDENTIFIER_TAGS = (0x00100020, 0x00101000, 0x00101090, 0x00080050, 0x00380010, 0x00101050, 0x00102154, 0x00101040)
"""Patient ID, Other Patient IDs, Medical Record Locator, Accession Number, Admission ID, insurance, phone, address."""
OTHER_IDS_SEQUENCE = 0x00101002
PATIENT_ID = 0x00100020
BIRTH_DATE = 0x00100030
DATE_TAGS = (BIRTH_DATE, 0x00080012, 0x00080020, 0x00080021, 0x00080022, 0x00080023)
"""Birth, instance creation, study, series, acquisition and content date."""
IDENTITY_TAGS = (*NAME_TAGS, *STAFF_TAGS, *IDENTIFIER_TAGS, OTHER_IDS_SEQUENCE, *DATE_TAGS)

UID_LIKE = re.compile(r"[0-9]+(?:\.[0-9]+){6,}")
NOT_WORD = re.compile(r"[\W_]+")
SHORTEST_WORD = 3
"""A two-letter name part is found only beside another part of the name."""
SHORTEST_STAFF_WORD = 4
SHORTEST_INSIDE = 5
"""From this length on a value is also found inside a longer run of letters and digits."""
REMEMBERED = 4096


def folded(text: str) -> str:
    """Return the text without case, accents and width."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()


class OwnValues:
    """Search terms made from one patient's header.

    Parameters
    ----------
    words : found where they stand as a word of their own
    inside : found anywhere once separators are taken out
    raw : found in bytes, without case
    staff : words of physicians' and operators' names, found in free text but not in coded strings
    """

    def __init__(
        self, words: Iterable[str], inside: Iterable[str], raw: Iterable[bytes] = (), staff: Iterable[str] = ()
    ) -> None:
        self._words = frozenset(words)
        self._inside = tuple(sorted(set(inside)))
        self._raw = tuple(sorted(set(raw)))
        self._staff = frozenset(staff)
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
        raw: set[bytes] = set()
        staff: set[str] = set()
        for tag in NAME_TAGS:
            for form in _forms(header, tag, encoding):
                for name in form.split("\\"):
                    _add_name(name, words, inside)
        for tag in STAFF_TAGS:
            for form in _forms(header, tag, encoding):
                staff.update(part for part in _parts(form) if len(part) >= SHORTEST_STAFF_WORD or _ideographic(part))
        identifiers = [form for tag in IDENTIFIER_TAGS for form in _forms(header, tag, encoding)]
        for element in other_ids(header):
            identifiers += element_forms(element, encoding)
        for form in identifiers:
            for value in form.split("\\"):
                _add_identifier(value, words, inside)
        for tag in DATE_TAGS:
            for form in _forms(header, tag, encoding):
                _add_date(form.strip(), inside)
        for tag in (*NAME_TAGS, *IDENTIFIER_TAGS):
            element = header.get_item(tag, keep_deferred=True)
            if element is not None:
                raw |= {part.strip() for part in re.split(rb"[\\^=]", raw_bytes(element, encoding).lower())}
        raw |= {term.encode("ascii") for term in inside if term.isascii()}
        return cls(words, inside, [term for term in raw if len(term) >= SHORTEST_INSIDE], staff)

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
        lowered = value.lower()
        return any(term in lowered or _wide(term) in lowered for term in self._raw)

    def is_identifier(self, value: bytes) -> bool:
        """Whether the whole of an encoded value is one of the patient's identifiers of five characters or more."""
        return value.strip(b" \0").lower() in self._raw

    def _found(self, text: str, *, coded: bool) -> bool:
        if UID_LIKE.search(text):
            return True
        plain = folded(text)
        words = NOT_WORD.split(plain)
        if not self._words.isdisjoint(words) or not (coded or self._staff.isdisjoint(words)):
            return True
        joined = NOT_WORD.sub("", plain)
        return any(term in joined for term in self._inside)


def _wide(term: bytes) -> bytes:
    return b"".join(bytes((byte, 0)) for byte in term)[:-1]


def _forms(header: Dataset, tag: int, encoding: Encoding) -> list[str]:
    element = header.get_item(tag, keep_deferred=True)
    return [] if element is None else element_forms(element, encoding)


def other_ids(header: Dataset) -> list[Element]:
    """Return the Patient ID elements in the items of Other Patient IDs Sequence (0010,1002)."""
    items = items_of(header, OTHER_IDS_SEQUENCE)
    found = [item.get_item(PATIENT_ID, keep_deferred=True) for item in items]
    return [element for element in found if element is not None]


def _parts(name: str) -> list[str]:
    return [part for part in NOT_WORD.split(folded(name)) if part and "�" not in part]


def _ideographic(part: str) -> bool:
    """Whether a part is written in ideographs, kana or hangul (also taken apart by folding), where one is a name."""
    return any(ord(char) >= 0x2E80 or 0x1100 <= ord(char) <= 0x11FF for char in part)


def _add_name(name: str, words: set[str], inside: set[str]) -> None:
    for group in name.split("="):
        parts = _parts(group)
        wide = [part for part in parts if _ideographic(part)]
        words.update(part for part in parts if len(part) >= SHORTEST_WORD and not part.isdigit())
        words.update(wide)
        inside.update(part for part in parts if len(part) >= SHORTEST_INSIDE)
        inside.update(part for part in wide if len(part) > 1)
        pairs = [a + b for a in parts for b in parts if a is not b]
        inside.update(pair for pair in pairs if len(pair) >= SHORTEST_INSIDE or _ideographic(pair))


def _add_identifier(value: str, words: set[str], inside: set[str]) -> None:
    joined = NOT_WORD.sub("", folded(value))
    if "�" in joined:
        return
    for form in {joined, joined.lstrip("0")}:
        if len(form) >= SHORTEST_INSIDE:
            inside.add(form)
        elif len(form) >= SHORTEST_WORD:
            words.add(form)


def _add_date(value: str, inside: set[str]) -> None:
    digits = re.sub(r"\D", "", value)
    if len(digits) == 8:
        year, month, day = digits[:4], digits[4:6], digits[6:]
        inside.update({year + month + day, day + month + year, month + day + year})

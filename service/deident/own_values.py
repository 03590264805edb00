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

from service.core.encoded_bytes import EncodedBytes
from service.deident.date_mentions import Day, dates_in, mentions, two_digit_years
from service.deident.element_values import Encoding
from service.deident.identity_sources import IdentitySources, Statement
from service.deident.identity_terms import IdentityTerms, identity_terms
from service.deident.name_forms import NOT_WORD, SHORTEST_INSIDE, folded
from service.deident.own_value_search import JoinedText, Span, merged
from service.deident.ramps import BESIDE, stands_beside_ramps

UID_LIKE = re.compile(r"(?<![0-9])[0-9]++(?:\.[0-9]++){6,}")
DIGIT = re.compile(r"\d")
NUMBER = re.compile(rb"[ \0]*+[+-]?(0*+([0-9]*+))(?:\.0*+)?[ \0]*+")
REMEMBERED = 4096
LONGEST_REMEMBERED = 256
LONGEST_SEARCHED = 1_000_000
"""No text of so many characters is one; searching it takes time in proportion, and it goes."""
STRETCH = 1 << 20
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
        self._terms = IdentityTerms(set(words), set(inside), set(raw), set(staff), set(days))
        self._words = frozenset(self._terms.words)
        self._inside = tuple(sorted(self._terms.inside))
        self._raw = tuple(sorted(self._terms.raw))
        self._in_bytes: tuple[bytes, ...] | None = None
        self._numbers = frozenset(term for term in self._raw if term.isdigit())
        self._staff = frozenset(self._terms.staff)
        self._days = two_digit_years(self._terms.days)
        self._memory: dict[tuple[bytes, tuple[str, ...], bool], bool] = {}

    @classmethod
    def of_vault_entry(cls, patient: dict[str, Any]) -> OwnValues:
        """Collect the terms from an opened vault entry of kind "patient"."""
        return cls.of(Dataset.from_json(patient["elements"]), Encoding())

    @classmethod
    def of(cls, header: Dataset, encoding: Encoding, further: Iterable[str] = ()) -> OwnValues:
        """Collect the terms from what a header says of the patient.

        Parameters
        ----------
        further : identifiers of the patient that stand elsewhere

        Raises
        ------
        IdentityNotRemovable : it names more than anybody is called
        """
        return cls.of_statements(IdentitySources().of(header, encoding), further)

    @classmethod
    def of_statements(cls, said: Iterable[Statement], further: Iterable[str] = ()) -> OwnValues:
        """As ``of``, where it was found already what a header says."""
        return cls(*identity_terms(said, further))

    def and_of(self, said: Iterable[Statement]) -> OwnValues:
        """Return these and what another header says of the patient and of persons."""
        own, more = self._terms, identity_terms(said)
        return OwnValues(
            own.words | more.words,
            own.inside | more.inside,
            own.raw | more.raw,
            own.staff | more.staff,
            own.days | more.days,
        )

    def found_in(self, forms: Iterable[str], *, coded: bool = False) -> bool:
        """Whether one of the patient's own values stands in a text, in any of its readings.

        Parameters
        ----------
        coded : the text is a coded string, which may share a word with a physician's or a department's name
        """
        return any(len(form) > LONGEST_SEARCHED or self._found(form, coded=coded) for form in forms)

    def found_in_value(self, value: bytes, encoding: Encoding, forms: Iterable[str], *, coded: bool = False) -> bool:
        """As ``found_in``; remembers what was asked, since a series repeats its texts in every instance."""
        key = (value, encoding.text, coded)
        known = self._memory.get(key)
        if known is None:
            if len(self._memory) >= REMEMBERED:
                self._memory.clear()
            known = self._memory[key] = self.found_in(forms, coded=coded)
        return known

    def found_in_bytes(self, value: EncodedBytes) -> bool:
        """Whether an own value of five bytes or more stands in binary data, as ASCII or in UTF-16.

        One that is part of a ramp ("12345" in a palette) says nothing: see ``ramps``.
        """
        if self._in_bytes is None:
            self._in_bytes = (*self._raw, *map(_wide, self._raw))
        overlap = max(map(len, self._in_bytes), default=0) + BESIDE
        for at in range(0, len(value), STRETCH):
            stretch = value[max(0, at - BESIDE) : at + STRETCH + overlap]
            lowered = stretch.lower()
            for term in self._in_bytes:
                if term in lowered and stands_beside_ramps(term, lowered, stretch):
                    return True
        return False

    def has_identifier(self, value: bytes) -> bool:
        """Whether one of the numbers or times in an encoded value is an identifier of five digits or more.

        A sign, zeros that lead to five digits more, and a fraction of zeros make no other number of it.
        """
        if len(value) < SHORTEST_INSIDE or not any(term in value for term in self._numbers):
            return False
        numbers = (NUMBER.fullmatch(number) for number in value.split(b"\\"))
        return any(found is not None and not self._numbers.isdisjoint(found.groups()) for found in numbers)

    def has_number_in_uid(self, uid: str) -> bool:
        """Whether an identifier or a date of the patient's, of five digits or more, stands in a component of a UID."""
        components = uid.encode("ascii", "replace").split(b".")
        return any(number in component for component in components for number in self._numbers)

    def _found(self, text: str, *, coded: bool) -> bool:
        read = _reading(text) if len(text) <= LONGEST_REMEMBERED else _read(text)
        if read.has_uid:
            return True
        if not self._words.isdisjoint(read.words) or not (coded or self._staff.isdisjoint(read.words)):
            return True
        joined = read.joined
        for term in self._inside:  # a loop, not any(): it is run for each text of each patient
            if term in joined:
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

"""A patient's own values, sought in texts, bytes, numbers and UIDs letter by letter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from service.deident.date_mentions import dates_in
from tests.plain_deident.own_terms import MIXED, PlainTerms, folded
from tests.plain_deident.reading import readings

Span = tuple[int, int]
UID = re.compile(r"(?<![0-9])[0-9]+(?:\.[0-9]+){6,}")


class Letters:
    """The letters and digits of a text, folded, each with its place in the text."""

    def __init__(self, text: str) -> None:
        self.text = text
        held = [(letter, place) for place, char in enumerate(text) for letter in folded(char) if letter.isalnum()]
        self.joined = "".join(letter for letter, _ in held)
        self.places = [place for _, place in held]

    def spans_of(self, term: str) -> Iterator[tuple[int, int]]:
        """Yield where a term stands among the letters, overlapping ones too."""
        for match in re.finditer(f"(?={re.escape(term)})", self.joined):
            yield match.start(), match.start() + len(term)

    def span(self, start: int, end: int) -> Span:
        """Return where letters stand in the text."""
        return self.places[start], self.places[end - 1] + 1

    def is_edge(self, number: int) -> bool:
        """Whether a word, a number, or a part of a CamelCase word begins or ends before a letter."""
        if number in (0, len(self.joined)):
            return True
        before, here = self.places[number - 1], self.places[number]
        if here - before != 1:
            return here != before  # one character may be folded to several letters
        one, other, more = self.text[before], self.text[here], self.text[here + 1 : here + 2]
        camel = other.isupper() and (one.islower() or (one.isupper() and more.islower()))
        return one.isdigit() is not other.isdigit() or camel

    def apart(self, term: str) -> Iterator[Span]:
        """Yield where a term stands apart, with the zeros that lead it."""
        for start, end in self.spans_of(term):
            first = start
            in_pieces = self.places[end - 1] - self.places[start] > len(term) - 1
            if term.isdigit() and len(term) < 4 and in_pieces:
                continue
            while term[0].isdigit() and first and self.joined[first - 1] == "0" and not self.is_edge(first):
                first -= 1
            if self.is_edge(first) and self.is_edge(end):
                yield self.span(first, end)


class PlainOwnValues:
    """Seeks the values of one patient."""

    def __init__(self, terms: PlainTerms) -> None:
        self.terms = terms
        self.numbers = {term.decode() for term in terms.raw if term.isdigit()}
        self.days = terms.days | {(year % 100, month, day) for year, month, day in terms.days}

    def found_in(self, forms: Iterable[str], *, coded: bool = False) -> bool:
        """Whether one stands in a text, in any of its readings; persons do not count in a coded string."""
        return any(self._found(form, coded) for form in forms)

    def _found(self, text: str, coded: bool) -> bool:
        if len(text) > 1_000_000 or UID.search(text):
            return True
        letters = Letters(text)
        if any(term in letters.joined for term in self.terms.inside):
            return True
        if (self.terms.words if coded else self.terms.words | self.terms.staff) & set(MIXED.split(folded(text))):
            return True
        apart = (span for term in self.terms.words for span in letters.apart(term))
        return any(True for _ in apart) or any(True for _ in self._days_in(text))

    def _days_in(self, text: str) -> Iterator[Span]:
        for span, meant in dates_in(text):
            if meant & self.days:
                yield span

    def found_in_value(self, value: bytes, codecs: tuple[str, ...], *, coded: bool = False) -> bool:
        """As ``found_in``, for an encoded text."""
        return self.found_in(readings(value, codecs), coded=coded)

    def spans_in(self, text: str) -> list[Span]:
        """Return where values stand in a text, those that touch as one."""
        letters = Letters(text)
        found = [match.span() for match in UID.finditer(text)]
        found += [letters.span(*span) for term in self.terms.inside for span in letters.spans_of(term)]
        found += [span for term in self.terms.words | self.terms.staff for span in letters.apart(term)]
        covered = {place for start, end in [*found, *self._days_in(text)] for place in range(start, end)}
        # Spans that touch are one, as characters side by side are.
        starts = sorted(place for place in covered if place - 1 not in covered)
        ends = sorted(place + 1 for place in covered if place + 1 not in covered)
        return list(zip(starts, ends, strict=True))

    def found_in_bytes(self, value: bytes) -> bool:
        """Whether one stands in bytes, as ASCII or in UTF-16, but for ramps of values."""
        for term in self.terms.raw:
            wide = b"\0".join(bytes([byte]) for byte in term)
            for sought in (term, wide):
                # A term that is UTF-16 itself is stepped through as such.
                width = 2 if sought[1] == 0 else 1
                for match in re.finditer(b"(?=" + re.escape(sought) + b")", value.lower()):
                    if not is_of_ramp(value, match.start(), len(sought), width):
                        return True
        return False

    def has_identifier(self, value: bytes) -> bool:
        """Whether a number in a value is one of the patient's, however it is written."""
        for written in value.decode("latin-1").split("\\"):
            match = re.fullmatch(r"[+-]?([0-9]+)(\.0*)?", written.strip(" \0"))
            if match and {match[1], match[1].lstrip("0")} & self.numbers:
                return True
        return False

    def has_number_in_uid(self, uid: str) -> bool:
        """Whether a number of the patient's stands in a component of a UID."""
        return any(number in component for number in self.numbers for component in uid.split("."))


def is_of_ramp(value: bytes, start: int, length: int, width: int) -> bool:
    """Whether values go up or down by the same step, two of them or more beyond what was found; fewer at the ends."""
    first = max(start - 2 * width, start % width)
    run = value[first : start + -(-length // width) * width + 2 * width : width]
    steps = {after - before for before, after in pairwise(run)}
    return len(steps) == 1 and len(run) >= -(-length // width) + 2

"""What a patient may be called by, from what a header says: each form written out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from service.deident.identity_terms import NO_NAMES
from service.deident.name_forms import CONTRACTED, NOT_DECOMPOSED, PARTICLES, WRITTEN_OUT
from tests.plain_deident import identity
from tests.plain_deident.identity import Said
from tests.plain_deident.reading import decoded, readings

MIXED = re.compile(r"[\W_]+")
UNREAD = "\ufffd"


@dataclass
class PlainTerms:
    """Terms by the way in which they are sought: apart, anywhere, in bytes, persons apart, days."""

    words: set[str] = field(default_factory=set)
    inside: set[str] = field(default_factory=set)
    raw: set[bytes] = field(default_factory=set)
    staff: set[str] = field(default_factory=set)
    days: set[tuple[int, int, int]] = field(default_factory=set)

    @classmethod
    def of(cls, said: set[Said]) -> PlainTerms:
        """Collect them."""
        terms = cls()
        for one in said:
            for value in values_of(one):
                terms.add(one.keyword, value)
            if one.keyword in (*identity.NAMES, *identity.IDENTIFIERS):
                terms.raw |= encoded_parts(one)
        terms.raw |= {term.encode() for term in terms.inside if term.isascii()}
        terms.raw = {term for term in terms.raw if len(term) >= 5}
        return terms

    def add(self, keyword: str, value: str) -> None:
        """Add what one value says."""
        if keyword in identity.NAMES:
            self.words |= {form for form in name_forms(value) if not is_long(form)}
            self.inside |= {form for form in name_forms(value) if is_long(form)}
            self.words |= set(lone_parts(value))
        if keyword in identity.IDENTIFIERS:
            self._add_number(value)
        if keyword in identity.ORDERS and sum(char.isdigit() for char in value) >= 5:
            self._add_number(value)
        if keyword == "PatientAddress":
            for line in re.split(r"[,;^\r\n]", value):
                if len(line) >= 8:
                    self._add_number(line)
        digits = re.sub(r"\D", "", value)
        if keyword == "PatientTelephoneNumbers" and len(digits) >= 8:
            self.inside.add(digits[-8:])
        if keyword in identity.DATES and len(digits) == 8:
            self._add_day(digits[:4], digits[4:6], digits[6:])
        if keyword in identity.STAFF:
            parts = {part for part in MIXED.split(folded(value)) if part and UNREAD not in part}
            self.staff |= {part for part in parts if len(part) >= 4 or is_ideographic(part)} - NO_NAMES

    def _add_number(self, value: str) -> None:
        joined = MIXED.sub("", folded(value))
        if UNREAD in joined:
            return
        forms = {joined, joined.lstrip("0")} | {run.lstrip("0") for run in re.findall(r"\d{5,}", joined)}
        self.inside |= {form for form in forms if len(form) >= 5}
        self.words |= {form for form in forms if 3 <= len(form) < 5}

    def _add_day(self, year: str, month: str, day: str) -> None:
        self.inside |= {year + month + day, day + month + year, month + day + year}
        self.words |= {year[2:] + month + day, day + month + year[2:], month + day + year[2:]}
        self.days.add((int(year), int(month), int(day)))


def folded(text: str) -> str:
    """Return a text without case, accents and width."""
    if text.isascii():
        return text.lower()
    parts = unicodedata.normalize("NFKD", text)
    return "".join(char for char in parts if not unicodedata.combining(char)).casefold().translate(NOT_DECOMPOSED)


def values_of(said: Said) -> Iterator[str]:
    """Yield each value in each way that it may be read."""
    value = said.value
    plain = value.isascii() and b"\x1b" not in value
    forms = [value.decode("ascii")] if plain else readings(value, said.codecs)
    for form in forms if len(said.codecs) == 1 else [*forms, decoded(value, said.codecs)]:
        yield from form.split("\\")


def encoded_parts(said: Said) -> set[bytes]:
    """Return the parts of a value as they may stand in bytes."""
    parts = {part.strip() for part in re.split(rb"[\\^=]", said.value.lower())}
    for value in values_of(said):
        if not value.isascii() and UNREAD not in value:
            for part in re.split(r"[\^=]", value):
                for form in (part, part.lower(), part.upper()):
                    parts |= {form.strip().encode("utf-8").lower(), form.strip().encode("utf-16-le").lower()}
    return parts


def is_ideographic(part: str) -> bool:
    """Whether a part holds ideographs, kana or hangul, of which one is a name."""
    return any(ord(char) >= 0x2E80 or 0x1100 <= ord(char) <= 0x11FF for char in part)


def is_long(form: str) -> bool:
    """Whether a form is sought anywhere."""
    return len(form) >= 5 or (len(form) > 1 and is_ideographic(form))


def spellings(part: str) -> list[str]:
    """Return the ways to spell a part of a name, the plain one first."""
    plain = MIXED.sub("", folded(part))
    if UNREAD in part or not plain:
        return []
    found = [plain, MIXED.sub("", folded(part.translate(WRITTEN_OUT)))]
    shorter = (plain.replace(long, short) for long, short in CONTRACTED)
    return [*dict.fromkeys([*found, *(form for form in shorter if form != plain and len(form) > 3)])]


def parts_of(component: str) -> list[list[str]]:
    """Return the parts of a component of a name, each as it may be spelt."""
    parts = MIXED.split(unicodedata.normalize("NFC", component))
    return [found for part in parts if part and (found := spellings(part))]


def name_forms(name: str) -> set[str]:
    """Return the forms of a name that are long enough to be sought: parts, and parts joined."""
    forms: set[str] = set()
    for group in name.split("="):
        parts: list[list[str]] = []
        for component in group.split("^"):
            here = parts_of(component)
            parts += here
            alone = [part for part in here if len(here) == 1 or part[0] not in PARTICLES]
            forms |= {form for part in alone for form in part if is_long(form)}
        forms |= {form for form in joined_forms(parts[:12]) if len(form) >= 3 or is_long(form)}
    return forms


def lone_parts(name: str) -> Iterator[str]:
    """Yield parts that are sought apart, and short ones with an initial."""
    for group in name.split("="):
        parts: list[list[str]] = []
        for component in group.split("^"):
            here = parts_of(component)
            parts += here
            for part in here:
                if len(here) == 1 or part[0] not in PARTICLES:
                    yield from (f for f in part if is_ideographic(f) or (len(f) >= 3 and not f.isdigit()))
        parts = parts[:12]
        for number, part in enumerate(parts):
            for form in part:
                if 1 < len(form) < 5 and form not in PARTICLES and not form.isdigit():
                    for initial in initials(parts[:number] + parts[number + 1 :]):
                        yield from (form + initial, initial + form)


def initials(others: list[list[str]]) -> set[str]:
    """Return the initials of the other parts, and all of them together."""
    each = [part[0][0] for part in others]
    return {*each, "".join(each)} - {""}


def joined_forms(parts: list[list[str]]) -> Iterable[str]:
    """Yield each two parts side by side, short ones with an initial between them."""
    for number, first in enumerate(parts):
        others = parts[:number] + parts[number + 1 :]
        for one in first:
            for other in (form for part in others for form in part):
                if not (one in PARTICLES and other in PARTICLES):
                    yield one + other
                if len(one) < 3 and len(other) < 3:
                    yield from (one + initial + other for initial in initials(others))

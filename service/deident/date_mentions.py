"""Dates in text, in whatever form they are written: 20.03.1950, 1950-3-20, 20MAR1950, March 20th, 1950."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from service.deident.name_forms import folded

Span = tuple[int, int]
Day = tuple[int, int, int]
"""Year, month, day; a year below 100 is one of two digits."""

SEPARATOR = r"[\s./_,\\年月日년월일-]{1,3}"
NUMBERS = re.compile(rf"(?<!\d)(?=(\d{{1,4}})({SEPARATOR})(\d{{1,2}})({SEPARATOR})(\d{{1,4}})(?!\d))")
"""Looked ahead for, since the number before a date must not take the date's first number with it."""
WORD = re.compile(r"[^\W\d_]{3,12}\.?")
NUMBER = re.compile(r"\d{1,4}")
NEAR = 12
"""How many characters from a month's name its day and year stand; "de" and "of" may stand between."""

_NAMES = """
jan january januar jaenner janner janvier janv enero ene gennaio gen januari
feb february februar fevrier fevr febrero febbraio februari
mar march marz maerz mrz mars marzo maart mrt
apr april avril avr abril abr aprile
may mai mayo maggio mag mei
jun june juni juin junio giugno giu
jul july juli juillet juil julio luglio lug
aug august aout agosto ago augustus
sep sept september septembre septiembre settembre set
oct october okt oktober octobre octubre ottobre ott
nov november novembre noviembre
dec december dez dezember decembre diciembre dic dicembre
"""
MONTHS = {name: number for number, line in enumerate(_NAMES.split("\n")) for name in line.split()}
"""Names of months in English, German, French, Spanish, Italian and Dutch, folded."""


def two_digit_years(days: Collection[Day]) -> frozenset[Day]:
    """Return the days, and each once more with the last two digits of its year alone."""
    return frozenset(days) | {(year % 100, month, day) for year, month, day in days}


def mentions(text: str, days: Collection[Day]) -> Iterator[Span]:
    """Yield where one of some days is written in a text.

    Parameters
    ----------
    days : as ``two_digit_years`` returns them
    """
    for span, meanings in dates_in(text):
        if not meanings.isdisjoint(days):
            yield span


def dates_in(text: str) -> Iterator[tuple[Span, frozenset[Day]]]:
    """Yield where what looks like a date stands, and each day that it could mean."""
    for match in NUMBERS.finditer(text):
        first, one, second, other, third = match.groups()
        # Numbers with different separators are no date whose year has two digits: "60, 1.1".
        orders = ((first, second, third), (third, second, first), (third, first, second), (first, third, second))
        meant = [order for order in orders if len(order[0]) == 4 or (len(order[0]) == 2 and one == other)]
        if meant:
            days = frozenset((int(year), int(month), int(day)) for year, month, day in meant)
            yield (match.start(1), match.end(5)), days
    for match in WORD.finditer(text):
        month = MONTHS.get(folded(match.group().rstrip(".")))
        if month is not None:
            yield from _beside(text, match.span(), month)


def _beside(text: str, span: Span, month: int) -> Iterator[tuple[Span, frozenset[Day]]]:
    start, end = span
    opening, closing = max(start - NEAR, 0), min(end + NEAR, len(text))
    before = [_shifted(match, opening) for match in NUMBER.finditer(text[opening:start])][-2:]
    after = [_shifted(match, end) for match in NUMBER.finditer(text[end:closing])][:2]
    numbers = before + after
    for day, day_at in numbers:
        for year, year_at in numbers:
            if day_at != year_at and year_at[1] - year_at[0] in (2, 4):
                reach = min(start, day_at[0], year_at[0]), max(end, day_at[1], year_at[1])
                yield reach, frozenset({(year, month, day)})


def _shifted(match: re.Match[str], by: int) -> tuple[int, Span]:
    return int(match.group()), (match.start() + by, match.end() + by)

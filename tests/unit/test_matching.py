"""Attribute matching of single values (PS3.4 C.2.2.2), and the pace at which studies are fetched."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.hours import hours_of
from service.core.matching import ItemMatch, ValueMatch, in_range, person_matches, text_matches
from service.core.search import MatchKind
from service.fetching.pace import Pace

LETTERS = st.text(st.characters(codec="utf-8", exclude_characters="*?\0"), min_size=1, max_size=12).filter(str.strip)


@given(LETTERS, LETTERS)
def test_value_matches_itself_and_what_begins_with_it(value: str, more: str) -> None:
    value = value.strip()
    assert text_matches(value, value)
    assert text_matches(f"{value}*", value + more)
    assert text_matches("*", value)
    assert not text_matches(value, f"{value}x")


@pytest.mark.parametrize(
    ("pattern", "name", "fuzzy", "matches"),
    [
        ("müller^j*", "Müller^Jörg", False, True),
        ("muller^jorg", "Müller^Jörg", False, False),
        ("muller^jorg", "Müller^Jörg", True, True),
        ("Doe^Jane", "Doe^Jane^^^", False, True),
        ("Doe", "Doe^Jane", False, False),
        ("straße", "STRASSE", False, True),
        ("[*", "Doe", False, False),
    ],
)
def test_names_are_compared_as_negotiated(pattern: str, name: str, fuzzy: bool, matches: bool) -> None:
    assert person_matches(pattern, name, fuzzy=fuzzy) is matches


@pytest.mark.parametrize(
    ("value", "first", "last", "held"),
    [
        ("081530", "08", "08", True),
        ("081530", "0816", "", False),
        ("235959.999999", "23", "23", True),
        ("", "", "", False),
        ("12", "12", "13", True),
    ],
)
def test_time_to_the_hour_stands_for_all_of_it(value: str, first: str, last: str, held: bool) -> None:
    assert in_range(value, first, last, is_time=True) is held


def test_one_item_has_to_meet_all_conditions() -> None:
    conditions = tuple(
        ValueMatch(tag, MatchKind.TEXT, (value,)) for tag, value in (("00080100", "A"), ("00080102", "B"))
    )
    match = ItemMatch("00081032", conditions)

    def item(code: str, scheme: str) -> dict[str, object]:
        return {"00080100": {"vr": "SH", "Value": [code]}, "00080102": {"vr": "SH", "Value": [scheme]}}

    assert match.holds({"00081032": {"vr": "SQ", "Value": [item("X", "B"), item("A", "B")]}})
    assert not match.holds({"00081032": {"vr": "SQ", "Value": [item("A", "X"), item("X", "B")]}})


@pytest.mark.parametrize(
    ("hours", "expected"),
    [("7-9", [7, 8]), ("22-1", [22, 23, 0]), ("0-24", list(range(24))), ("5-5", [*range(5, 24), *range(5)])],
)
def test_hours_go_over_midnight(hours: str, expected: list[int]) -> None:
    assert hours_of(hours) == expected


@pytest.mark.parametrize("hours", ["7", "7-25", "day", "-", "7-9-11"])
def test_what_is_no_range_of_hours_is_refused(hours: str) -> None:
    with pytest.raises(ValueError, match="range of hours"):
        hours_of(hours)


def test_pace_spreads_objects_over_the_minute() -> None:
    now = 1_750_000_000.0
    hour = time.localtime(now).tm_hour
    pace = Pace({f"{hour}-{hour + 1}": 60.0}, lambda: now)
    assert (pace.pause_s(), pace.portion(500)) == (0.0, 60)
    pace.took(30)
    assert pace.pause_s() == 30.0


def test_hours_without_a_limit_ask_for_no_pause() -> None:
    now = 1_750_000_000.0
    other = (time.localtime(now).tm_hour + 5) % 24
    pace = Pace({f"{other}-{other + 1}": 0.0}, lambda: now)
    pace.took(100_000)
    assert (pace.pause_s(), pace.portion(500)) == (0.0, 500)


def test_no_objects_at_all_is_a_limit_too() -> None:
    pace = Pace({"0-24": 0.0}, lambda: 1_750_000_000.0)
    assert pace.pause_s() > 0

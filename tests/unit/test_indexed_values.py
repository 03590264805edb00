"""Values as the index compares them, and moments as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.indexed_values import END, LONGEST_VALUE, SOUND, WORD, index_entries
from service.core.moments import combined, first_moment, held_moment, is_date_time, last_moment
from service.core.search import Level, MatchKind
from service.core.search_attributes import attribute_path, new_key, path_text
from service.errors import BadRequest


def values(vr: str, kind: MatchKind, *held: Any, **others: Any) -> list[str]:
    attributes = {"00180060": {"vr": vr, "Value": list(held)}} | others
    return [entry.value for entry in index_entries(attributes, (0x00180060,), kind)]


@pytest.mark.parametrize(
    ("vr", "kind", "held", "kept"),
    [
        ("CS", MatchKind.CODE, ["ORIGINAL", "PRIMARY", None], ["ORIGINAL", "PRIMARY"]),
        ("IS", MatchKind.NUMBER, [7, "+007"], ["7"]),
        ("DS", MatchKind.DECIMAL, [1.50, "1.5"], ["1.5"]),
        ("FL", MatchKind.DECIMAL, [0.10000000149011612], ["0.1"]),
        ("LO", MatchKind.TEXT, [" a\0b "], ["ab"]),
        ("LO", MatchKind.TEXT, [""], []),
        ("DT", MatchKind.DATE_TIME, ["20240102030405.500000+0100"], ["20240102020405.5"]),
    ],
)
def test_values_have_one_form(vr: str, kind: MatchKind, held: list[Any], kept: list[str]) -> None:
    assert values(vr, kind, *held) == kept


def test_long_values_are_cut() -> None:
    assert values("UT", MatchKind.TEXT, "x" * 5000) == ["x" * LONGEST_VALUE]


def test_time_zone_of_the_data_set_counts_where_a_moment_has_none() -> None:
    zone = {"00080201": {"vr": "SH", "Value": ["-0500"]}}
    assert values("DT", MatchKind.DATE_TIME, "20240102030405", **zone) == ["20240102080405"]


def test_names_are_kept_by_group_word_end_and_sound() -> None:
    attributes = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Meier^Jo", "Ideographic": "山田"}]}}
    found = {(entry.facet, entry.value) for entry in index_entries(attributes, (0x00100010,), MatchKind.PERSON)}
    assert found == {
        ("", "meier^jo"),
        ("", "山田"),
        (WORD, "meier"),
        (WORD, "jo"),
        (WORD, "山田"),
        (END, "reiem"),
        (END, "oj"),
        (END, "田山"),
        (SOUND, "67:meier"),
    }


def test_values_in_items_say_in_which() -> None:
    code = {"00080100": {"vr": "SH", "Value": ["A"]}}
    attributes = {"00540220": {"vr": "SQ", "Value": [{}, {"00540222": {"vr": "SQ", "Value": [code]}}]}}
    found = index_entries(attributes, (0x00540220, 0x00540222, 0x00080100), MatchKind.TEXT)
    assert [(entry.item, entry.value) for entry in found] == [("0001.0000", "A")]


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("2024", True),
        ("20240102030405.123456-0500", True),
        ("2024-2025", False),
        ("2024010", False),
        ("", False),
    ],
)
def test_date_time_is_told_from_a_range(text: str, is_one: bool) -> None:
    assert is_date_time(text) is is_one


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("2024", "2024", "20241231235959.999999"),
        ("20240102", "20240102", "20240102235959.999999"),
        ("2024010203+0100", "20240102020000", "20240102025959.999999"),
        ("202402+0000", "20240201000000", "20240229235959.999999"),
        ("", "", ""),
    ],
)
def test_moment_of_a_query_stands_for_all_of_it(asked: str, first: str, last: str) -> None:
    assert (first_moment(asked), last_moment(asked)) == (first, last)


@given(
    st.datetimes(datetime(1900, 1, 2), datetime(2100, 1, 1)).map(lambda at: at.replace(microsecond=0)),
    st.integers(-12 * 60, 14 * 60),
)
def test_moments_elsewhere_are_kept_in_utc(at: datetime, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    sign = "-" if minutes < 0 else "+"
    text = f"{at:%Y%m%d%H%M%S}{sign}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"
    assert held_moment(text) == f"{at.replace(tzinfo=zone).astimezone(UTC):%Y%m%d%H%M%S}"


@pytest.mark.parametrize(
    ("dates", "times", "ends"),
    [
        (("20240101", "20240103"), ("0800", "12"), ("202401010800", "20240103125959.999999")),
        (("20240101", ""), ("0800", "12"), ("202401010800", "")),
        (("", "20240103"), ("", "12"), ("", "20240103125959.999999")),
        (("20240101", "20240103"), ("0800", ""), ("202401010800", "20240103235959.999999")),
    ],
)
def test_ranges_of_date_and_time_are_one(dates: tuple[str, str], times: tuple[str, str], ends: tuple[str, str]) -> None:
    assert combined(dates, times) == ends


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("KVP", "00180060"),
        ("0018,0060", ""),
        ("00180060", "00180060"),
        ("ViewCodeSequence.00080100", "00540220.00080100"),
        ("Nonsense", ""),
        ("KVP.", ""),
        ("a.b.c.d.e.f.g", ""),
    ],
)
def test_attribute_is_read_by_keywords_or_tags(name: str, path: str) -> None:
    assert path_text(attribute_path(name)) == path


def test_attribute_is_searched_where_it_is_kept_or_above() -> None:
    key = new_key("KVP", None, {})
    assert (key.level, key.held_at, key.kind, key.has_table) == (
        Level.INSTANCE,
        Level.INSTANCE,
        MatchKind.DECIMAL,
        True,
    )
    above = new_key("KVP", Level.STUDY, {})
    assert (above.level, above.held_at) == (Level.STUDY, Level.INSTANCE)


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("Nonsense", None),
        ("00091001", None),
        ("PatientID", None),
        ("PixelData", None),
        ("ViewCodeSequence", None),
        ("KVP.CodeValue", None),
        ("TransferSyntaxUID", None),
        ("NumberOfStudyRelatedSeries", None),
        ("PatientAge", Level.SERIES),
    ],
)
def test_what_cannot_be_made_searchable_is_refused_in_words(name: str, level: Level | None) -> None:
    with pytest.raises(BadRequest):
        new_key(name, level, {0x00101010: Level.STUDY})

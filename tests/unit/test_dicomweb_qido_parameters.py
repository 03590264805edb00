"""What a search request asks for, and how a bad one is refused."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from service.core.search import Level, MatchKind, SearchKey, SearchQuery
from service.errors import BadRequest
from service.web.dicomweb.qido_parameters import SearchRequest, parse_search

PAGE_LIMIT = 500


def search(*parameters: tuple[str, str], level: Level = Level.STUDY) -> SearchRequest:
    return parse_search(SearchQuery("default", level), parameters, PAGE_LIMIT)


def only_match(name: str, value: str, level: Level = Level.STUDY) -> tuple[str, tuple[str, ...], bool]:
    (match,) = search((name, value), level=level).query.matches
    return match.key.keyword, match.values, match.is_range


@pytest.mark.parametrize(
    ("name", "value", "keyword", "values"),
    [
        ("PatientID", "4711", "PatientID", ("4711",)),
        ("00100020", "4711", "PatientID", ("4711",)),
        ("0020000d", "1.2", "StudyInstanceUID", ("1.2",)),
        ("StudyInstanceUID", "1.2,1.3", "StudyInstanceUID", ("1.2", "1.3")),
        ("StudyInstanceUID", "1.2\\1.3\\", "StudyInstanceUID", ("1.2", "1.3")),
        ("ModalitiesInStudy", "CT,MR", "ModalitiesInStudy", ("CT", "MR")),
        ("ModalitiesInStudy", "CT\\MR", "ModalitiesInStudy", ("CT", "MR")),
        ("PatientName", "Doe^J*", "PatientName", ("Doe^J*",)),
        ("AccessionNumber", "A,B", "AccessionNumber", ("A,B",)),
        ("StudyTime", "0815", "StudyTime", ("0815",)),
    ],
)
def test_keys_are_read_as_keyword_or_tag(name: str, value: str, keyword: str, values: tuple[str, ...]) -> None:
    assert only_match(name, value) == (keyword, values, False)


def test_key_in_a_sequence_is_read_by_keywords_or_tags() -> None:
    keyword = "RequestAttributesSequence.ScheduledProcedureStepID"
    assert only_match(keyword, "S1", Level.SERIES) == only_match("00400275.00400009", "S1", Level.SERIES)


@pytest.mark.parametrize(
    ("value", "ends"),
    [
        ("20240101-20241231", ("20240101", "20241231")),
        ("-20241231", ("", "20241231")),
        ("20240101-", ("20240101", "")),
    ],
)
def test_range_may_be_open_at_one_end(value: str, ends: tuple[str, str]) -> None:
    assert only_match("StudyDate", value) == ("StudyDate", ends, True)


@pytest.mark.parametrize("value", ["", "*", '""'])
def test_key_without_value_matches_all_and_is_returned(value: str) -> None:
    asked = search(("PatientSex", value))
    assert (asked.query.matches, asked.included) == ((), {(0x00100040,)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("StudyDate", "2024"),
        ("StudyDate", "20240230"),
        ("StudyDate", "-"),
        ("StudyDate", "20240101-x"),
        ("StudyTime", "25"),
        ("StudyTime", "08:15"),
        ("StudyInstanceUID", "1.2,abc"),
        ("StudyInstanceUID", ","),
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "many"),
        ("offset", "-1"),
        ("fuzzymatching", "yes"),
        ("multiplevaluematching", "1"),
        ("StudyTime", "08-25"),
        ("PatientID", "a\0b"),
    ],
)
def test_bad_value_of_a_supported_key_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(BadRequest, match=name):
        search((name, value))


def test_refusal_does_not_repeat_the_value() -> None:
    with pytest.raises(BadRequest) as caught:
        search(("StudyDate", "Doe^Jane"))
    assert "Doe" not in str(caught.value)


def test_instance_number_is_a_number() -> None:
    assert only_match("InstanceNumber", "007", Level.INSTANCE) == ("InstanceNumber", ("7",), False)
    with pytest.raises(BadRequest):
        search(("InstanceNumber", "x"), level=Level.INSTANCE)


def test_key_given_twice_is_refused() -> None:
    with pytest.raises(BadRequest, match="PatientID"):
        search(("PatientID", "1"), ("00100020", "2"))


@pytest.mark.parametrize(
    ("name", "spoken"),
    [
        ("PatientAge", "PatientAge"),
        ("Modality", "Modality"),
        ("00101010", "00101010"),
        ("foo", "foo"),
        ("Doe Jane", "unreadable"),
        ("a\r\nb", "unreadable"),
    ],
)
def test_key_that_cannot_be_matched_is_named_in_a_warning(name: str, spoken: str) -> None:
    asked = search((name, "x"))
    assert asked.query.matches == ()
    (warning,) = asked.warnings
    assert spoken in warning
    assert "\n" not in warning


def test_empty_value_is_asked_for_where_it_may_be() -> None:
    (match,) = search(("PatientID", '""'), ("emptyvaluematching", "true")).query.matches
    assert (match.is_empty, match.values) == (True, ())


def test_several_values_are_all_asked_for_where_they_may_be() -> None:
    asked = search(("ModalitiesInStudy", "CT\\PT"), ("multiplevaluematching", "true"))
    assert [(match.values, match.all_of) for match in asked.query.matches] == [(("CT", "PT"), True)]


def test_attribute_with_one_value_has_alternatives_whatever_is_asked() -> None:
    (match,) = search(("AccessionNumber", "A\\B"), ("multiplevaluematching", "true")).query.matches
    assert (match.values, match.all_of) == (("A", "B"), False)


def test_fuzzy_matching_is_for_names() -> None:
    asked = search(("PatientName", "Doe"), ("PatientID", "4711"), ("fuzzymatching", "true"))
    assert {match.key.keyword: match.fuzzy for match in asked.query.matches} == {
        "PatientName": True,
        "PatientID": False,
    }


def test_ranges_of_date_and_time_become_one() -> None:
    asked = search(("StudyTime", "0800-"), ("StudyDate", "20240101-20240103"))
    (moments,) = asked.query.moments
    assert asked.query.matches == ()
    assert (moments.first, moments.last) == ("202401010800", "20240103235959.999999")


def test_time_of_one_day_stays_a_condition_of_its_own() -> None:
    asked = search(("StudyTime", "0800-"), ("StudyDate", "20240101"))
    assert (len(asked.query.matches), asked.query.moments) == (2, ())


def added(kind: MatchKind) -> Mapping[tuple[int, ...], SearchKey | None]:
    path = (0x00181076,)
    return {path: SearchKey(path, "Added", Level.STUDY, kind, added=True), (0x00180060,): None}


@pytest.mark.parametrize(
    ("kind", "value", "values", "is_range"),
    [
        (MatchKind.DECIMAL, "1.5e2", ("1.5e2",), False),
        (MatchKind.NUMBER, "12345678901", ("12345678901",), False),
        (MatchKind.DATE_TIME, "2024", ("2024",), False),
        (MatchKind.DATE_TIME, "2024-2025", ("2024", "2025"), True),
        (MatchKind.DATE_TIME, "20240101120000-0500-", ("20240101120000-0500", ""), True),
        (MatchKind.DATE_TIME, "-20240101120000+0100", ("", "20240101120000+0100"), True),
    ],
)
def test_attribute_that_was_added_takes_values_of_its_kind(
    kind: MatchKind, value: str, values: tuple[str, ...], is_range: bool
) -> None:
    asked = parse_search(SearchQuery("default", Level.STUDY), [("00181076", value)], 10, lambda: added(kind))
    (match,) = asked.query.matches
    assert (match.values, match.is_range) == (values, is_range)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (MatchKind.DECIMAL, "1e999"),
        (MatchKind.DECIMAL, "ten"),
        (MatchKind.NUMBER, "1.5"),
        (MatchKind.DATE_TIME, "2024-x"),
        (MatchKind.TEXT, "a\0b"),
        (MatchKind.TEXT, "*a*b*c*d*e*f*g*h*i*"),
    ],
)
def test_bad_value_of_an_attribute_that_was_added_is_refused(kind: MatchKind, value: str) -> None:
    with pytest.raises(BadRequest, match="Added"):
        parse_search(SearchQuery("default", Level.STUDY), [("00181076", value)], 10, lambda: added(kind))


def test_attribute_whose_values_are_still_gathered_is_named_in_a_warning() -> None:
    asked = parse_search(SearchQuery("default", Level.STUDY), [("KVP", "120")], 10, lambda: added(MatchKind.TEXT))
    (warning,) = asked.warnings
    assert "KVP" in warning
    assert "gathered" in warning


def test_parameters_set_to_false_say_nothing() -> None:
    assert search(("fuzzymatching", "false"), ("emptyvaluematching", "false")).warnings == ()


def test_included_fields_are_read_with_commas_and_repeated() -> None:
    asked = search(("includefield", "00081030,PatientSex"), ("includefield", "RequestAttributesSequence.00400009"))
    assert asked.included == {(0x00081030,), (0x00100040,), (0x00400275, 0x00400009)}


def test_include_all_is_understood() -> None:
    assert search(("includefield", "all")).include_all


def test_unknown_included_field_is_named_in_a_warning() -> None:
    assert "NoSuchThing" in search(("includefield", "NoSuchThing")).warnings[0]


@pytest.mark.parametrize(
    ("asked", "given"), [((), PAGE_LIMIT), ((("limit", "10"),), 10), ((("limit", "9999"),), PAGE_LIMIT)]
)
def test_a_page_has_a_limit(asked: tuple[tuple[str, str], ...], given: int) -> None:
    assert search(*asked).query.limit == given

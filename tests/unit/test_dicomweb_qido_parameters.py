"""What a search request asks for, and how a bad one is refused."""

from __future__ import annotations

import pytest

from service.core.search import Level, SearchQuery
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
    assert (asked.query.matches, asked.included) == ((), {"00100040"})


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


def test_parameters_of_the_standard_that_are_not_done_are_said_in_its_words() -> None:
    asked = search(("fuzzymatching", "true"), ("emptyvaluematching", "true"), ("multiplevaluematching", "true"))
    assert asked.warnings == (
        "The fuzzymatching parameter is not supported. Only literal matching has been performed.",
        "The emptyvaluematching parameter is not supported. Empty Value Matching has not been performed.",
    )


def test_parameters_set_to_false_say_nothing() -> None:
    assert search(("fuzzymatching", "false"), ("emptyvaluematching", "false")).warnings == ()


def test_included_fields_are_read_with_commas_and_repeated() -> None:
    asked = search(("includefield", "00081030,PatientSex"), ("includefield", "RequestAttributesSequence.00400009"))
    assert asked.included == {"00081030", "00100040", "00400275"}


def test_include_all_is_understood() -> None:
    assert search(("includefield", "all")).include_all


def test_unknown_included_field_is_named_in_a_warning() -> None:
    assert "NoSuchThing" in search(("includefield", "NoSuchThing")).warnings[0]


@pytest.mark.parametrize(
    ("asked", "given"), [((), PAGE_LIMIT), ((("limit", "10"),), 10), ((("limit", "9999"),), PAGE_LIMIT)]
)
def test_a_page_has_a_limit(asked: tuple[tuple[str, str], ...], given: int) -> None:
    assert search(*asked).query.limit == given

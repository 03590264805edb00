from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset

from dicom_nodes.command_set import HIGH_PRIORITY, LOW_PRIORITY, MEDIUM_PRIORITY
from service.core.records import Incoming
from service.errors import SettingsInvalid
from service.ingest.parsing import parse
from service.ingest.routing_rules import HIGH, ROUTINE, STAT, Decision, RoutingRules, Rule, Span, rule_tags
from service.settings import load_settings
from tests.datasets import ct_slice, encode
from tests.listening_node import CT, EXPLICIT, IMPLICIT, MR


def decided(rules: list[Rule], data_set: Dataset | None = None, syntax: str = EXPLICIT, **incoming: Any) -> Decision:
    encoded = encode(data_set or ct_slice(), syntax)
    values = {"calling_ae_title": "CT1", "called_ae_title": "ANNOGATE"} | incoming
    one = Incoming(
        "default", CT, "1.2.3", syntax, encoded, "dimse", peer_address="192.0.2.1", received_at=1.0, **values
    )
    return RoutingRules({"default": rules}).decide(one, parse(encoded, syntax))


def fits(data_set: Dataset | None = None, syntax: str = EXPLICIT, **conditions: Any) -> bool:
    return bool(decided([Rule("one", discard=True, **conditions)], data_set, syntax).discarded_by)


def changed(**values: Any) -> Dataset:
    data_set = ct_slice()
    for keyword, value in values.items():
        setattr(data_set, keyword, value)
    return data_set


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("Thin slices", True), ("thin SLICES", True), ("*slices", True), ("Thin?slices", True), ("thin", False)],
)
def test_descriptions_are_compared_by_patterns(syntax: str, pattern: str, expected: bool) -> None:
    data_set = changed(SeriesDescription="Thin slices", StudyDescription="Chest")
    assert fits(data_set, syntax, description=(pattern,)) is expected


def test_the_study_description_counts_as_well() -> None:
    assert fits(changed(SeriesDescription="Thin", StudyDescription="Chest CT"), description=("chest*",))


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (rule_tags(modality=["MR", "CT"]), True),
        (rule_tags(modality=["MR"]), False),
        (rule_tags(image_type=["LOCALIZER"]), True),
        (rule_tags(image_type=["SECONDARY"]), False),
        (rule_tags(body_part=["chest"]), True),
        (rule_tags(body_part=[""]), False),
        (rule_tags(keywords={"PatientComments": ("",)}), True),
        (rule_tags(keywords={"SliceThickness": Span(1.0, 3.0)}), True),
        (rule_tags(keywords={"SliceThickness": Span(low=3.0)}), False),
        (rule_tags(keywords={"Rows": Span(16, 16)}), True),
        (rule_tags(keywords={"Rows": ("16",)}), True),
        (rule_tags(keywords={"StationName": Span(low=0)}), False),
        (rule_tags(modality=["CT"], keywords={"StationName": ("room*",)}), True),
        (rule_tags(modality=["CT"], keywords={"StationName": ("hall*",)}), False),
    ],
)
def test_elements_are_compared_by_values_and_ranges(tags: dict[int, Any], expected: bool) -> None:
    data_set = changed(
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], BodyPartExamined="CHEST", SliceThickness=2, StationName="ROOM 4"
    )
    assert fits(data_set, tags=tags) is expected


def test_text_in_other_alphabets_is_compared() -> None:
    assert fits(changed(SpecificCharacterSet="ISO_IR 144", SeriesDescription="Грудь"), description=("груд?",))


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"called": ("ANNO*",)}, True),
        ({"called": ("RESEARCH",)}, False),
        ({"calling": ("CT?",), "called": ("*",)}, True),
        ({"calling": ("MR*",)}, False),
        ({"sop_classes": (CT,)}, True),
        ({"sop_classes": (MR,)}, False),
    ],
)
def test_titles_and_classes_are_compared(conditions: dict[str, Any], expected: bool) -> None:
    assert fits(**conditions) is expected


def test_of_what_several_rules_say_the_first_counts() -> None:
    rules = [
        Rule("one", calling=("CT*",), priority=STAT),
        Rule("two", calling=("*",), priority=0, annotators=("lungs",), project="research"),
        Rule("three", calling=("*",), annotators=("nodules",), project="clinic"),
    ]
    assert decided(rules) == Decision("research", ("lungs",), STAT)


def test_what_is_left_out_is_told_by_the_rules_name_alone() -> None:
    rules = [Rule("stat", calling=("*",), priority=STAT), Rule("scouts", calling=("*",), discard=True)]
    assert decided(rules) == Decision(discarded_by="scouts")


def test_rules_tell_where_objects_may_land() -> None:
    rules = RoutingRules({"default": [Rule("one", project="research"), Rule("two", discard=True)]})
    assert [sorted(rules.targets(name)) for name in ("default", "other")] == [["default", "research"], ["other"]]


def test_a_priority_by_association_and_request_is_known_before_an_object_is_read() -> None:
    rules = RoutingRules(
        {
            "default": [
                Rule("read", calling=("CT*",), tags=rule_tags(modality=["CT"]), priority=STAT),
                Rule("titles", calling=("CT*",), called=("ANN*",), priority=1),
            ]
        }
    )
    asked = [("default", "CT1", "ANNOGATE"), ("default", "MR1", "ANNOGATE"), ("other", "CT1", "ANNOGATE")]
    assert [rules.priority_unread(*one, MEDIUM_PRIORITY) for one in asked] == [1, 0, 0]
    assert [rules.priority_unread(*one, HIGH_PRIORITY) for one in asked] == [1, STAT, STAT]


@pytest.mark.parametrize(
    ("sent", "rule", "expected"),
    [
        (HIGH_PRIORITY, Rule("other", calling=("MR*",), priority=ROUTINE), STAT),
        (HIGH_PRIORITY, Rule("night", calling=("CT*",), priority=ROUTINE), ROUTINE),
        (HIGH_PRIORITY, Rule("one", calling=("CT*",), annotators=("lungs",)), STAT),
        (MEDIUM_PRIORITY, Rule("other", calling=("MR*",), priority=STAT), None),
        (LOW_PRIORITY, Rule("low", sent_priorities=(LOW_PRIORITY,), priority=HIGH), HIGH),
        (MEDIUM_PRIORITY, Rule("low", sent_priorities=(LOW_PRIORITY,), priority=HIGH), None),
    ],
)
def test_what_is_sent_as_urgent_is_unless_a_rule_says_otherwise(sent: int, rule: Rule, expected: int | None) -> None:
    assert decided([rule], sent_priority=sent).priority == expected


def test_what_is_sent_as_urgent_is_so_without_any_rule() -> None:
    assert decided([], sent_priority=HIGH_PRIORITY) == Decision(priority=STAT)


ANYTHING = {"calling": ["*"]}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"name": "one", "discard": True}, "rule one fits everything"),
        ({"name": "one", **ANYTHING}, "rule one does nothing"),
        ({"name": "one", **ANYTHING, "discard": True, "priority": "stat"}, "rule one discards: what else it says"),
        ({"name": "one", **ANYTHING, "project": "nowhere"}, "names project 'nowhere', and there is none"),
        ({"name": "one", **ANYTHING, "project": "default"}, "names project 'default', which is its own"),
        ({"name": "one", "tags": {"Modalty": ["CT"]}, "discard": True}, "'Modalty' is not the keyword of an element"),
        ({"name": "one", "tags": {"Rows": {}}, "discard": True}, "a range has a min or a max"),
        ({"name": "one", "tags": {"Rows": {"min": 2, "max": 1}}, "discard": True}, "min 2 is above max 1"),
        ({"name": "one", **ANYTHING, "discrad": True}, "there is no such setting"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused_in_words(rule: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsInvalid, match=words):
        load_settings(environ={}, overrides={"projects": {"default": {"rules": [rule]}}})


@pytest.mark.parametrize(
    ("project", "words"),
    [
        ({"complete_when": []}, "nothing is left by which a study could become complete"),
        ({"complete_when": ["series"]}, "name both or neither"),
        ({"complete_series": [["T1*"]]}, "name both or neither"),
        ({"study_quiet_s": 60, "study_wait_s": 30}, "study_wait_s: it is below study_quiet_s"),
        ({"rules": [{"name": "one", **ANYTHING, "discard": True}] * 2}, "there are two of the name one"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(project: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsInvalid, match=words):
        load_settings(environ={}, overrides={"projects": {"default": project}})

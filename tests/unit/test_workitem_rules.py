"""What may be said in a work item, by the table of PS3.4 CC.2.5-3."""

from __future__ import annotations

import pytest

from service.core.workitem import WorkitemState
from service.core.workitem_rules import AttributeRule, Rules, WorkitemRules
from service.errors import BadRequest, SettingsInvalid
from tests.worklist_house import RULES, coded, element, given_up, new_workitem, performed


def every_rule(rules: Rules) -> list[AttributeRule]:
    return [rule for one in rules.values() for rule in (one, *every_rule(one.items))]


def test_table_names_each_attribute_once_at_its_place() -> None:
    names = [rule.name for rule in RULES.rules.values()]
    assert len(names) == len(set(names))
    assert {"Transaction UID", "Procedure Step State", "Worklist Label", "Input Information Sequence"} <= set(names)


def test_macros_stand_in_their_place() -> None:
    inside = RULES.rules["00404021"].items
    assert inside["00081199"].items["00081155"].name == "Referenced SOP Instance UID"
    assert RULES.rules["0040A370"].items["00321064"].items["00080104"].create == "1/1"


def test_every_row_can_be_decided_on() -> None:
    for rule in every_rule(RULES.rules):
        assert "/" in rule.create or rule.create == "no", rule.name
        assert "/" in rule.update or rule.update == "no", rule.name
        assert rule.final in ("R", "RC", "P", "X", "O"), rule.name


def test_new_work_item_that_says_everything_stands_as_it_is() -> None:
    checked = RULES.created(new_workitem())
    assert not checked.is_modified
    assert checked.attributes["00741204"] == element("LO", "Look at it")


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("00741200", "Scheduled Procedure Step Priority"),
        ("00741204", "Procedure Step Label"),
        ("00404005", "Scheduled Procedure Step Start DateTime"),
        ("00404041", "Input Readiness State"),
        ("00741000", "Procedure Step State"),
    ],
)
def test_what_has_to_have_a_value_is_named_when_it_is_missing(tag: str, name: str) -> None:
    with pytest.raises(BadRequest, match=f"^{name} is missing$"):
        RULES.created(new_workitem(**{f"t{tag}": None}))


def test_what_may_be_empty_is_filled_in_when_it_is_missing() -> None:
    checked = RULES.created(new_workitem(t00404025=None))
    assert checked.is_modified
    assert checked.attributes["00404025"] == {"vr": "SQ"}


def test_what_the_table_does_not_know_is_left_out() -> None:
    checked = RULES.created(new_workitem(t00080060=element("CS", "CT"), t00091010=element("LO", "private")))
    assert checked.is_modified
    assert not {"00080060", "00091010"} & checked.attributes.keys()


def test_items_are_held_to_the_table_too() -> None:
    item = coded("1")["Value"][0] | {"00100010": element("PN")}
    checked = RULES.created(new_workitem(t00404018={"vr": "SQ", "Value": [item]}))
    assert checked.is_modified
    assert checked.attributes["00404018"] == coded("1")
    del item["00080104"]
    with pytest.raises(BadRequest, match="Code Meaning in Scheduled Workitem Code Sequence is missing"):
        RULES.created(new_workitem(t00404018={"vr": "SQ", "Value": [item]}))


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"00100010": element("PN")}, "Patient's Name may not be changed"),
        ({"00741000": element("CS", "COMPLETED")}, "by its own request"),
        ({"00741200": element("CS")}, "Scheduled Procedure Step Priority needs a value"),
    ],
)
def test_update_may_not_change_everything(sent: dict, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        RULES.updated(sent)


def test_update_says_only_what_it_changes() -> None:
    assert RULES.updated({"00741200": element("CS", "LOW")}).attributes == {"00741200": element("CS", "LOW")}


def test_completion_asks_for_what_was_performed() -> None:
    ours = {"00404010": element("DT", "2024"), "00080016": element("UI", "1"), "00080018": element("UI", "1")}
    held = RULES.created(new_workitem()).attributes | ours | {"00741000": element("CS", "IN PROGRESS")}
    missing = RULES.missing_at_end(held, WorkitemState.COMPLETED)
    assert missing == ["Unified Procedure Step Performed Procedure Sequence"]
    whole = held | performed()
    assert RULES.missing_at_end(whole, WorkitemState.COMPLETED) == []
    del whole["00741216"]["Value"][0]["00404051"]
    assert RULES.missing_at_end(whole, WorkitemState.COMPLETED) == ["Performed Procedure Step End DateTime"]


def test_cancellation_asks_for_when_and_why() -> None:
    ours = {"00404010": element("DT", "2024"), "00080016": element("UI", "1"), "00080018": element("UI", "1")}
    held = RULES.created(new_workitem()).attributes | ours
    assert RULES.missing_at_end(held, WorkitemState.CANCELED) == ["Procedure Step Progress Information Sequence"]
    assert RULES.missing_at_end(held | given_up(), WorkitemState.CANCELED) == []


def test_table_that_is_none_is_refused(tmp_path) -> None:
    (tmp_path / "macros.csv").write_text("macro,depth,tag,name,type,served\n")
    (tmp_path / "attributes.csv").write_text("depth,tag,name\nzero,00080005,Name\n")
    with pytest.raises(SettingsInvalid, match="no such table"):
        WorkitemRules.load(tmp_path)

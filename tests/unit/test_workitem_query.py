"""What a search for work items, or a subscription's filter, asks."""

from __future__ import annotations

import pytest

from service.core.workitem_query import parse_query
from service.errors import BadRequest
from tests.worklist_house import RULES, coded, element

NAME = {"vr": "PN", "Value": [{"Alphabetic": "MÜLLER^TEST"}]}
HELD = {
    "00080018": element("UI", "2.25.7"),
    "00100010": NAME,
    "00741000": element("CS", "IN PROGRESS"),
    "00741202": element("LO", "chest readers"),
    "00404005": element("DT", "20240301083000"),
    "00404018": {"vr": "SQ", "Value": [*coded("110005")["Value"], *coded("110004", "99LOCAL")["Value"]]},
    "00380010": element("LO"),
    "0040A370": element("SQ", {"00080050": element("SH", "ACC1"), "00401001": element("SH", "P2")}),
}


@pytest.mark.parametrize(
    "query",
    [
        {"ProcedureStepState": "IN PROGRESS"},
        {"00741000": "SCHEDULED,IN PROGRESS"},
        {"ProcedureStepState": "*"},
        {"WorklistLabel": "chest*"},
        {"WorklistLabel": "other\\chest readers"},
        {"SOPInstanceUID": "2.25.6,2.25.7"},
        {"PatientName": "müller^*"},
        {"PatientName": "muller^test", "fuzzymatching": "true"},
        {"ScheduledProcedureStepStartDateTime": "20240301"},
        {"ScheduledProcedureStepStartDateTime": "20240301-20240301"},
        {"ScheduledProcedureStepStartDateTime": "202403010830-"},
        {"ScheduledProcedureStepStartDateTime": "-20240301083000"},
        {"ScheduledWorkitemCodeSequence.CodeValue": "110004"},
        {
            "ScheduledWorkitemCodeSequence.CodeValue": "110004",
            "ScheduledWorkitemCodeSequence.CodingSchemeDesignator": "99LOCAL",
        },
        {"ReferencedRequestSequence.AccessionNumber": "ACC?"},
        {"AdmissionID": '""'},
        {"limit": "5", "offset": "2", "includefield": "all"},
    ],
)
def test_work_item_is_found(query: dict[str, str]) -> None:
    assert parse_query(query.items(), RULES).holds(HELD)


@pytest.mark.parametrize(
    "query",
    [
        {"ProcedureStepState": "SCHEDULED"},
        {"WorklistLabel": "Chest*"},
        {"ScheduledProcedureStepStartDateTime": "20240302-"},
        {"ScheduledProcedureStepStartDateTime": "-20240301082959"},
        {
            "ScheduledWorkitemCodeSequence.CodeValue": "110005",
            "ScheduledWorkitemCodeSequence.CodingSchemeDesignator": "99LOCAL",
        },
        {"ReferencedRequestSequence.AccessionNumber": "ACC2"},
        {"WorklistLabel": '""'},
    ],
)
def test_work_item_is_not_found(query: dict[str, str]) -> None:
    assert not parse_query(query.items(), RULES).holds(HELD)


@pytest.mark.parametrize(
    "query",
    [
        {"SOPInstanceUID": "1.2.x"},
        {"ScheduledProcedureStepStartDateTime": "yesterday"},
        {"ScheduledProcedureStepStartDateTime": "-"},
        {"ScheduledWorkitemCodeSequence": "110005"},
        {"limit": "0"},
        {"offset": "-1"},
        {"fuzzymatching": "perhaps"},
    ],
)
def test_bad_value_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        parse_query(query.items(), RULES)


def test_key_that_is_given_twice_is_refused() -> None:
    with pytest.raises(BadRequest, match="more than once"):
        parse_query([("ProcedureStepState", "SCHEDULED"), ("00741000", "COMPLETED")], RULES)


def test_keys_that_cannot_be_matched_are_named() -> None:
    query = parse_query([("Modality", "CT"), ("TransactionUID", "1.2"), ("<bad>", "x")], RULES)
    assert query.conditions == ()
    (warning,) = query.warnings
    assert "Modality" in warning
    assert "TransactionUID" in warning
    assert "<bad>" not in warning


def test_index_is_told_what_it_has_columns_for() -> None:
    query = parse_query([("ProcedureStepState", "SCHEDULED"), ("WorklistLabel", "ch*"), ("AdmissionID", "1")], RULES)
    assert query.columns == {"state": ("SCHEDULED",)}

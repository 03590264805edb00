"""DICOM JSON from outside is looked at before anything believes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.core.json_data_set import DataSetLimits, checked_data_set, read_json_data_set
from service.errors import BadRequest

LIMITS = DataSetLimits(depth=3, items=5, values=10, characters=100)


def nested(depth: int) -> dict[str, Any]:
    return {"00400275": {"vr": "SQ", "Value": [nested(depth - 1)]}} if depth else {}


@pytest.mark.parametrize(
    "document",
    [
        {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Test^One", "Ideographic": "試験"}]}},
        {"00280010": {"vr": "US", "Value": [512]}, "00101030": {"vr": "DS", "Value": [70.5, "71"]}},
        {"00404005": {"vr": "DT", "Value": ["20240229235959.5+0100", None]}},
        {"00404041": {"vr": "CS", "Value": ["READY"]}, "00100040": {"vr": "CS"}},
        {"00400275": {"vr": "SQ", "Value": [{"0020000d": {"vr": "UI", "Value": ["1.2.3"]}}]}},
    ],
)
def test_data_set_of_the_standard_is_taken(document: dict[str, Any]) -> None:
    assert len(read_json_data_set(json.dumps([document]).encode(), LIMITS)) == len(document)


def test_tags_come_in_upper_case_and_order() -> None:
    taken = checked_data_set({"0020000d": {"vr": "UI"}, "0008103E": {"vr": "LO"}}, LIMITS)
    assert list(taken) == ["0008103E", "0020000D"]


@pytest.mark.parametrize(
    "document",
    [
        [],
        [{}, {}],
        "text",
        7,
        {"PatientName": {"vr": "PN"}},
        {"00100010": "Test^One"},
        {"00100010": {"vr": "PN", "Value": "Test^One"}},
        {"00100010": {"vr": "PN", "Value": ["Test^One"]}},
        {"00100010": {"vr": "PN", "Value": [{"Alphabetic": 7}]}},
        {"00100010": {"vr": "LO", "Value": ["Test"]}},
        {"00100010": {"vr": "PN", "InlineBinary": "AAAA"}},
        {"00741210": {"vr": "SQ", "BulkDataURI": "http://localhost/"}},
        {"00280010": {"vr": "US", "Value": [True]}},
        {"00280010": {"vr": "US", "Value": [1.5]}},
        {"00100030": {"vr": "DA", "Value": ["20241301"]}},
        {"0020000D": {"vr": "UI", "Value": ["1.2/../3"]}},
        {"0020000D": {"vr": "UI", "Value": ["1" * 65]}},
        {"00100020": {"vr": "LO", "Value": ["a\0b"]}},
        {"00100020": {"vr": "LO", "Value": ["a" * 65]}},
        {"00100020": {"vr": "LO", "Value": [{}]}},
        {"00741000": {"vr": "CS", "Value": ["scheduled"]}},
        {"7FE00010": {"vr": "OW"}},
        {"0020000D": {"vr": "UI"}, "0020000d": {"vr": "UI"}},
        {"00100020": {"vr": "LO", "Value": ["a"], "more": 1}},
        {"00400275": {"vr": "SQ", "Value": ["item"]}},
        {"00400275": {"vr": "SQ", "Value": [{}] * 6}},
        {"00280010": {"vr": "US", "Value": [1] * 11}},
        nested(4),
    ],
    ids=lambda document: json.dumps(document)[:60],
)
def test_what_is_not_of_the_standard_is_refused(document: Any) -> None:
    with pytest.raises(BadRequest):
        read_json_data_set(json.dumps(document).encode(), LIMITS)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a":' * 100_000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read_json_data_set(body, LIMITS)


def test_refusal_repeats_no_value() -> None:
    with pytest.raises(BadRequest) as refused:
        checked_data_set({"00100030": {"vr": "DA", "Value": ["Planted"]}}, LIMITS)
    assert "Planted" not in str(refused.value)

"""What a store request is answered with, part by part."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from service.core.records import Outcome, OutcomeKind
from service.web.dicomweb.store_response import PartResult, response_data_set, status_of, warnings

ROOT = "http://gateway/dicom-web"
CT = "1.2.840.10008.5.1.4.1.1.2"


def outcome(kind: OutcomeKind, *, study: str = "2.25.1", reason: str = "", failure: int = 0) -> Outcome:
    return Outcome(kind, study, f"{study}.2", f"{study}.2.3", CT, failure, reason)


def result(kind: OutcomeKind = OutcomeKind.ARCHIVED, number: int = 1, **changes: object) -> PartResult:
    return PartResult.of(number, CT, "1.2.3", outcome(kind, **changes))


STORED = result()
QUARANTINED = result(OutcomeKind.QUARANTINED, 2, study="", reason="No pixels", failure=0xC001)
UNREADABLE = PartResult(3, failure_reason=0xC001, reason="Not a DICOM file")
NO_ROOM = PartResult(4, CT, "1.2.4", None, 0xA700, "full")


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ([STORED, STORED], 200),
        ([result(OutcomeKind.KEPT_FIRST)], 200),
        ([result(OutcomeKind.DUPLICATE), result(OutcomeKind.OWN_OBJECT), result(OutcomeKind.DROPPED)], 200),
        ([STORED, QUARANTINED], 202),
        ([UNREADABLE, STORED], 202),
        ([UNREADABLE], 400),
        ([UNREADABLE, QUARANTINED], 400),
        ([result(OutcomeKind.QUARANTINED, failure=0xC002)], 409),
        ([UNREADABLE, result(OutcomeKind.QUARANTINED, failure=0x0122)], 409),
        ([NO_ROOM], 503),
    ],
)
def test_status_says_how_many_were_stored_and_why_not(results: list[PartResult], status: int) -> None:
    assert status_of(results) == status


def test_answer_is_a_data_set_that_pydicom_reads() -> None:
    answer = Dataset.from_json(response_data_set([STORED, QUARANTINED, UNREADABLE], ROOT))
    assert answer.RetrieveURL == f"{ROOT}/studies/2.25.1"
    (stored,), (failed,), (other,) = (
        answer.ReferencedSOPSequence,
        answer.FailedSOPSequence,
        answer.OtherFailuresSequence,
    )
    assert stored.RetrieveURL == f"{ROOT}/studies/2.25.1/series/2.25.1.2/instances/2.25.1.2.3"
    assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == ("1.2.3", 0xC001)
    assert other.FailureReason == 0xC001


def test_what_was_kept_as_it_was_carries_a_warning_reason() -> None:
    (item,) = Dataset.from_json(response_data_set([result(OutcomeKind.KEPT_FIRST)], ROOT)).ReferencedSOPSequence
    assert item.WarningReason == 0xB000


def test_what_was_stored_as_sent_carries_none() -> None:
    (item,) = Dataset.from_json(response_data_set([STORED], ROOT)).ReferencedSOPSequence
    assert "WarningReason" not in item


def test_what_was_acknowledged_and_not_kept_has_no_address() -> None:
    (item,) = Dataset.from_json(response_data_set([result(OutcomeKind.DROPPED)], ROOT)).ReferencedSOPSequence
    assert item.RetrieveURL in (None, "")


def test_several_studies_have_no_common_address() -> None:
    answer = response_data_set([STORED, result(study="2.25.9")], ROOT)
    assert answer["00081190"] == {"vr": "UR"}


def test_words_stand_beside_each_code() -> None:
    answer = Dataset.from_json(response_data_set([UNREADABLE, QUARANTINED], ROOT))
    spoken = [
        sequence[0].private_block(0x0099, "ANNOGATE")[0x01].value
        for sequence in (answer.OtherFailuresSequence, answer.FailedSOPSequence)
    ]
    assert spoken == ["Not a DICOM file", "No pixels: correct it and send it again"]


def test_headers_carry_the_words_of_the_first_parts_only() -> None:
    spoken = warnings([PartResult(number, failure_reason=0xC001, reason="bad\r\nthing") for number in range(1, 30)])
    assert (len(spoken), spoken[0]) == (17, "Part 1: bad thing")

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from dicom_nodes.commitment import (
    ArgumentInvalid,
    CommitmentReport,
    CommitmentRequest,
    FailureReason,
    Reference,
    decode_report,
    decode_request,
    encode_data_set,
    encode_report,
    encode_request,
)
from tests.listening_node import CT, EXPLICIT, IMPLICIT, MR

ONE, TWO = Reference(CT, "1.2.3.1"), Reference(MR, "1.2.3.2")
REFUSED = int(FailureReason.NO_SUCH_INSTANCE)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_a_request_survives_the_wire(syntax: str) -> None:
    request = CommitmentRequest("1.2.3.9", (ONE, TWO))
    assert decode_request(encode_request(request, syntax), syntax) == request


@pytest.mark.parametrize(
    ("report", "event"),
    [
        (CommitmentReport("1.2.3.9", (ONE, TWO)), 1),
        (CommitmentReport("1.2.3.9", (ONE,), ((TWO, REFUSED),)), 2),
        (CommitmentReport("1.2.3.9", (), ((TWO, REFUSED),)), 2),
    ],
    ids=["all", "some", "none"],
)
def test_a_report_survives_the_wire(report: CommitmentReport, event: int) -> None:
    assert (decode_report(encode_report(report, EXPLICIT), EXPLICIT), report.event_type_id) == (report, event)


def test_an_instance_named_twice_is_asked_for_once() -> None:
    request = CommitmentRequest("1.2.3.9", (ONE, ONE))
    assert decode_request(encode_request(request, IMPLICIT), IMPLICIT).references == (ONE,)


def asked(**changes: object) -> bytes:
    data_set, item = Dataset(), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, "1.2.3.1"
    data_set.TransactionUID = "1.2.3.9"
    data_set.ReferencedSOPSequence = [item]
    for keyword, value in changes.items():
        place = item if keyword.startswith("ReferencedSOP") and keyword.endswith("UID") else data_set
        if value is None:
            delattr(place, keyword)
        else:
            setattr(place, keyword, value)
    return encode_data_set(data_set, EXPLICIT)


@pytest.mark.parametrize(
    ("encoded", "words"),
    [
        (asked(TransactionUID=None), r"Transaction UID \(0008,1195\)"),
        (asked(ReferencedSOPSequence=None), "names no instance"),
        (asked(ReferencedSOPSequence=[]), "names no instance"),
        (asked(ReferencedSOPInstanceUID=None), r"Instance UID \(0008,1155\)"),
        (asked(ReferencedSOPClassUID=None), r"Class UID \(0008,1150\)"),
        (b"\x08\x00\x95\x11UI\xff\xff1.2", "names no instance"),
    ],
    ids=["transaction", "sequence", "items", "instance", "class", "cut"],
)
def test_a_malformed_request_is_refused_in_words(encoded: bytes, words: str) -> None:
    with pytest.raises(ArgumentInvalid, match=words):
        decode_request(encoded, EXPLICIT)


def test_a_failure_without_a_reason_is_a_processing_failure() -> None:
    data_set, item = Dataset(), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, "1.2.3.1"
    data_set.TransactionUID = "1.2.3.9"
    data_set.FailedSOPSequence = [item]
    assert decode_report(encode_data_set(data_set, EXPLICIT), EXPLICIT).failed == ((ONE, 0x0110),)

"""How a retrieval is counted, and what its last response says of that."""

from __future__ import annotations

from types import SimpleNamespace

from pydicom.uid import ExplicitVRLittleEndian

from dicom_nodes.command_set import ERROR_COMMENT, FAILED_SUB_OPERATIONS, REMAINING_SUB_OPERATIONS
from dicom_nodes.identifier import decode_identifier
from service.dimse.sub_operations import Tally


def failed(count: int) -> Tally:
    tally = Tally(count)
    for number in range(count):
        tally.count(SimpleNamespace(study_uid="1.2", sop_instance_uid=f"1.2.{number}"), None)
    return tally


def test_last_response_says_that_more_failed_than_its_list_holds() -> None:
    tally = failed(1500)
    listed = decode_identifier(tally.failures(ExplicitVRLittleEndian) or b"", ExplicitVRLittleEndian)
    end = tally.end(finished=True)
    assert len(listed.FailedSOPInstanceUIDList) == 1000
    assert (end[FAILED_SUB_OPERATIONS], end[ERROR_COMMENT]) == (1500, "1000 of 1500 failed objects are listed")
    assert REMAINING_SUB_OPERATIONS not in end


def test_last_response_says_nothing_about_a_list_that_is_whole() -> None:
    assert ERROR_COMMENT not in failed(1000).end(finished=True)

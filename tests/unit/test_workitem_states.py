"""The state table of work items (PS3.4 Table CC.1.1-2), cell by cell."""

from __future__ import annotations

import pytest

from service.core.workitem import WorkitemState
from service.core.workitem_states import WorkitemRefused, check_cancel_request, check_change

SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED = (
    WorkitemState.SCHEDULED,
    WorkitemState.IN_PROGRESS,
    WorkitemState.COMPLETED,
    WorkitemState.CANCELED,
)
CELLS = [
    (IN_PROGRESS, {SCHEDULED: 0, IN_PROGRESS: 0xC302, COMPLETED: 0xC300, CANCELED: 0xC300}),
    (SCHEDULED, {SCHEDULED: 0xC303, IN_PROGRESS: 0xC303, COMPLETED: 0xC303, CANCELED: 0xC303}),
    (COMPLETED, {SCHEDULED: 0xC310, IN_PROGRESS: 0, COMPLETED: 0xB306, CANCELED: 0xC300}),
    (CANCELED, {SCHEDULED: 0xC310, IN_PROGRESS: 0, COMPLETED: 0xC300, CANCELED: 0xB304}),
]


def status(wanted: WorkitemState, present: WorkitemState, uid: str = "1.2", *, is_owner: bool = True) -> int:
    """What a change comes to: 0, or the status of the standard."""
    try:
        warning = check_change(present, wanted, uid, is_owner=is_owner)
    except WorkitemRefused as refused:
        return refused.code
    return {"": 0}.get(warning, 0xB304 if "CANCELED" in warning else 0xB306)


@pytest.mark.parametrize(("wanted", "row"), CELLS, ids=lambda cell: str(cell) if isinstance(cell, str) else "")
def test_owner_changes_the_state_by_the_table(wanted: WorkitemState, row: dict[WorkitemState, int]) -> None:
    assert {present: status(wanted, present) for present in WorkitemState} == row


@pytest.mark.parametrize("wanted", [IN_PROGRESS, COMPLETED, CANCELED])
@pytest.mark.parametrize("present", list(WorkitemState))
def test_change_without_a_transaction_uid_is_refused(wanted: WorkitemState, present: WorkitemState) -> None:
    assert status(wanted, present, "", is_owner=False) == 0xC301


@pytest.mark.parametrize("wanted", [COMPLETED, CANCELED])
@pytest.mark.parametrize("present", [IN_PROGRESS, COMPLETED, CANCELED])
def test_change_with_anothers_transaction_uid_is_refused(wanted: WorkitemState, present: WorkitemState) -> None:
    assert status(wanted, present, is_owner=False) == 0xC301


def test_second_claim_is_refused_as_in_progress() -> None:
    assert status(IN_PROGRESS, IN_PROGRESS, is_owner=False) == 0xC302


def test_cancellation_may_be_asked_for_until_completion() -> None:
    assert check_cancel_request(SCHEDULED) == check_cancel_request(IN_PROGRESS) == ""
    assert check_cancel_request(CANCELED) == "The UPS is already in the requested state of CANCELED."
    with pytest.raises(WorkitemRefused) as refused:
        check_cancel_request(COMPLETED)
    assert refused.value.code == 0xC311


def test_wrong_lock_is_a_bad_request_and_the_rest_a_conflict() -> None:
    with pytest.raises(WorkitemRefused) as wrong:
        check_change(IN_PROGRESS, COMPLETED, "1.2", is_owner=False)
    with pytest.raises(WorkitemRefused) as late:
        check_change(COMPLETED, CANCELED, "1.2", is_owner=True)
    assert (wrong.value.http_status, late.value.http_status) == (400, 409)

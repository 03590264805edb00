"""What may become of a work item (PS3.4 Table CC.1.1-2), as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from service.core.workitem import WorkitemState
from service.errors import GatewayError

_SCHEDULED, _IN_PROGRESS = WorkitemState.SCHEDULED, WorkitemState.IN_PROGRESS
_COMPLETED, _CANCELED = WorkitemState.COMPLETED, WorkitemState.CANCELED

LOCK_WRONG: Final = 0xC301
NOT_AT_END: Final = 0xC304
ALREADY_CANCELED: Final = 0xB304
ALREADY_COMPLETED: Final = 0xB306
UNREACHABLE_PERFORMER: Final = 0xC312
NOT_THIS_ONE: Final = 0xC314

# By wanted and present state: 0 where it may be, a warning where it is so already, a failure where it may not.
_CHANGES: Final[Mapping[WorkitemState, Mapping[WorkitemState, int]]] = {
    _SCHEDULED: dict.fromkeys(WorkitemState, 0xC303),
    _IN_PROGRESS: {_SCHEDULED: 0, _IN_PROGRESS: 0xC302, _COMPLETED: 0xC300, _CANCELED: 0xC300},
    _COMPLETED: {_SCHEDULED: 0xC310, _IN_PROGRESS: 0, _COMPLETED: ALREADY_COMPLETED, _CANCELED: 0xC300},
    _CANCELED: {_SCHEDULED: 0xC310, _IN_PROGRESS: 0, _COMPLETED: 0xC300, _CANCELED: ALREADY_CANCELED},
}
_CANCEL_REQUESTS: Final[Mapping[WorkitemState, int]] = {
    _SCHEDULED: 0,
    _IN_PROGRESS: 0,
    _COMPLETED: 0xC311,
    _CANCELED: ALREADY_CANCELED,
}
_WORDS: Final[Mapping[int, str]] = {
    0xC300: "the work item may no longer be changed",
    LOCK_WRONG: "the Transaction UID is missing or is not the one under which the work item was claimed",
    0xC302: "the work item is in progress already: somebody else has claimed it",
    0xC303: "a work item becomes SCHEDULED by being created alone",
    NOT_AT_END: "what the final state asks for is not there",
    0xC310: "the work item is not in progress yet",
    0xC311: "the work item is completed already",
    UNREACHABLE_PERFORMER: "the work item is in progress, and nobody is subscribed who could be told",
    NOT_THIS_ONE: "the gateway itself performs this work item",
}
_WARNINGS: Final[Mapping[int, str]] = {
    ALREADY_CANCELED: "The UPS is already in the requested state of CANCELED.",
    ALREADY_COMPLETED: "The UPS is already in the requested state of COMPLETED.",
}
_INCONSISTENT: Final = "The submitted request is inconsistent with the state of the UPS Instance."
LOCK_MISSING_WARNING: Final = "The Transaction UID is missing."
LOCK_WRONG_WARNING: Final = "The Transaction UID is incorrect."


class WorkitemRefused(GatewayError):
    """A work item cannot do what is asked of it.

    Parameters
    ----------
    code : the status of PS3.4 Annex CC
    detail : words beside those of the status
    warning : the Warning text of PS3.18 chapter 11
    """

    http_status = 409

    def __init__(self, code: int, detail: str = "", warning: str = _INCONSISTENT, http_status: int = 409) -> None:
        words = _WORDS.get(code, "the work item cannot do this")
        super().__init__(f"{words}: {detail}" if detail else words)
        self.code = code
        self.warning = warning
        self.http_status = http_status


def lock_refused(transaction_uid: str) -> WorkitemRefused:
    """C301, which PS3.18 Tables 11.6.3-1 and 11.7.3-1 make a 400."""
    warning = LOCK_WRONG_WARNING if transaction_uid else LOCK_MISSING_WARNING
    return WorkitemRefused(LOCK_WRONG, warning=warning, http_status=400)


def check_change(present: WorkitemState, wanted: WorkitemState, transaction_uid: str, *, is_owner: bool) -> str:
    """Decide on a change of state.

    Parameters
    ----------
    transaction_uid : that was given, "" for none
    is_owner : whether it is the one under which the work item was claimed

    Returns
    -------
    a Warning text where the work item is in this state already; "" where it is to change

    Raises
    ------
    WorkitemRefused : it may not
    """
    status = _CHANGES[wanted][present]
    claims = wanted in (_IN_PROGRESS, _SCHEDULED) or present is _SCHEDULED
    if not transaction_uid or not (claims or is_owner):
        raise lock_refused(transaction_uid)
    if status in _WARNINGS or status == 0:
        return _WARNINGS.get(status, "")
    raise WorkitemRefused(status)


def check_cancel_request(present: WorkitemState) -> str:
    """Decide on a request for cancellation; a Warning text where it is cancelled already.

    Raises
    ------
    WorkitemRefused : it is completed
    """
    status = _CANCEL_REQUESTS[present]
    if status in _WARNINGS or status == 0:
        return _WARNINGS.get(status, "")
    raise WorkitemRefused(status)

"""Storage commitment on associations that we open: asking a peer (N-ACTION), and answering one (N-EVENT-REPORT)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Final

from dicom_nodes.command_set import (
    ACTION_TYPE_ID,
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    COMMAND_FIELD,
    DATA_SET_PRESENT,
    DATA_SET_TYPE,
    EVENT_TYPE_ID,
    N_ACTION_RQ,
    N_EVENT_REPORT_RQ,
    REQUESTED_SOP_CLASS_UID,
    REQUESTED_SOP_INSTANCE_UID,
    STATUS,
    CommandSet,
)
from dicom_nodes.commitment import (
    REQUEST_COMMITMENT,
    STORAGE_COMMITMENT,
    WELL_KNOWN_INSTANCE,
    CommitmentReport,
    CommitmentRequest,
    decode_report,
    encode_report,
    encode_request,
)
from dicom_nodes.errors import GatewayError
from dicom_nodes.peer import PeerAddress, PeerUnavailable
from dicom_nodes.requestor import Requestor, RequestorSettings
from dicom_nodes.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

_CONTEXTS: Final = tuple(
    (STORAGE_COMMITMENT, syntax) for syntax in (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
)
_NO_STATUS: Final = 0x0110
_NO_SUCH_CLASS: Final = 0x0118

ReportHandler = Callable[[CommitmentReport], int]
"""Takes a peer's answer; gives the status of the response (0 where it was taken)."""


class CommitmentRefused(GatewayError):
    """The peer answered our message with a failure; the text has its status."""

    http_status = 502


def ask(
    peer: PeerAddress,
    request: CommitmentRequest,
    on_report: ReportHandler,
    settings: RequestorSettings | None = None,
    *,
    wait_s: float = 0.0,
    on_taken: Callable[[], object] = lambda: None,
) -> None:
    """Ask a peer to keep instances; returns when it has taken the request, or has answered it as well.

    Parameters
    ----------
    on_report : called, from another thread, for each answer that comes on this association; others come to our node
    wait_s : how long to keep the association open for it
    on_taken : called when the peer has taken the request; whatever comes of the association then is no failure

    Raises
    ------
    PeerUnavailable : it cannot be reached, does no storage commitment, or broke off before it took the request
    CommitmentRefused : it does not take the request
    """
    answered = threading.Event()

    def take(sop_class_uid: str, _type: int, information: bytes, transfer_syntax_uid: str) -> int:
        if sop_class_uid != STORAGE_COMMITMENT:
            return _NO_SUCH_CLASS
        try:
            report = decode_report(information, transfer_syntax_uid)
            status = on_report(report)
        except GatewayError as error:
            return error.dimse_status
        if report.transaction_uid == request.transaction_uid:
            answered.set()
        return status

    with Requestor(peer, _CONTEXTS, settings, on_event=take) as association:
        context_id, syntax = _accepted(association)
        elements: dict[int, int | str] = {
            REQUESTED_SOP_CLASS_UID: STORAGE_COMMITMENT,
            COMMAND_FIELD: N_ACTION_RQ,
            DATA_SET_TYPE: DATA_SET_PRESENT,
            REQUESTED_SOP_INSTANCE_UID: WELL_KNOWN_INSTANCE,
            ACTION_TYPE_ID: REQUEST_COMMITMENT,
        }
        _require_success(peer, association.request(context_id, elements, encode_request(request, syntax)))
        on_taken()
        with contextlib.suppress(PeerUnavailable):  # it has left, and answers on an association of its own
            association.rest_until(answered, wait_s)


def report(peer: PeerAddress, answer: CommitmentReport, settings: RequestorSettings | None = None) -> None:
    """Tell a peer what became of its request, on an association of our own on which we are SCP (PS3.4 J.3.3).

    Raises
    ------
    PeerUnavailable : it cannot be reached, does not let us be SCP, or broke off
    CommitmentRefused : it does not take the answer
    """
    with Requestor(peer, _CONTEXTS, settings, roles={STORAGE_COMMITMENT: (False, True)}) as association:
        context_id, syntax = _accepted(association)
        elements = report_elements(answer)
        _require_success(peer, association.request(context_id, elements, encode_report(answer, syntax)))


def report_elements(answer: CommitmentReport) -> dict[int, int | str]:
    """The command set of the N-EVENT-REPORT that carries an answer, without its Message ID."""
    return {
        AFFECTED_SOP_CLASS_UID: STORAGE_COMMITMENT,
        COMMAND_FIELD: N_EVENT_REPORT_RQ,
        DATA_SET_TYPE: DATA_SET_PRESENT,
        AFFECTED_SOP_INSTANCE_UID: WELL_KNOWN_INSTANCE,
        EVENT_TYPE_ID: answer.event_type_id,
    }


def _accepted(association: Requestor) -> tuple[int, str]:
    for pair in _CONTEXTS:
        context_id = association.context_id(*pair)
        if context_id is not None:
            return context_id, pair[1]
    raise PeerUnavailable("the peer does no storage commitment")


def _require_success(peer: PeerAddress, answer: CommandSet) -> None:
    status = answer.number(STATUS, _NO_STATUS)
    if status:
        # Its Error Comment is left out: nobody knows what a peer writes there, and this goes into the index.
        raise CommitmentRefused(f"{peer} answered with status {status:04X}")

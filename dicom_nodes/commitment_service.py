"""Storage commitment on associations that peers open (PS3.4 Annex J): requests as SCP, answers to ours as SCU.

A request is answered at once when it has been written down; what became of the instances is told by an N-EVENT-REPORT.
It goes on the same association where that stays open long enough, otherwise whoever wrote the request down sends it on
another (PS3.4 J.3.3).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, Protocol

from dicom_nodes.command_set import N_ACTION_RQ, N_EVENT_REPORT_RQ, STATUS
from dicom_nodes.commitment import (
    ALL_COMMITTED,
    REQUEST_COMMITMENT,
    SOME_FAILED,
    STORAGE_COMMITMENT,
    WELL_KNOWN_INSTANCE,
    ArgumentInvalid,
    CommitmentReport,
    CommitmentRequest,
    decode_report,
    decode_request,
    encode_report,
)
from dicom_nodes.commitment_scu import report_elements
from dicom_nodes.errors import GatewayError
from dicom_nodes.peer import PeerUnavailable
from dicom_nodes.service_port import Caller, Exchange, ServiceRequest

_LOGGER = logging.getLogger(__name__)
_NO_STATUS: Final = 0x0110


class NoSuchEventType(GatewayError):
    """The class has no event of this type (PS3.7 C.5.11)."""

    dimse_status = 0x0113


class NoSuchAction(GatewayError):
    """The class has no action of this type (PS3.7 C.5.10)."""

    dimse_status = 0x0123


class NoSuchInstance(GatewayError):
    """Not the well-known instance of the class (PS3.7 C.5.12)."""

    dimse_status = 0x0112


class OperationNotRecognised(GatewayError):
    """The class has no such operation (PS3.7 C.5.25)."""

    dimse_status = 0x0211


class Transaction(Protocol):
    """A request that was written down and that we hold until it is told or left."""

    def report(self) -> CommitmentReport | None:
        """What became of the instances; None while that is not decided."""

    def told(self) -> None:
        """The peer has taken the answer."""

    def left(self) -> None:
        """The peer was not told: whoever wrote the request down sees to it from now on."""


class CommitmentDesk(Protocol):
    """Where requests are written down, and answers to ours are taken."""

    def admits(self, caller: Caller) -> bool:
        """Whether a caller may ask at all."""

    def asked(self, caller: Caller, request: CommitmentRequest) -> Transaction:
        """Write a request down; durable when this returns.

        Raises
        ------
        GatewayError : it cannot be; its DIMSE status is the answer
        """

    def reported(self, calling_ae_title: str, report: CommitmentReport) -> None:
        """Take a peer's answer to a request of ours.

        Raises
        ------
        GatewayError : we asked for no such thing, or another peer; its DIMSE status is the answer
        """


class CommitmentService:
    """The service of a node; fills ``service_port.DimseService``.

    Parameters
    ----------
    linger_s : how long the peer may keep the association open for its answer, while it says nothing else
    pause_s : given the peer to leave before it is answered on the same association, and between two looks
    """

    def __init__(
        self,
        desk: CommitmentDesk,
        *,
        linger_s: float = 5.0,
        pause_s: float = 0.25,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._desk = desk
        self._linger_s = linger_s
        self._pause_s = pause_s
        self._sleep = sleep

    @property
    def abstract_syntaxes(self) -> frozenset[str]:
        """The push model."""
        return frozenset({STORAGE_COMMITMENT})

    @property
    def scu_of(self) -> frozenset[str]:
        """The same: a peer that reports to us is SCP on an association of its own."""
        return frozenset({STORAGE_COMMITMENT})

    def admits(self, caller: Caller) -> bool:
        """Whether a caller may ask at all."""
        return self._desk.admits(caller)

    def negotiate(self, abstract_syntax: str, proposed: bytes) -> bytes | None:  # noqa: ARG002 -- the class has none
        """Answer nothing: the class has no extended negotiation."""
        return None

    def answer(self, request: ServiceRequest, exchange: Exchange) -> None:
        """Answer one message.

        Raises
        ------
        GatewayError : it cannot be served; its DIMSE status is the answer
        """
        if request.command not in (N_ACTION_RQ, N_EVENT_REPORT_RQ):
            raise OperationNotRecognised("storage commitment has no such operation")
        if request.sop_instance_uid != WELL_KNOWN_INSTANCE:
            raise NoSuchInstance("not the instance of storage commitment")
        if request.data_set is None:
            raise ArgumentInvalid("there is no data set")
        if request.command == N_ACTION_RQ:
            self._take_request(request, request.data_set, exchange)
        else:
            self._take_report(request, request.data_set, exchange)

    def _take_request(self, request: ServiceRequest, data_set: bytes, exchange: Exchange) -> None:
        if request.type_id != REQUEST_COMMITMENT:
            raise NoSuchAction("storage commitment has no such action")
        asked = decode_request(data_set, request.context.transfer_syntax)
        transaction = self._desk.asked(request.caller, asked)
        told = False
        try:
            exchange.respond(0)
            told = self._tell(transaction, request, exchange)
        except GatewayError as error:
            _LOGGER.info("an answer of storage commitment goes on another association: %s", error)
        finally:
            if told:
                transaction.told()
            else:
                transaction.left()

    def _take_report(self, request: ServiceRequest, data_set: bytes, exchange: Exchange) -> None:
        if request.type_id not in (ALL_COMMITTED, SOME_FAILED):
            raise NoSuchEventType("storage commitment has no such event")
        self._desk.reported(request.caller.calling_ae_title, decode_report(data_set, request.context.transfer_syntax))
        exchange.respond(0)

    def _tell(self, transaction: Transaction, request: ServiceRequest, exchange: Exchange) -> bool:
        """Tell the peer while it waits for nothing else; whether it has taken the answer."""
        left_s = self._linger_s
        while left_s > 0:
            # Most peers ask for release at once, and wait for our call.
            self._sleep(self._pause_s)
            left_s -= self._pause_s
            if not exchange.is_quiet:
                return False
            report = transaction.report()
            if report is not None and exchange.is_quiet:
                return _sent(report, request, exchange)
        return False


def _sent(report: CommitmentReport, request: ServiceRequest, exchange: Exchange) -> bool:
    encoded = encode_report(report, request.context.transfer_syntax)
    try:
        answer = exchange.request(request.context.context_id, report_elements(report), encoded)
    except PeerUnavailable:
        return False
    return answer.number(STATUS, _NO_STATUS) == 0

"""A request that a plugged-in service answers: read from pynetdicom's primitive, answered on the socket."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pynetdicom.dimse_primitives import C_STORE, N_EVENT_REPORT
from pynetdicom.pdu_primitives import A_RELEASE

from dicom_nodes.command_set import (
    ACTION_TYPE_ID,
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    C_FIND_RQ,
    C_GET_RQ,
    C_MOVE_RQ,
    C_STORE_RQ,
    COMMAND_FIELD,
    DATA_SET_PRESENT,
    DATA_SET_TYPE,
    ERROR_COMMENT,
    EVENT_TYPE_ID,
    MESSAGE_ID,
    MESSAGE_ID_RESPONDED_TO,
    N_ACTION_RQ,
    N_CREATE_RQ,
    N_DELETE_RQ,
    N_EVENT_REPORT_RQ,
    N_GET_RQ,
    N_SET_RQ,
    NO_DATA_SET,
    RESPONSE,
    STATUS,
    CommandSet,
    encode_command_set,
)
from dicom_nodes.errors import GatewayError
from dicom_nodes.pdata import OutgoingMessage, message_parts
from dicom_nodes.peer import PeerUnavailable
from dicom_nodes.service_port import AcceptedContext, Buffer, Caller, DimseService, ServiceRequest
from dicom_nodes.upper_layer import REST_S

_LOGGER = logging.getLogger(__name__)
_COMMANDS: Final = {
    "C_FIND": C_FIND_RQ,
    "C_GET": C_GET_RQ,
    "C_MOVE": C_MOVE_RQ,
    "N_ACTION": N_ACTION_RQ,
    "N_CREATE": N_CREATE_RQ,
    "N_DELETE": N_DELETE_RQ,
    "N_EVENT_REPORT": N_EVENT_REPORT_RQ,
    "N_GET": N_GET_RQ,
    "N_SET": N_SET_RQ,
}
# Where each primitive of pynetdicom keeps its data set.
_DATA_SETS: Final = (
    "Identifier",
    "ActionInformation",
    "EventInformation",
    "AttributeList",
    "ModificationList",
)


def caller_of(association: Any) -> Caller:
    """Who opened an accepted association."""
    request = association.requestor.primitive
    return Caller(request.calling_ae_title, request.called_ae_title, association.requestor.address)


def contexts_of(association: Any) -> tuple[AcceptedContext, ...]:
    """The accepted contexts of an association that a peer opened."""
    return tuple(
        AcceptedContext(
            int(context_id),
            str(context.abstract_syntax),
            str(context.transfer_syntax[0]),
            bool(context.as_scu),
            bool(context.as_scp),
        )
        for context_id, context in association._accepted_cx.items()
    )


class AssociationExchange:
    """The conversation about one request, on the association that it came on; fills ``service_port.Exchange``."""

    def __init__(self, association: Any, request: ServiceRequest) -> None:
        self._association = association
        self._request = request
        self._sub_message_id = 0
        self.deferred: list[tuple[int, Any]] = []
        """Messages that came while a response was awaited; their turn is when this request is done."""
        self.finished = False
        """Whether the final response has gone."""

    @property
    def cancelled(self) -> bool:
        """Whether the peer has asked by C-CANCEL to stop."""
        return self._request.message_id in self._association.dimse.cancel_req

    @property
    def is_quiet(self) -> bool:
        """Whether the peer has sent nothing since this request: no message, no release; False once it is gone."""
        association = self._association
        if not association.dul.is_alive() or association._kill:
            return False
        # What the upper layer holds for its user is an A-RELEASE or an A-ABORT.
        return not self.deferred and association.dimse.msg_queue.empty() and association.dul.to_user_queue.empty()

    @property
    def contexts(self) -> Sequence[AcceptedContext]:
        """All accepted contexts of the association."""
        return contexts_of(self._association)

    def respond(
        self, status: int, elements: Mapping[int, int | str] | None = None, data_set: bytes | None = None
    ) -> None:
        """Send one response; see ``Exchange.respond``."""
        request = self._request
        response: dict[int, int | str] = {
            AFFECTED_SOP_CLASS_UID: request.sop_class_uid,
            COMMAND_FIELD: request.command | RESPONSE,
            MESSAGE_ID_RESPONDED_TO: request.message_id,
            DATA_SET_TYPE: NO_DATA_SET if data_set is None else DATA_SET_PRESENT,
            STATUS: status,
        }
        if request.sop_instance_uid:
            response[AFFECTED_SOP_INSTANCE_UID] = request.sop_instance_uid
        if request.command in (N_ACTION_RQ, N_EVENT_REPORT_RQ):
            response[ACTION_TYPE_ID if request.command == N_ACTION_RQ else EVENT_TYPE_ID] = request.type_id
        self.finished = status not in (0xFF00, 0xFF01)
        self._send(request.context.context_id, {**response, **(elements or {})}, data_set)

    def request(
        self, context_id: int, elements: Mapping[int, int | str], data_set: bytes | Iterable[Buffer] | None = None
    ) -> CommandSet:
        """Send a request of ours and wait for its response; see ``Exchange.request``."""
        self._sub_message_id = self._sub_message_id % 0xFFFF + 1
        message = {
            DATA_SET_TYPE: NO_DATA_SET if data_set is None else DATA_SET_PRESENT,
            **elements,
            MESSAGE_ID: self._sub_message_id,
        }
        self._send(context_id, message, data_set)
        return self._await_response(int(elements[COMMAND_FIELD]))

    def _send(
        self, context_id: int, elements: Mapping[int, int | str], data_set: bytes | Iterable[Buffer] | None
    ) -> None:
        self._require_association()
        association = self._association
        encoded = encode_command_set(elements)
        message = OutgoingMessage(message_parts(context_id, encoded, data_set, association.requestor.maximum_length))
        try:
            association.dul.socket.send_message(message)
        except OSError as error:
            raise PeerUnavailable("the peer broke off") from error
        except Exception as error:
            if not message.begun:
                raise
            # The peer waits for the rest of a data set that cannot be made.
            raise PeerUnavailable("an object ended early: the association had to be aborted") from error

    def _await_response(self, command: int) -> CommandSet:
        association = self._association
        deadline = time.monotonic() + (association.dimse_timeout or float("inf"))
        while time.monotonic() < deadline:
            self._require_association()
            received = association.next_message(REST_S)
            if received is None:
                continue
            response = _response(received[1])
            if response is None:
                self.deferred.append(received)
            elif response.number(MESSAGE_ID_RESPONDED_TO) == self._sub_message_id:
                return response
        raise PeerUnavailable(f"the peer did not answer request {command:04X} in time")

    def _require_association(self) -> None:
        association = self._association
        if association.acse.is_aborted() or not association.dul.is_alive() or association._kill:
            raise PeerUnavailable("the peer broke off")
        if isinstance(association.dul.peek_next_pdu(), A_RELEASE):
            raise PeerUnavailable("the peer asks for release")


def read_request(association: Any, message: Any, context_id: int) -> ServiceRequest:
    """A primitive of pynetdicom as a request.

    Raises
    ------
    GatewayError : it is none that a service could answer
    """
    context = next(context for context in contexts_of(association) if context.context_id == context_id)
    sop_class_uid = getattr(message, "AffectedSOPClassUID", None) or getattr(message, "RequestedSOPClassUID", None)
    instance = getattr(message, "AffectedSOPInstanceUID", None) or getattr(message, "RequestedSOPInstanceUID", None)
    data_set = next((value for name in _DATA_SETS if (value := getattr(message, name, None)) is not None), None)
    type_id = getattr(message, "ActionTypeID", None) or getattr(message, "EventTypeID", None)
    class_uid = str(sop_class_uid or context.abstract_syntax)
    return ServiceRequest(
        caller=caller_of(association),
        context=context,
        command=_COMMANDS[type(message).__name__],
        message_id=int(message.MessageID),
        sop_class_uid=class_uid,
        sop_instance_uid=str(instance or ""),
        data_set=None if data_set is None else data_set.getvalue(),
        move_destination=str(getattr(message, "MoveDestination", None) or "").strip(),
        type_id=int(type_id or 0),
        application_information=association.application_information.get(class_uid, b""),
    )


def serve(association: Any, service: DimseService, message: Any, context_id: int) -> None:
    """Have a service answer one message; whatever happens, the peer gets a final response or the association ends."""
    request = read_request(association, message, context_id)
    exchange = AssociationExchange(association, request)
    association.dimse.cancel_req.pop(request.message_id, None)
    try:
        service.answer(request, exchange)
    except PeerUnavailable:
        association.abort(block=False)
        return
    except Exception as error:  # noqa: BLE001 -- the edge to the peer: every request gets a response
        _answer_failure(exchange, error)
    finally:
        association.dimse.cancel_req.pop(request.message_id, None)
        for deferred in exchange.deferred:
            association.dimse.msg_queue.put(deferred)
    if not exchange.finished:
        _answer_failure(exchange, GatewayError("the service gave no final answer"))


def is_served(message: Any) -> bool:
    """Whether a message is a request that services answer."""
    return type(message).__name__ in _COMMANDS and message.is_valid_request


def _answer_failure(exchange: AssociationExchange, error: Exception) -> None:
    if not isinstance(error, GatewayError):
        # Where, and not what: the words of a foreign error may carry a patient's values.
        place = traceback.extract_tb(error.__traceback__)[-1]
        _LOGGER.error("a service failed: %s at %s:%s", type(error).__name__, place.filename, place.lineno)
        error = GatewayError("processing failure")
    try:
        exchange.respond(error.dimse_status, {ERROR_COMMENT: error.comment})
    except PeerUnavailable:
        _LOGGER.info("a peer left before its request could be answered")


def _response(message: Any) -> CommandSet | None:
    """A response to a request of ours, as a command set; None for what is no response."""
    if not isinstance(message, C_STORE | N_EVENT_REPORT) or message.MessageIDBeingRespondedTo is None:
        return None
    command = (C_STORE_RQ if isinstance(message, C_STORE) else N_EVENT_REPORT_RQ) | RESPONSE
    elements = {
        COMMAND_FIELD: command.to_bytes(2, "little"),
        MESSAGE_ID_RESPONDED_TO: int(message.MessageIDBeingRespondedTo).to_bytes(2, "little"),
        DATA_SET_TYPE: NO_DATA_SET.to_bytes(2, "little"),
        STATUS: int(message.Status or 0).to_bytes(2, "little"),
    }
    comment = getattr(message, "ErrorComment", None)
    if comment:
        elements[ERROR_COMMENT] = str(comment).encode("latin-1", "replace")
    return CommandSet(elements)

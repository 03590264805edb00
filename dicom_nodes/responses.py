"""What comes on an association that we opened: responses to our requests, and requests of the peer."""

from __future__ import annotations

import logging
import queue
import traceback
from dataclasses import dataclass, field
from typing import Final

from dicom_nodes.command_set import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    COMMAND_FIELD,
    DATA_SET_TYPE,
    ERROR_COMMENT,
    EVENT_TYPE_ID,
    MESSAGE_ID,
    MESSAGE_ID_RESPONDED_TO,
    NO_DATA_SET,
    RESPONSE,
    STATUS,
    CommandSet,
    encode_command_set,
)
from dicom_nodes.dimse_stream import DimseStream, ProtocolViolated
from dicom_nodes.errors import GatewayError
from dicom_nodes.peer_requests import PeerRequest, PeerRequests
from dicom_nodes.service_port import AcceptedContext
from dicom_nodes.storage_classes import is_uid
from dicom_nodes.upper_layer import NodeAssociation

_LOGGER = logging.getLogger(__name__)
# An identifier is some hundred bytes, a list of 10,000 failed UIDs less than one MiB.
_LONGEST_DATA_SET: Final = 16 * 1024 * 1024
_WAIT_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Response:
    """One response, with its data set as it came (None where it has none)."""

    command: CommandSet
    context_id: int
    data_set: bytes | None = field(default=None, repr=False)


class ResponseStream(DimseStream):
    """Takes responses before pynetdicom's reactor could lose one; when nobody fetches them the peer has to wait.

    Parameters
    ----------
    responses : where they go; while it is full nothing more is read from the peer
    """

    def __init__(
        self, assoc: NodeAssociation, responses: queue.Queue[Response | None], peer_requests: PeerRequests | None
    ) -> None:
        super().__init__(assoc)
        self._responses = responses
        self._peer_requests = peer_requests
        self._closed = False
        self._message: _IncomingResponse | _IncomingRequest | None = None

    @property
    def in_data_set(self) -> bool:
        """Whether a data set is on its way."""
        return self._message is not None

    def takes(self, context_id: int, command: CommandSet) -> bool:
        """Take every response, and the requests that somebody is there for."""
        if command.command & RESPONSE:
            message: _IncomingResponse | _IncomingRequest | None = _IncomingResponse(context_id, command)
        else:
            message = self._begin(context_id, command)
        if message is None:
            return False
        if command.has_data_set:
            self._message = message
        else:
            self._finish(message)
        return True

    def fragment(self, data: memoryview, *, last: bool) -> None:
        """Take the next bytes of a data set."""
        message = self._message
        if message is None:
            return
        message.write(data)
        if last:
            self._message = None
            self._finish(message)

    def connection_ended(self) -> None:
        """Forget what was cut."""
        message, self._message = self._message, None
        if isinstance(message, _IncomingRequest):
            message.abandon()

    def close(self) -> None:
        """Nobody fetches responses any more: those that come are dropped."""
        self._closed = True

    def _finish(self, message: _IncomingResponse | _IncomingRequest) -> None:
        if isinstance(message, _IncomingRequest):
            self.send_command(message.context_id, encode_command_set(message.answer()))
            return
        response = Response(message.command, message.context_id, message.data_set)
        while not self._closed:
            try:
                self._responses.put(response, timeout=_WAIT_S)
            except queue.Full:
                continue
            return

    def _begin(self, context_id: int, command: CommandSet) -> _IncomingRequest | None:
        context = self.assoc._accepted_cx.get(context_id)
        if self._peer_requests is None or context is None:
            return None
        accepted = AcceptedContext(
            context_id,
            str(context.abstract_syntax),
            str(context.transfer_syntax[0]),
            bool(context.as_scu),
            bool(context.as_scp),
        )
        incoming = _IncomingRequest(context_id, command)
        try:
            incoming.taker = self._peer_requests.begin(accepted, command)
        except Exception as error:  # noqa: BLE001 -- the edge to the peer: every request gets a response
            incoming.fail(error)
        return incoming if incoming.taker or incoming.failure else None


class _IncomingResponse:
    """A response whose data set is on its way."""

    def __init__(self, context_id: int, command: CommandSet) -> None:
        self.context_id = context_id
        self.command = command
        self._data = bytearray()

    @property
    def data_set(self) -> bytes | None:
        return bytes(self._data) if self.command.has_data_set else None

    def write(self, data: memoryview) -> None:
        self._data += data
        if len(self._data) > _LONGEST_DATA_SET:
            raise ProtocolViolated("the data set of a response without an end")


class _IncomingRequest:
    """A request of the peer; after a failure the rest of its data set is read and dropped."""

    def __init__(self, context_id: int, command: CommandSet) -> None:
        self.context_id = context_id
        self.taker: PeerRequest | None = None
        self.failure: GatewayError | None = None
        self._command = command

    def write(self, data: memoryview) -> None:
        try:
            if self.taker is not None:
                self.taker.write(data)
        except Exception as error:  # noqa: BLE001 -- the edge to the peer: every request gets a response
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Keep the first failure and nothing of the request."""
        if not isinstance(error, GatewayError):
            # Where, and not what: the words of a foreign error may carry a patient's values.
            place = traceback.extract_tb(error.__traceback__)[-1]
            _LOGGER.error("a request failed: %s at %s:%s", type(error).__name__, place.filename, place.lineno)
            error = GatewayError("processing failure")
        self.failure = self.failure or error
        self.abandon()

    def abandon(self) -> None:
        taker, self.taker = self.taker, None
        if taker is not None:
            taker.abandon()

    def answer(self) -> dict[int, int | str]:
        """The response's command set."""
        status = 0
        try:
            if self.taker is not None:
                status = self.taker.finish()
        except Exception as error:  # noqa: BLE001 -- the edge to the peer: every request gets a response
            self.fail(error)
        command = self._command
        elements: dict[int, int | str] = {
            COMMAND_FIELD: command.command | RESPONSE,
            MESSAGE_ID_RESPONDED_TO: command.number(MESSAGE_ID),
            DATA_SET_TYPE: NO_DATA_SET,
            STATUS: self.failure.dimse_status if self.failure else status,
        }
        if self.failure:
            elements[ERROR_COMMENT] = self.failure.comment
        if EVENT_TYPE_ID in command.elements:
            elements[EVENT_TYPE_ID] = command.number(EVENT_TYPE_ID)
        for element in (AFFECTED_SOP_CLASS_UID, AFFECTED_SOP_INSTANCE_UID):
            if is_uid(value := command.text(element)):
                elements[element] = value
        return elements

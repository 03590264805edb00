"""A peer that speaks the upper layer byte by byte: it pipelines, stalls, lies about lengths, or says nothing."""

from __future__ import annotations

import socket
import struct
from types import TracebackType

from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import PresentationContext

from dicom_nodes.command_set import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    C_ECHO_RQ,
    C_STORE_RQ,
    COMMAND_FIELD,
    DATA_SET_PRESENT,
    DATA_SET_TYPE,
    MESSAGE_ID,
    MESSAGE_ID_RESPONDED_TO,
    NO_DATA_SET,
    PRIORITY,
    STATUS,
    CommandSet,
    decode_command_set,
    encode_command_set,
)
from dicom_nodes.pdata import message_parts
from dicom_nodes.storage_classes import VERIFICATION
from tests.patience import PATIENCE_S

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
HEAD = struct.Struct(">BxL")
P_DATA_TF, RELEASE_RQ, RELEASE_RP, ABORT = 4, 5, 6, 7
RELEASE = HEAD.pack(RELEASE_RQ, 4) + bytes(4)


def associate_rq(window: tuple[int, int] | None = None, called: str = "ANNOGATE") -> bytes:
    """An A-ASSOCIATE-RQ for CT in context 1 and Verification in context 3."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title = "RAW"
    primitive.called_ae_title = called
    contexts = []
    for number, abstract_syntax in ((1, CT), (3, VERIFICATION)):
        context = PresentationContext()
        context.context_id, context.abstract_syntax = number, abstract_syntax
        context.transfer_syntax = [EXPLICIT]
        contexts.append(context)
    primitive.presentation_context_definition_list = contexts
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = 16384
    implementation.implementation_class_uid = "2.25.1"
    primitive.user_information = [length, implementation]
    if window is not None:
        item = AsynchronousOperationsWindowNegotiation()
        item.maximum_number_operations_invoked, item.maximum_number_operations_performed = window
        primitive.user_information.append(item)
    return bytes(A_ASSOCIATE_RQ(primitive).encode())


def message(context_id: int, elements: dict[int, int | str], data_set: bytes | None, pdu: int = 16384) -> bytes:
    """A message as its PDUs."""
    bursts = message_parts(context_id, encode_command_set(elements), data_set, pdu)
    return b"".join(part for burst in bursts for part in burst)


def c_store_rq(message_id: int, data_set: bytes, pdu: int = 16384) -> bytes:
    """A C-STORE of a CT whose instance UID ends in the message's number."""
    elements: dict[int, int | str] = {
        AFFECTED_SOP_CLASS_UID: CT,
        COMMAND_FIELD: C_STORE_RQ,
        MESSAGE_ID: message_id,
        PRIORITY: 0,
        DATA_SET_TYPE: DATA_SET_PRESENT,
        AFFECTED_SOP_INSTANCE_UID: f"1.2.3.{message_id}",
    }
    return message(1, elements, data_set, pdu)


def c_echo_rq(message_id: int) -> bytes:
    """A C-ECHO."""
    elements: dict[int, int | str] = {
        AFFECTED_SOP_CLASS_UID: VERIFICATION,
        COMMAND_FIELD: C_ECHO_RQ,
        MESSAGE_ID: message_id,
        DATA_SET_TYPE: NO_DATA_SET,
    }
    return message(3, elements, None)


class RawPeer:
    """One connection; a context manager that closes it."""

    def __init__(self, host: str, port: int) -> None:
        self.connection = socket.create_connection((host, port), timeout=PATIENCE_S)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> RawPeer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def associate(self, window: tuple[int, int] | None = None) -> tuple[int, int]:
        """Open an association; the window that was agreed on."""
        self.send(associate_rq(window))
        kind, body = self.pdu()
        assert kind == 2, f"PDU {kind} instead of an A-ASSOCIATE-AC"
        answer = A_ASSOCIATE_AC()
        answer.decode(HEAD.pack(kind, len(body)) + body)
        for item in answer.to_primitive().user_information:
            if isinstance(item, AsynchronousOperationsWindowNegotiation):
                return item.maximum_number_operations_invoked, item.maximum_number_operations_performed
        return 1, 1

    def pdu(self) -> tuple[int, bytes]:
        """The next PDU; type 0 when the node has closed the connection."""
        head = self._exactly(HEAD.size)
        if len(head) < HEAD.size:
            return 0, b""
        kind, length = HEAD.unpack(head)
        return kind, self._exactly(length)

    def answer(self) -> CommandSet:
        """The next response."""
        kind, body = self.pdu()
        assert kind == P_DATA_TF, f"PDU {kind} instead of a response"
        return decode_command_set(body[6:])

    def status(self) -> tuple[int, int]:
        """The message that the next response is to, and its Status."""
        response = self.answer()
        return response.number(MESSAGE_ID_RESPONDED_TO), response.number(STATUS, 0xFFFF)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                more = self.connection.recv(count - len(data))
            except ConnectionResetError:
                more = b""
            if not more:
                break
            data += more
        return data

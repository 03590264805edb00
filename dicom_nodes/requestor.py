"""Associations that we open: negotiation by pynetdicom, messages written straight to the socket."""

from __future__ import annotations

import queue
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from pynetdicom import AE
from pynetdicom._globals import MODE_REQUESTOR
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation

from dicom_nodes.command_set import (
    C_ECHO_RSP,
    C_STORE_RSP,
    MESSAGE_ID,
    MESSAGE_ID_RESPONDED_TO,
    CommandSet,
    encode_command_set,
)
from dicom_nodes.dimse_stream import COMMAND, LAST, DimseStream, ProtocolViolated
from dicom_nodes.peer import PeerAddress, PeerUnavailable
from dicom_nodes.upper_layer import NodeAssociation

MAXIMUM_CONTEXTS: Final = 128
_P_DATA_TF: Final = 0x04
_PDU_AND_ITEM: Final = struct.Struct(">BBLLBB")
_ITEM_OVERHEAD: Final = 6  # length, context and control header of the one item in each PDU
_LONGEST_PDU: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RequestorSettings:
    """How we call.

    Parameters
    ----------
    answer_timeout_s : how long a peer may take for the answer to one message
    """

    calling_ae_title: str = "ANNOGATE"
    maximum_pdu_bytes: int = 128 * 1024
    connection_timeout_s: float = 10.0
    acse_timeout_s: float = 30.0
    answer_timeout_s: float = 120.0
    network_timeout_s: float = 120.0


class _Responses(DimseStream):
    """Takes the answers to our requests, before pynetdicom's reactor could lose one."""

    in_data_set = False

    def takes(self, context_id: int, command: CommandSet) -> bool:
        """Take answers to C-STORE and C-ECHO."""
        if command.command not in (C_STORE_RSP, C_ECHO_RSP):
            return False
        if command.has_data_set:
            raise ProtocolViolated(f"an answer with a data set on context {context_id}")
        self.assoc.responses.put(command)
        return True

    def fragment(self, data: memoryview, *, last: bool) -> None:
        """Answers have no data set."""
        raise ProtocolViolated(f"{len(data)} bytes of a data set that nobody announced, last: {last}")


class _RequestedAssociation(NodeAssociation):
    """The requestor's side; None in ``responses`` says that something else happened."""

    def __init__(self, ae: AE) -> None:
        self.responses: queue.Queue[CommandSet | None] = queue.Queue()
        super().__init__(ae, MODE_REQUESTOR)
        self.dimse = _Responses(self)

    def notice(self) -> None:
        """Wake who waits for an answer."""
        super().notice()
        self.responses.put(None)

    def upper_layer_ended(self) -> None:
        """Wake who waits for an answer that will not come."""
        super().upper_layer_ended()
        self.responses.put(None)


class Requestor:
    """One open association; a context manager that releases it, or aborts it after an error.

    Parameters
    ----------
    contexts : (abstract syntax, transfer syntax) pairs to propose, each as a context of its own, since an acceptor
        chooses one transfer syntax a context; at most 128

    Raises
    ------
    PeerUnavailable : the peer cannot be reached, rejects, or accepts none of the contexts
    """

    def __init__(
        self, peer: PeerAddress, contexts: Sequence[tuple[str, str]], settings: RequestorSettings | None = None
    ) -> None:
        self._peer = peer
        self._settings = settings or RequestorSettings()
        self._message_id = 0
        self._association = self._open(contexts)
        self._context_ids = {
            (str(context.abstract_syntax), str(context.transfer_syntax[0])): int(context.context_id)
            for context in self._association.accepted_contexts
        }

    def context_id(self, abstract_syntax: str, transfer_syntax: str) -> int | None:
        """The accepted context for a pair, None if the peer does not take it."""
        return self._context_ids.get((abstract_syntax, transfer_syntax))

    def any_context_id(self) -> int:
        """Some accepted context."""
        return next(iter(self._context_ids.values()))

    def request(self, context_id: int, elements: dict[int, int | str], data_set: bytes | None = None) -> CommandSet:
        """Send one message and wait for its answer; the Message ID is filled in.

        Raises
        ------
        PeerUnavailable : the peer broke off or did not answer in time
        """
        self._message_id = self._message_id % 0xFFFF + 1
        command = encode_command_set({**elements, MESSAGE_ID: self._message_id})
        parts = self._fragments(context_id, command, COMMAND)
        if data_set is not None:
            parts += self._fragments(context_id, data_set, 0)
        try:
            self._association.dul.socket.send_parts(parts)
        except OSError as error:
            raise PeerUnavailable(f"{self._peer} broke off") from error
        return self._answer()

    def __enter__(self) -> Requestor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        association = self._association
        if error is None and association.is_established and not association.acse.is_aborted():
            association.acse.negotiate_release()
        else:
            association.abort()

    def _open(self, contexts: Sequence[tuple[str, str]]) -> _RequestedAssociation:
        association = self._prepare(contexts)
        association.request()
        if association.is_established:
            return association
        association.kill()
        if association.is_rejected:
            raise PeerUnavailable(f"{self._peer} rejected us: {association.acceptor.primitive.reason_str}")
        if association.acceptor.primitive is not None:
            raise PeerUnavailable(f"{self._peer} accepted no presentation context")
        raise PeerUnavailable(f"{self._peer} cannot be reached")

    def _prepare(self, contexts: Sequence[tuple[str, str]]) -> _RequestedAssociation:
        """Set an association up as ``AE.associate`` does."""
        settings = self._settings
        ae = AE(settings.calling_ae_title)
        ae.acse_timeout = settings.acse_timeout_s
        ae.dimse_timeout = settings.answer_timeout_s
        ae.network_timeout = settings.network_timeout_s
        ae.connection_timeout = settings.connection_timeout_s
        try:
            remote = AddressInformation.from_addr_port(self._peer.host, self._peer.port)
            local = AddressInformation("::" if remote.is_ipv6 else "0.0.0.0", 0)  # noqa: S104 -- any address, to call from
            association = _RequestedAssociation(ae)
            association.adopt(None, settings.maximum_pdu_bytes, address=local)
        except OSError as error:
            raise PeerUnavailable(f"{self._peer} cannot be reached: {error.strerror or 'no such host'}") from error
        association.acceptor.ae_title = self._peer.ae_title
        association.acceptor.address_info = remote
        association.requestor.address_info = local
        association.requestor.ae_title = settings.calling_ae_title
        association.requestor.maximum_length = settings.maximum_pdu_bytes
        association.requestor.implementation_class_uid = ae.implementation_class_uid
        association.requestor.implementation_version_name = ae.implementation_version_name
        association.requestor.requested_contexts = [_context(number, *pair) for number, pair in enumerate(contexts)]
        return association

    def _fragments(self, context_id: int, data: bytes, kind: int) -> list[bytes | memoryview]:
        """P-DATA-TF PDUs of one item each (PS3.8 9.3.5), as parts that need not be joined."""
        announced = self._association.acceptor.maximum_length or _LONGEST_PDU
        room = max(2, (min(announced, _LONGEST_PDU) - _ITEM_OVERHEAD) & ~1)
        view = memoryview(data)
        parts: list[bytes | memoryview] = []
        for start in range(0, max(1, len(view)), room):
            piece = view[start : start + room]
            control = kind | (LAST if start + room >= len(view) else 0)
            length = len(piece) + _ITEM_OVERHEAD
            parts.append(_PDU_AND_ITEM.pack(_P_DATA_TF, 0, length, length - 4, context_id, control))
            parts.append(piece)
        return parts

    def _answer(self) -> CommandSet:
        deadline = time.monotonic() + self._settings.answer_timeout_s
        while True:
            try:
                response = self._association.responses.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise PeerUnavailable(f"{self._peer} did not answer in time") from None
            if response is None:
                self._require_association()
            elif response.number(MESSAGE_ID_RESPONDED_TO) == self._message_id:
                return response

    def _require_association(self) -> None:
        association = self._association
        if association.acse.is_aborted() or association.acse.is_release_requested() or not association.dul.is_alive():
            raise PeerUnavailable(f"{self._peer} broke off")


def _context(number: int, abstract_syntax: str, transfer_syntax: str) -> PresentationContext:
    context: Any = PresentationContext()
    context.context_id = 2 * number + 1
    context.abstract_syntax = abstract_syntax
    context.transfer_syntax = [transfer_syntax]
    return context

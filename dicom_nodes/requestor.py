"""Associations that we open: negotiation by pynetdicom, messages written straight to the socket."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from pynetdicom import AE, evt
from pynetdicom._globals import MODE_REQUESTOR
from pynetdicom.pdu_primitives import A_ASSOCIATE, SCP_SCU_RoleSelectionNegotiation, SOPClassExtendedNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation

from dicom_nodes.command_set import (
    C_CANCEL_RQ,
    COMMAND_FIELD,
    DATA_SET_TYPE,
    MESSAGE_ID,
    MESSAGE_ID_RESPONDED_TO,
    NO_DATA_SET,
    STATUS,
    CommandSet,
    encode_command_set,
)
from dicom_nodes.pdata import Buffer, OutgoingMessage, message_parts
from dicom_nodes.peer import ContextsRefused, PeerAddress, PeerUnavailable
from dicom_nodes.peer_requests import PeerRequests
from dicom_nodes.query_model import is_pending
from dicom_nodes.responses import Response, ResponseStream
from dicom_nodes.service_port import AcceptedContext
from dicom_nodes.tls import TlsRequestor, TlsUnusable
from dicom_nodes.upper_layer import REST_S, NodeAssociation
from dicom_nodes.user_identity import UserIdentity, identity_item

MAXIMUM_CONTEXTS: Final = 128
_RESPONSES_HELD: Final = 64
_PATIENCE_S: Final = 10.0

Contexts = Sequence[tuple[str, str | tuple[str, ...]]]
Roles = Mapping[str, tuple[bool, bool]]
"""By SOP class, whether we propose to be SCU and SCP (PS3.7 D.3.3.4)."""
EventHandler = Callable[[str, int, bytes, str], int]
"""Told of an N-EVENT-REPORT on our association: SOP class, Event Type ID, Event Information, its transfer syntax.

Returns the status of the response.
"""


@dataclass(frozen=True, slots=True)
class RequestorSettings:
    """How we call.

    Parameters
    ----------
    answer_timeout_s : how long a peer may take for the answer to one message
    tls : secures the association; None calls plainly
    identity : the user that we say we are (PS3.7 D.3.3.7)
    """

    calling_ae_title: str = "ANNOGATE"
    maximum_pdu_bytes: int = 128 * 1024
    connection_timeout_s: float = 10.0
    acse_timeout_s: float = 30.0
    answer_timeout_s: float = 120.0
    network_timeout_s: float = 120.0
    tls: TlsRequestor | None = None
    identity: UserIdentity | None = None


class _RequestedAssociation(NodeAssociation):
    """The requestor's side; None in ``responses`` says that something else happened."""

    def __init__(self, ae: AE, peer_requests: PeerRequests | None) -> None:
        self.responses: queue.Queue[Response | None] = queue.Queue(_RESPONSES_HELD)
        self.trouble = ""
        """Why the connection could not be secured."""
        super().__init__(ae, MODE_REQUESTOR)
        self.dimse = ResponseStream(self, self.responses, peer_requests)

    def tell(self, words: str) -> None:
        """Keep why the connection could not be secured."""
        self.trouble = words

    def notice(self) -> None:
        """Wake who waits for an answer."""
        super().notice()
        self._wake()

    def upper_layer_ended(self) -> None:
        """Forget an object that was cut, and wake who waits for an answer that will not come."""
        try:
            self.dimse.connection_ended()
        finally:
            super().upper_layer_ended()
            self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(queue.Full):  # nobody sleeps over a queue that is full
            self.responses.put_nowait(None)


def _missed_rejection(association: _RequestedAssociation) -> A_ASSOCIATE | None:
    """A rejection that nobody looked at.

    A peer that rejects closes the connection. pynetdicom's association, when its thread wakes only after that, takes it
    for one that was never made, and leaves the answer in the queue.
    """
    with contextlib.suppress(queue.Empty):
        while True:
            primitive = association.dul.to_user_queue.get_nowait()
            if isinstance(primitive, A_ASSOCIATE) and primitive.result:
                return primitive
    return None


class Requestor:
    """One open association; a context manager that releases it, or aborts it after an error.

    Parameters
    ----------
    contexts : (abstract syntax, transfer syntax) pairs to propose, each as a context of its own, since an acceptor
        chooses one transfer syntax a context; at most 128. Several transfer syntaxes in one context, from which the
        peer chooses, are a tuple
    roles : proposed where another than SCU is wanted
    on_event : told of event reports of the peer, from the association's own thread; without it they are refused
    extended : Service Class Application Information by SOP class (PS3.7 D.3.3.5)
    peer_requests : takes requests that the peer makes on our association, such as C-STORE during C-GET

    Raises
    ------
    PeerUnavailable : the peer cannot be reached, rejects, or accepts none of the contexts
    """

    def __init__(
        self,
        peer: PeerAddress,
        contexts: Contexts,
        settings: RequestorSettings | None = None,
        *,
        roles: Roles | None = None,
        on_event: EventHandler | None = None,
        extended: Mapping[str, bytes] | None = None,
        peer_requests: PeerRequests | None = None,
    ) -> None:
        self._peer = peer
        self._settings = settings or RequestorSettings()
        self._roles = dict(roles or {})
        self._on_event = on_event
        self._extended = dict(extended or {})
        self._peer_requests = peer_requests
        self._message_id = 0
        self._association = self._open(contexts)
        self._context_ids = {
            (str(context.abstract_syntax), str(context.transfer_syntax[0])): int(context.context_id)
            for context in self._association.accepted_contexts
        }

    @property
    def peer(self) -> PeerAddress:
        """Whom we called."""
        return self._peer

    def context_id(self, abstract_syntax: str, transfer_syntax: str) -> int | None:
        """The accepted context for a pair, None if the peer does not take it."""
        return self._context_ids.get((abstract_syntax, transfer_syntax))

    def any_context_id(self) -> int:
        """Some accepted context."""
        return next(iter(self._context_ids.values()))

    @property
    def contexts(self) -> list[AcceptedContext]:
        """The accepted contexts, with the roles that are ours."""
        return [
            AcceptedContext(
                int(context.context_id),
                str(context.abstract_syntax),
                str(context.transfer_syntax[0]),
                bool(context.as_scu),
                bool(context.as_scp),
            )
            for context in self._association.accepted_contexts
        ]

    def extended(self, sop_class_uid: str) -> bytes:
        """What the peer accepted of SOP Class Extended Negotiation; b"" where it said nothing."""
        accepted = self._association.acceptor.sop_class_extended
        return bytes(accepted.get(sop_class_uid, b""))

    def request(
        self,
        context_id: int,
        elements: Mapping[int, int | str],
        data_set: bytes | Iterable[Buffer] | None = None,
    ) -> CommandSet:
        """Send one message and wait for its answer; the Message ID is filled in.

        Parameters
        ----------
        data_set : encoded, whole or in pieces that are made while they are sent

        Raises
        ------
        PeerUnavailable : the peer broke off or did not answer in time
        """
        message_id = self._send_request(context_id, elements, data_set)
        while True:
            response = self._next_response(message_id, None)
            if response is not None:
                return response.command

    def responses(
        self,
        context_id: int,
        elements: Mapping[int, int | str],
        data_set: bytes | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Iterator[Response]:
        """Send one message and yield its responses, pending ones and the final one, as they come.

        Who closes the iterator early has the peer stop.

        Parameters
        ----------
        stop : asked again and again; once it says yes, the peer is asked by C-CANCEL to stop, and its last responses
            still come

        Raises
        ------
        PeerUnavailable : the peer broke off, or sent nothing for too long
        """
        message_id = self._send_request(context_id, elements, data_set)
        cancelled = over = False
        try:
            while not over:
                response = self._next_response(message_id, stop if not cancelled else None)
                if response is None:
                    cancelled = True
                    self._cancel(context_id, message_id)
                    continue
                over = not is_pending(response.command.number(STATUS))
                yield response
        except GeneratorExit:
            if not over:
                self._end_early(context_id, message_id, cancelled=cancelled)
            raise

    def _end_early(self, context_id: int, message_id: int, *, cancelled: bool) -> None:
        """Nobody wants further responses: have the peer stop, and abort if it does not."""
        deadline = time.monotonic() + _PATIENCE_S
        with contextlib.suppress(PeerUnavailable):
            if not cancelled:
                self._cancel(context_id, message_id)
            while response := self._next_response(message_id, lambda: time.monotonic() > deadline):
                if not is_pending(response.command.number(STATUS)):
                    return
        self._association.dimse.close()
        self._association.abort()

    def _send_request(
        self, context_id: int, elements: Mapping[int, int | str], data_set: bytes | Iterable[Buffer] | None
    ) -> int:
        self._message_id = self._message_id % 0xFFFF + 1
        self._send(context_id, {**elements, MESSAGE_ID: self._message_id}, data_set)
        return self._message_id

    def _cancel(self, context_id: int, message_id: int) -> None:
        elements = {COMMAND_FIELD: C_CANCEL_RQ, MESSAGE_ID_RESPONDED_TO: message_id, DATA_SET_TYPE: NO_DATA_SET}
        self._send(context_id, elements, None)

    def _send(
        self, context_id: int, elements: Mapping[int, int | str], data_set: bytes | Iterable[Buffer] | None
    ) -> None:
        maximum = self._association.acceptor.maximum_length
        message = OutgoingMessage(message_parts(context_id, encode_command_set(elements), data_set, maximum))
        try:
            self._association.dul.socket.send_message(message)
        except OSError as error:
            raise PeerUnavailable(f"{self._peer} broke off") from error
        except Exception as error:
            if not message.begun:
                raise
            # The peer waits for the rest of a data set that cannot be made.
            self._association.abort()
            raise PeerUnavailable("an object ended early: the association had to be aborted") from error

    def rest_until(self, over: threading.Event, seconds: float) -> bool:
        """Keep the association open until something is over, at most so long; False when it is not by then.

        Raises
        ------
        PeerUnavailable : the peer broke off or left first
        """
        deadline = time.monotonic() + seconds
        while not over.is_set() and (left := deadline - time.monotonic()) > 0:
            self._require_association()
            over.wait(min(left, REST_S))
        return over.is_set()

    def __enter__(self) -> Requestor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        association = self._association
        association.dimse.close()
        if error is None and association.is_established and not association.acse.is_aborted():
            association.acse.negotiate_release()
        else:
            association.abort()

    def _open(self, contexts: Contexts) -> _RequestedAssociation:
        association = self._prepare(contexts)
        association.request()
        if association.is_established:
            return association
        association.kill()
        rejection = association.acceptor.primitive if association.is_rejected else _missed_rejection(association)
        if rejection is not None:
            raise PeerUnavailable(f"{self._peer} rejected us: {rejection.reason_str}")
        if association.acceptor.primitive is not None:
            raise ContextsRefused(f"{self._peer} accepted no presentation context")
        words = f": {association.trouble}" if association.trouble else ""
        raise PeerUnavailable(f"{self._peer} cannot be reached{words}")

    def _prepare(self, contexts: Contexts) -> _RequestedAssociation:
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
            association = _RequestedAssociation(ae, self._peer_requests)
            association.adopt(None, settings.maximum_pdu_bytes, address=local)
            if settings.tls is not None:
                association.dul.socket.tls_args = settings.tls.arguments(self._peer.host, association.tell)
        except TlsUnusable as error:
            raise PeerUnavailable(f"{self._peer} cannot be called: {error}") from error
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
        for sop_class_uid, (as_scu, as_scp) in self._roles.items():
            association.requestor.add_negotiation_item(_role(sop_class_uid, as_scu=as_scu, as_scp=as_scp))
        for sop_class_uid, information in self._extended.items():
            association.requestor.add_negotiation_item(_extended_item(sop_class_uid, information))
        if settings.identity is not None:
            association.requestor.add_negotiation_item(identity_item(settings.identity))
        if self._on_event is not None:
            association.bind(evt.EVT_N_EVENT_REPORT, _event_reported, [self._on_event])
        return association

    def _next_response(self, message_id: int, stop: Callable[[], bool] | None) -> Response | None:
        """The next response to a message; None once ``stop`` says so."""
        deadline = time.monotonic() + self._settings.answer_timeout_s
        while time.monotonic() < deadline:
            if stop is not None and stop():
                return None
            rest_s = max(0.0, deadline - time.monotonic())
            try:
                response = self._association.responses.get(timeout=rest_s if stop is None else min(rest_s, REST_S))
            except queue.Empty:
                continue
            if response is None:
                self._require_association()
            elif response.command.number(MESSAGE_ID_RESPONDED_TO) == message_id:
                return response
        raise PeerUnavailable(f"{self._peer} did not answer in time")

    def _require_association(self) -> None:
        association = self._association
        if not self._association.responses.empty():
            return  # what came before the end is still an answer
        if association.acse.is_aborted() or association.acse.is_release_requested() or not association.dul.is_alive():
            raise PeerUnavailable(f"{self._peer} broke off")


def _role(sop_class_uid: str, *, as_scu: bool, as_scp: bool) -> Any:
    item = SCP_SCU_RoleSelectionNegotiation()
    item.sop_class_uid = sop_class_uid
    item.scu_role, item.scp_role = as_scu, as_scp
    return item


def _extended_item(sop_class_uid: str, information: bytes) -> Any:
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid = sop_class_uid
    item.service_class_application_information = information
    return item


def _event_reported(event: Any, handler: EventHandler) -> tuple[int, None]:
    """Hand an N-EVENT-REPORT on; pynetdicom sends the response."""
    request = event.request
    information = request.EventInformation
    encoded = b"" if information is None else information.getvalue()
    syntax = str(event.context.transfer_syntax)
    return handler(str(request.AffectedSOPClassUID), int(request.EventTypeID), encoded, syntax), None


def _context(number: int, abstract_syntax: str, transfer_syntax: str | tuple[str, ...]) -> PresentationContext:
    context: Any = PresentationContext()
    context.context_id = 2 * number + 1
    context.abstract_syntax = abstract_syntax
    context.transfer_syntax = [transfer_syntax] if isinstance(transfer_syntax, str) else list(transfer_syntax)
    return context

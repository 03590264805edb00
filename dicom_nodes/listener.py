"""A DICOM node that listens: associations, presentation contexts, C-ECHO, and C-STORE through ``receiver``.

Everything else is plugged in: ``DicomNode(..., services=(…))``, see ``service_port``.
"""

from __future__ import annotations

import errno
import logging
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from pynetdicom import AE, _config, evt
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AssociationServer, RequestHandler

from dicom_nodes.callers import CallerPolicy, Rejection
from dicom_nodes.data_transfer import DataTransferUpperLayer
from dicom_nodes.node_event import NodeEvent, NodeEventHandler, NodeEventKind
from dicom_nodes.object_sink import ObjectSink
from dicom_nodes.receiver import Reception, StoreReceiver
from dicom_nodes.served_request import caller_of, is_served, serve
from dicom_nodes.service_port import DimseService
from dicom_nodes.service_table import Offer, ServiceTable
from dicom_nodes.storage_classes import VERIFICATION, storage_classes
from dicom_nodes.upper_layer import EventDrivenUpperLayer, NodeAssociation

_LOGGER = logging.getLogger(__name__)

IMPLEMENTATION_CLASS_UID: Final = "2.25.280318406542157203925563347218466134203"
IMPLEMENTATION_VERSION_NAME: Final = "ANNOGATE"

_REJECTED_PERMANENT: Final = 0x01
_BY_SERVICE_USER: Final = 0x01
_ACCEPT_POLL_S: Final = 0.1
_OUT_OF_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE})

ReceivePath = Literal["fast", "pynetdicom"]
_UPPER_LAYERS: Final[dict[ReceivePath, type[EventDrivenUpperLayer]]] = {
    "fast": DataTransferUpperLayer,
    "pynetdicom": EventDrivenUpperLayer,
}


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """How a node listens.

    Parameters
    ----------
    host, port : where it binds when it is given no socket; port 0 takes any free one
    ae_title : its own title; which called titles it answers to is the ``CallerPolicy``'s to say
    maximum_pdu_bytes : Maximum Length Received (PS3.8 D.1) that it announces
    maximum_associations : more at once are turned away as "local limit exceeded"
    acse_timeout_s : how long a connection may stay without an A-ASSOCIATE-RQ, and a release without its answer
    network_timeout_s : how long an association may stay silent
    backlog : connections that wait to be accepted
    extra_storage_classes : SOP classes beyond the standard's, private ones of a site
    receive_path : what reads an association's data once it is negotiated: our own loop, or pynetdicom's
    """

    host: str = "127.0.0.1"
    port: int = 11112
    ae_title: str = "ANNOGATE"
    maximum_pdu_bytes: int = 128 * 1024
    maximum_associations: int = 64
    acse_timeout_s: float = 30.0
    dimse_timeout_s: float = 60.0
    network_timeout_s: float = 120.0
    backlog: int = 256
    extra_storage_classes: tuple[str, ...] = ()
    receive_path: ReceivePath = "fast"
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID
    implementation_version_name: str = IMPLEMENTATION_VERSION_NAME


class AcceptedAssociation(NodeAssociation):
    """An association that a peer opened with us."""

    def __init__(self, ae: AE, reception: Reception, receive_path: ReceivePath) -> None:
        super().__init__(ae, MODE_ACCEPTOR, _UPPER_LAYERS[receive_path])
        self.dimse = StoreReceiver(self, reception)
        self.offer = Offer()
        """What the caller may use of the node's services; known once it has proposed its contexts."""
        self.application_information: dict[str, bytes] = {}
        """By SOP class, what extended negotiation came to."""

    def next_message(self, timeout_s: float) -> tuple[int, Any] | None:
        """Take the next message that is not an object to be stored, with its context; None if none comes in time."""
        try:
            return self.dimse.msg_queue.get(timeout=timeout_s)  # type: ignore[no-any-return]
        except queue.Empty:
            return None

    def _serve_request(self, msg: Any, context_id: int) -> None:
        """Have the service answer whose context a request came on; the rest is pynetdicom's."""
        context = self._accepted_cx.get(context_id)
        service = self.offer.by_class.get(str(context.abstract_syntax)) if context else None
        if service is None or not is_served(msg) or self._sent_release:
            super()._serve_request(msg, context_id)
        else:
            serve(self, service, msg, context_id)

    def transport_closed(self) -> None:
        """End the wait for an A-ASSOCIATE-RQ that will not come; it would hold a place for ``acse_timeout_s``."""
        if self.requestor.primitive is None and self.dul.to_user_queue.empty():
            self.dul.to_user_queue.put(None)

    def upper_layer_ended(self) -> None:
        """Forget an object that was cut, then let the reactor see the end."""
        try:
            self.dimse.connection_ended()
        finally:
            self.transport_closed()
            super().upper_layer_ended()


class _Server(AssociationServer):  # type: ignore[misc]
    """Accepts connections in one thread; each association then has its own two."""

    allow_reuse_address = True

    def __init__(self, *args: Any, node: DicomNode, adopted: socket.socket | None, backlog: int, **kwargs: Any) -> None:
        self.node = node
        self._adopted = adopted
        self.request_queue_size = backlog
        super().__init__(*args, request_handler=_ConnectionHandler, **kwargs)

    def server_bind(self) -> None:
        """Bind, or take the socket that a parent process has bound."""
        if self._adopted is None:
            super().server_bind()
        else:
            self.socket.close()  # type: ignore[has-type]
            self.socket = self._adopted
            self.server_address = self._adopted.getsockname()
        # Several processes may accept from one socket; who comes second must not block.
        self.socket.setblocking(False)

    def server_close(self) -> None:
        """Close our descriptor only: shutting an adopted socket down would end it for every process."""
        if self._adopted is None:
            super().server_close()
        else:
            self.socket.close()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; out of descriptors, rest a moment instead of spinning."""
        try:
            return super().get_request()  # type: ignore[no-any-return]
        except OSError as error:
            if error.errno in _OUT_OF_DESCRIPTORS:
                _LOGGER.warning("a connection waits: no file descriptor is left")
                threading.Event().wait(_ACCEPT_POLL_S)
            raise

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 -- socketserver's
        """Log what went wrong with one connection; the others go on."""
        _LOGGER.exception("a connection could not be served")

    def service_actions(self) -> None:
        """Leave garbage collection to Python; pynetdicom runs it here."""


class _ConnectionHandler(RequestHandler):  # type: ignore[misc]
    """Makes an association of an accepted connection."""

    def _create_association(self) -> AcceptedAssociation:
        return self.server.node.association_for(self)  # type: ignore[no-any-return]


class DicomNode:
    """A Verification and Storage SCP, and whatever ``services`` it is given.

    pynetdicom's two settings that log query identifiers are switched off, for the whole process; nothing else of its
    global configuration is touched.

    Parameters
    ----------
    sink : takes the objects
    callers : decides who may call, and under which called titles
    on_event : told what happens, from the threads of associations; it must not block
    services : what else it answers, such as query/retrieve and storage commitment; see ``service_port``
    """

    def __init__(
        self,
        settings: NodeSettings,
        sink: ObjectSink,
        callers: CallerPolicy,
        on_event: NodeEventHandler | None = None,
        clock: Callable[[], float] = time.time,
        services: Iterable[DimseService] = (),
    ) -> None:
        self._settings = settings
        self._services = ServiceTable(services)
        self._callers = callers
        self._on_event = on_event
        self._reception = Reception(
            sink, callers, storage_classes(settings.extra_storage_classes), self._tell, clock=clock
        )
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self, listening_socket: socket.socket | None = None) -> None:
        """Listen, on a socket that a parent process bound or on one of our own; returns at once.

        Raises
        ------
        OSError : the address cannot be bound
        """
        _config.LOG_REQUEST_IDENTIFIERS = False
        _config.LOG_RESPONSE_IDENTIFIERS = False
        ae = self._application_entity()
        address = listening_socket.getsockname() if listening_socket else (self._settings.host, self._settings.port)
        server = _Server(
            ae,
            address,
            self._settings.ae_title,
            [],
            node=self,
            adopted=listening_socket,
            backlog=self._settings.backlog,
        )
        ae._servers.append(server)
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, args=(_ACCEPT_POLL_S,), name="dicom-node", daemon=True
        )
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on."""
        if self._server is None:
            raise RuntimeError("the node has not been started")
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    def stop(self, grace_s: float = 5.0) -> None:
        """Stop listening, abort what is open and wait for its threads; objects in progress are not acknowledged."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        open_associations = server.active_associations
        for association in open_associations:
            association.abort(block=False)
        deadline = time.monotonic() + grace_s
        for association in open_associations:
            association.dul.join(max(0.1, deadline - time.monotonic()))
            association.dul.socket._shutdown_socket()
            association.kill()
            association.join(max(0.1, deadline - time.monotonic()))
        if self._thread is not None:
            self._thread.join()

    def association_for(self, handler: Any) -> AcceptedAssociation:
        """Set up the association of one accepted connection, as pynetdicom's own handler does."""
        server = handler.server
        association = AcceptedAssociation(server.ae, self._reception, self._settings.receive_path)
        association._server = server
        association.name = f"AcceptorThread@{datetime.now():%Y%m%d%H%M%S}"
        association.adopt(handler.request, self._settings.maximum_pdu_bytes)
        association.acceptor.maximum_length = self._settings.maximum_pdu_bytes
        association.acceptor.ae_title = server.ae_title
        association.acceptor.address_info = handler.local
        association.acceptor.implementation_class_uid = server.ae.implementation_class_uid
        association.acceptor.implementation_version_name = server.ae.implementation_version_name
        association.requestor.address_info = handler.remote
        association.bind(evt.EVT_REQUESTED, self._requested)
        association.bind(evt.EVT_SOP_EXTENDED, self._negotiated)
        association.bind(evt.EVT_ACCEPTED, self._accepted)
        association.bind(evt.EVT_REJECTED, self._limit_exceeded)
        association.bind(evt.EVT_CONN_CLOSE, self._closed)
        return association

    def _application_entity(self) -> AE:
        settings = self._settings
        ae = AE(settings.ae_title)
        ae.maximum_associations = settings.maximum_associations
        ae.maximum_pdu_size = settings.maximum_pdu_bytes
        ae.acse_timeout = settings.acse_timeout_s
        ae.dimse_timeout = settings.dimse_timeout_s
        ae.network_timeout = settings.network_timeout_s
        ae.implementation_class_uid = settings.implementation_class_uid
        ae.implementation_version_name = settings.implementation_version_name
        return ae

    def _requested(self, event: Any) -> None:
        """Turn a caller away, or say which of its presentation contexts we take."""
        association = event.assoc
        request = association.requestor.primitive
        rejection = self._admit(association)
        if rejection is None:
            proposed = request.presentation_context_definition_list or []
            classes = {str(context.abstract_syntax) for context in proposed}
            association.offer = self._services.offered(caller_of(association), classes)
            association.acceptor.supported_contexts = self._supported(association, proposed)
            return
        self._tell(self._event(NodeEventKind.ASSOCIATION_REJECTED, association, rejection.words))
        association.acse.send_reject(_REJECTED_PERMANENT, _BY_SERVICE_USER, rejection.diagnostic)
        association.kill()

    def _admit(self, association: Any) -> Rejection | None:
        request = association.requestor.primitive
        try:
            return self._callers.admit(request.calling_ae_title, request.called_ae_title, association.requestor.address)
        except Exception:  # the edge to the peer: a broken policy admits nobody
            _LOGGER.exception("the caller policy failed")
            return Rejection.CALLING_UNKNOWN

    def _negotiated(self, event: Any) -> dict[str, bytes]:
        """Answer SOP Class Extended Negotiation for the services (PS3.7 D.3.3.5)."""
        association = event.assoc
        proposed = {str(uid): bytes(information) for uid, information in event.app_info.items()}
        association.application_information = association.offer.negotiate(proposed)
        return dict(association.application_information)

    def _supported(
        self, association: AcceptedAssociation, proposed: list[PresentationContext]
    ) -> list[PresentationContext]:
        """Cut each proposed context to the one transfer syntax that we choose, and support just those.

        pynetdicom chooses by the acceptor's order and once per class; the choice here is per context.
        """
        offer, roles = association.offer, association.requestor.role_selection
        supported: dict[str, PresentationContext] = {}
        for context in proposed:
            abstract_syntax = str(context.abstract_syntax)
            taken = abstract_syntax == VERIFICATION or abstract_syntax in self._reception.storage_classes
            if not taken and not offer.takes(abstract_syntax):
                continue
            selects_role = abstract_syntax in offer.scu_of and abstract_syntax in roles
            chosen = offer.choose(
                abstract_syntax,
                [str(uid) for uid in context.transfer_syntax],
                peer_stores=selects_role and bool(roles[abstract_syntax].scp_role),
            )
            if chosen is None:
                continue
            context.transfer_syntax = [chosen]
            ours = supported.setdefault(abstract_syntax, PresentationContext())
            ours.abstract_syntax = abstract_syntax
            ours.add_transfer_syntax(chosen)
            if selects_role:
                # Whether the requestor may be SCU and SCP, as it asked for (PS3.7 D.3.3.4).
                ours.scu_role, ours.scp_role = True, True
        return list(supported.values())

    def _accepted(self, event: Any) -> None:
        self._tell(self._event(NodeEventKind.ASSOCIATION_ACCEPTED, event.assoc))

    def _limit_exceeded(self, event: Any) -> None:
        # What we reject ourselves does not pass here; pynetdicom rejects for this reason alone.
        self._tell(self._event(NodeEventKind.ASSOCIATION_REJECTED, event.assoc, "local limit exceeded"))

    def _closed(self, event: Any) -> None:
        self._tell(self._event(NodeEventKind.ASSOCIATION_CLOSED, event.assoc))

    @staticmethod
    def _event(kind: NodeEventKind, association: Any, reason: str = "") -> NodeEvent:
        request = association.requestor.primitive
        return NodeEvent(
            kind=kind,
            calling_ae_title=request.calling_ae_title if request else "",
            called_ae_title=request.called_ae_title if request else "",
            peer_address=association.requestor.address,
            reason=reason,
        )

    def _tell(self, event: NodeEvent) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:  # the edge: who watches must not end an association
            _LOGGER.exception("an event handler failed")

"""A DICOM node that listens: associations, presentation contexts, C-ECHO, and C-STORE through ``receiver``.

Everything else is plugged in: ``DicomNode(..., services=(…))``, see ``service_port``.
"""

from __future__ import annotations

import logging
import socket
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from pynetdicom import AE, _config, evt
from pynetdicom.pdu_primitives import AsynchronousOperationsWindowNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation

from dicom_nodes.accepted_association import AcceptedAssociation, ReceivePath
from dicom_nodes.acceptor import Acceptor
from dicom_nodes.admission import Admission
from dicom_nodes.callers import CallerPolicy, Rejection
from dicom_nodes.checked_uids import remember_checked_uids
from dicom_nodes.node_event import NodeEvent, NodeEventHandler, NodeEventKind
from dicom_nodes.object_sink import ObjectSink
from dicom_nodes.open_associations import OpenAssociations
from dicom_nodes.receiver import Reception
from dicom_nodes.served_request import caller_of
from dicom_nodes.service_port import DimseService
from dicom_nodes.service_table import STORAGE_SERVICE_CLASS, ServiceTable
from dicom_nodes.storage_classes import VERIFICATION, storage_classes
from dicom_nodes.user_identity import identity_response

_LOGGER = logging.getLogger(__name__)

IMPLEMENTATION_CLASS_UID: Final = "2.25.280318406542157203925563347218466134203"
IMPLEMENTATION_VERSION_NAME: Final = "ANNOGATE"

_REJECTED_AT_ONCE: Final = 64
_ACCEPTOR_END_S: Final = 1.0


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
    operations_window : objects that a peer may send before the first is answered, if it asks for that; fast path only
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
    operations_window: int = 16
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID
    implementation_version_name: str = IMPLEMENTATION_VERSION_NAME


class DicomNode:
    """A Verification and Storage SCP, and whatever ``services`` it is given.

    pynetdicom's two settings that log query identifiers are switched off, and UIDs that it has checked are remembered,
    for the whole process; nothing else of its global configuration is touched.

    Parameters
    ----------
    sink : takes the objects
    callers : decides who may call, and under which called titles
    on_event : told what happens, from the threads of associations; it must not block
    services : what else it answers, such as query/retrieve and storage commitment; see ``service_port``
    admission : what else is asked of callers: TLS, user identity, limits
    """

    def __init__(
        self,
        settings: NodeSettings,
        sink: ObjectSink,
        callers: CallerPolicy,
        on_event: NodeEventHandler | None = None,
        clock: Callable[[], float] = time.time,
        services: Iterable[DimseService] = (),
        admission: Admission | None = None,
    ) -> None:
        self._settings = settings
        self._admission = admission or Admission()
        self._services = ServiceTable(services)
        self._callers = callers
        self._on_event = on_event
        self._reception = Reception(
            sink, callers, storage_classes(settings.extra_storage_classes), self._tell, clock=clock
        )
        remember_checked_uids()
        _config.LOG_REQUEST_IDENTIFIERS = False
        _config.LOG_RESPONSE_IDENTIFIERS = False
        self._open = OpenAssociations()
        self._ae = self._application_entity()
        self._acceptors: list[Acceptor] = []
        self._address = (settings.host, settings.port)

    def start(self, listening_socket: socket.socket | None = None, *also: socket.socket) -> None:
        """Listen, on sockets that a parent process bound or on one of our own; returns at once.

        Raises
        ------
        OSError : the address cannot be bound
        """
        listening = listening_socket or self._bind()
        host, port = listening.getsockname()[:2]
        self._address = (str(host), int(port))
        self._acceptors = [Acceptor(one, self.serve) for one in (listening, *also)]
        for acceptor in self._acceptors:
            acceptor.start()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on, the first of several."""
        if not self._acceptors:
            raise RuntimeError("the node has not been started")
        return self._address

    @property
    def associations(self) -> list[AcceptedAssociation]:
        """Those that are open now."""
        return self._open.all()

    def stop(self, grace_s: float = 5.0) -> None:
        """Stop listening, abort what is open and wait for its threads; objects in progress are not acknowledged.

        Takes ``grace_s`` and two seconds at most, whatever peers and the sink do.
        """
        acceptors, self._acceptors = self._acceptors, []
        for acceptor in acceptors:
            acceptor.close(_ACCEPTOR_END_S)
        self._open.end(grace_s)
        self._reception.close()

    def serve(
        self,
        connection: socket.socket,
        peer: Any,
        *,
        over_limit: bool | None = None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """Serve a connection that was accepted here or in another process; returns at once.

        Parameters
        ----------
        peer : its address, as ``accept`` gives it
        over_limit : whether the association is to be rejected for "local limit exceeded"; None counts our own
        on_end : called once, from a thread of the association's, when the connection is closed again
        """
        if over_limit is None:
            over_limit = self._open.count(over_limit=False) >= self._settings.maximum_associations
        if over_limit and self._open.count(over_limit=True) >= _REJECTED_AT_ONCE:
            connection.close()
            on_end()
            return

        def ended(association: AcceptedAssociation) -> None:
            self._open.discard(association)
            if association.entered:
                self._admission.leave(association.entered)
            # Not by pynetdicom's event: an association that is cut from outside its state machine sends none.
            self._tell(self._event(NodeEventKind.ASSOCIATION_CLOSED, association))
            on_end()

        association = self._association(connection, peer, over_limit, ended)
        self._open.add(association)
        association.start()

    def _bind(self) -> socket.socket:
        host, port = self._settings.host, self._settings.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=self._settings.backlog)

    def _association(
        self,
        connection: socket.socket,
        peer: Any,
        over_limit: bool,
        on_end: Callable[[AcceptedAssociation], None],
    ) -> AcceptedAssociation:
        """Set up the association of one accepted connection, as pynetdicom's own handler does."""
        settings = self._settings
        association = AcceptedAssociation(
            self._ae, self._reception, settings.receive_path, over_limit=over_limit, on_end=on_end
        )
        own = AddressInformation.from_tuple(connection.getsockname())
        association.adopt(connection, settings.maximum_pdu_bytes, tls=self._admission.secures(connection))
        association.on_insecure = self._insecure
        association.acceptor.maximum_length = settings.maximum_pdu_bytes
        association.acceptor.ae_title = settings.ae_title
        association.acceptor.address_info = own
        association.acceptor.implementation_class_uid = self._ae.implementation_class_uid
        association.acceptor.implementation_version_name = self._ae.implementation_version_name
        association.requestor.address_info = AddressInformation.from_tuple(peer)
        association.bind(evt.EVT_REQUESTED, self._requested)
        association.bind(evt.EVT_SOP_EXTENDED, self._negotiated)
        association.bind(evt.EVT_ACCEPTED, self._accepted)
        return association

    def _application_entity(self) -> AE:
        settings = self._settings
        ae = AE(settings.ae_title)
        ae.maximum_associations = sys.maxsize  # they are counted here, and over all processes that receive
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
        rejection = self._admit(association) or self._identify(association) or self._enter(association)
        if rejection is not None:
            self._tell(self._event(NodeEventKind.ASSOCIATION_REJECTED, association, rejection.words))
            association.acse.send_reject(*rejection.answer)
            association.kill()
            return
        proposed = request.presentation_context_definition_list or []
        classes = {str(context.abstract_syntax) for context in proposed}
        association.offer = self._services.offered(caller_of(association), classes, self._related(association))
        association.acceptor.supported_contexts = self._supported(association, proposed)

    def _identify(self, association: AcceptedAssociation) -> Rejection | None:
        """Decide over the user, and confirm it where the caller asked for that."""
        negotiated = association.requestor.user_identity
        verdict = self._admission.verify(caller_of(association), negotiated)
        if isinstance(verdict, Rejection):
            return verdict
        if verdict and negotiated is not None and negotiated.positive_response_requested:
            association.acceptor.add_negotiation_item(identity_response())
        self._agree_on_window(association)
        return None

    def _agree_on_window(self, association: AcceptedAssociation) -> None:
        """Let a peer that asks for it send several objects before the first is answered (PS3.7 D.3.3.3).

        We ourselves never have more than one operation outstanding. Without an item in the answer it is one each way.
        """
        asked, _ = association.requestor.asynchronous_operations
        if asked == 1 or self._settings.receive_path != "fast":
            return
        window = min(asked or self._settings.operations_window, self._settings.operations_window)
        item = AsynchronousOperationsWindowNegotiation()
        item.maximum_number_operations_invoked = window
        item.maximum_number_operations_performed = 1
        association.acceptor.add_negotiation_item(item)
        association.dimse.pipeline(window)

    def _enter(self, association: AcceptedAssociation) -> Rejection | None:
        """Count the association among those of all callers, and of this one."""
        if association.over_limit:
            return Rejection.TOO_MANY_AT_ONCE
        calling = str(association.requestor.primitive.calling_ae_title)
        rejection = self._admission.enter(calling)
        if rejection is None:
            association.entered = calling
        return rejection

    def _admit(self, association: Any) -> Rejection | None:
        caller = caller_of(association)
        try:
            return self._callers.admit(caller.calling_ae_title, caller.called_ae_title, caller.address)
        except Exception:  # the edge to the peer: a broken policy admits nobody
            _LOGGER.exception("the caller policy failed")
            return Rejection.CALLING_UNKNOWN

    def _negotiated(self, event: Any) -> dict[str, bytes]:
        """Answer SOP Class Extended Negotiation for the services (PS3.7 D.3.3.5)."""
        association = event.assoc
        proposed = {str(uid): bytes(information) for uid, information in event.app_info.items()}
        association.application_information = association.offer.negotiate(proposed)
        return dict(association.application_information)

    def _related(self, association: AcceptedAssociation) -> frozenset[str]:
        """Classes that we do not know, and that the caller says to be stored like one that we do (PS3.7 D.3.3.6)."""
        items = association.requestor.sop_class_common_extended
        return frozenset(
            str(uid)
            for uid, item in items.items()
            if item.service_class_uid == STORAGE_SERVICE_CLASS
            and self._reception.storage_classes.intersection(map(str, item.related_general_sop_class_identification))
        )

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
            if not taken and not offer.takes(abstract_syntax) and abstract_syntax not in offer.stored:
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

    def _insecure(self, association: Any, words: str) -> None:
        """A connection that should have been secured was not."""
        self._tell(self._event(NodeEventKind.ASSOCIATION_REJECTED, association, f"TLS: {words}"))

    def _accepted(self, event: Any) -> None:
        self._tell(self._event(NodeEventKind.ASSOCIATION_ACCEPTED, event.assoc))

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

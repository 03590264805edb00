"""pynetdicom's association with its two threads asleep until something happens, not polling.

pynetdicom 3 drives an association by two threads: the upper layer (DUL) reads and writes PDUs, the reactor serves
requests. Each looks around every millisecond, which costs every object some milliseconds and every idle association
2,000 wake-ups a second. The subclasses here keep its state machine and its negotiation, and replace the waiting.
They rest on these names of pynetdicom 3.0: ``DULServiceProvider._run_loop_delay``, ``to_provider_queue``,
``to_user_queue``, ``Association._reactor_checkpoint``, ``Association._bind_defaults``.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import TRANSITION_TABLE
from pynetdicom.pdu_primitives import A_ABORT, A_ASSOCIATE, A_P_ABORT, A_RELEASE, P_DATA

from dicom_nodes.association_socket import EventDrivenSocket, set_no_delay
from dicom_nodes.errors import GatewayError
from dicom_nodes.tls import TlsAcceptor, words_of
from dicom_nodes.wakeable import ActivityCheckpoint, WakeSignal, WakingQueue

_LOGGER = logging.getLogger(__name__)

# Timers (ARTIM, idle, kill) are looked at this often; they are all of whole seconds.
REST_S: Final = 0.25
_NAP_S: Final = 0.0001
_LAST_NAP_S: Final = 0.005
_KILL_POLL_S: Final = 0.005
_THREAD_END_S: Final = 5.0
_LONGEST_END_S: Final = 30.0
_IDLE: Final = "Sta1"  # PS3.8 Table 9-1
_AWAITING_CLOSE: Final = "Sta13"
_A_ABORT_PDU: Final = 7
_DROPPED_BYTES: Final = 64 * 1024
# The events of primitives by their kind, and of those that ask or answer by their result (PS3.8 Table 9-8).
_EVENTS: Final = {P_DATA: "Evt9", A_ABORT: "Evt15", A_P_ABORT: "Evt15"}
_ASKED_OR_ANSWERED: Final = {A_ASSOCIATE: ("Evt1", "Evt7", "Evt8"), A_RELEASE: ("Evt11", "Evt14", "Evt14")}


class EventDrivenUpperLayer(DULServiceProvider):  # type: ignore[misc]
    """The upper layer of one association; ends its part of the association when it ends itself."""

    def __init__(self, assoc: NodeAssociation) -> None:
        super().__init__(assoc)
        self.wake = WakeSignal()
        self.to_provider_queue = WakingQueue(self.wake.set)
        self.to_user_queue = WakingQueue(assoc.notice)
        self._run_loop_delay = _NAP_S
        self._left_idle = False
        self.daemon = True  # a peer that stalls must not hold the process

    def run_reactor(self) -> None:
        """Run until the association is over, then let everything know that waits for it."""
        try:
            self.assoc.secure_connection()
            super().run_reactor()
        except Exception as error:  # noqa: BLE001 -- the edge to the peer; its words may quote a value of the peer's
            _LOGGER.warning("association ended: %s", type(error).__name__)
            self._give_up()
        finally:
            self.take_back()
            self.assoc.upper_layer_ended()
            self.wake.close()

    def take_back(self) -> None:
        """Be the only one who reads from the connection; of those that may be lent to another thread."""

    def _give_up(self) -> None:
        """Close the connection where the state machine cannot go on: left open, it would hold its place."""
        self.assoc.is_aborted, self.assoc.is_established = True, False
        self.assoc._kill = self._kill_thread = True
        if self.socket is not None:
            self.socket.close()

    def _decode_pdu(self, bytestream: bytearray) -> Any:
        """Decode a PDU; an A-ABORT whose source or reason is none is as invalid as one that cannot be read.

        The state machine would otherwise fail on it, which only then looks at them (PS3.8 9.3.8).

        Raises
        ------
        ValueError : the PDU is invalid; it is answered as such (PS3.8 Table 9-10, Evt19)
        """
        pdu, event = super()._decode_pdu(bytestream)
        if bytestream[0] == _A_ABORT_PDU:
            pdu.to_primitive()
        return pdu, event

    def _process_recv_primitive(self) -> bool:
        """Take the next primitive of our own, after what has happened; drop what came too late for the state."""
        if self.event_queue.queue:
            return True
        waiting = self.to_provider_queue.queue
        event = _event_of(waiting[0]) if waiting else None
        if event is not None and (event, self.state_machine.current_state) not in TRANSITION_TABLE:
            self.to_provider_queue.get(block=False)
            return False
        return bool(super()._process_recv_primitive())

    def _is_transport_event(self) -> bool:
        """Read what came; once back in the idle state there is nothing to wait for but the end."""
        idle = self.state_machine.current_state == _IDLE
        if idle and self._left_idle:
            self.assoc.transport_closed()
            time.sleep(_LAST_NAP_S)
            return False
        self._left_idle = self._left_idle or not idle
        if self.state_machine.current_state == _AWAITING_CLOSE and self.socket.socket is not None:
            return self._await_close(self.socket)
        return bool(super()._is_transport_event())

    def _await_close(self, connection: EventDrivenSocket) -> bool:
        """Drop what still comes, unread: it may be no PDU at all. The ARTIM timer bounds it (PS3.8 9.1.4)."""
        try:
            count = connection.receive(memoryview(bytearray(_DROPPED_BYTES)))
        except (OSError, ValueError):  # ValueError: closed by another thread between two calls
            count = 0
        if not count:
            connection.close()
        return True

    def kill_dul(self) -> None:
        """End the thread, at once if it waits for data."""
        super().kill_dul()
        self.wake.set()


class NodeAssociation(Association):  # type: ignore[misc]
    """An association that sleeps until there is something to do.

    Binds none of pynetdicom's logging handlers: they describe each PDU, and some of them would show identifiers.
    """

    def __init__(self, ae: Any, mode: str, upper_layer: type[EventDrivenUpperLayer] = EventDrivenUpperLayer) -> None:
        super().__init__(ae, mode)
        self._reactor_checkpoint = self._checkpoint = ActivityCheckpoint(REST_S)
        self._checkpoint.set()
        self._tls: TlsAcceptor | None = None
        self.on_insecure: Callable[[NodeAssociation, str], None] = lambda *_: None
        """Told why a connection could not be secured."""
        self.dul = upper_layer(self)
        # The timers of the upper layer are set through these, and it is a new one.
        self.acse_timeout = ae.acse_timeout
        self.network_timeout = ae.network_timeout

    def adopt(
        self,
        connection: socket.socket | None,
        maximum_pdu_bytes: int,
        address: Any = None,
        *,
        tls: TlsAcceptor | None = None,
    ) -> None:
        """Give the association its socket: an accepted ``connection``, or one yet to connect, bound to ``address``.

        Parameters
        ----------
        tls : secures an accepted connection, in the thread of the upper layer
        """
        self._tls = tls
        if connection is not None:
            set_no_delay(connection)
        wrapped = EventDrivenSocket(
            self, self.dul.wake, REST_S, maximum_pdu_bytes, client_socket=connection, address=address
        )
        if connection is None:
            set_no_delay(wrapped.socket)
        self.set_socket(wrapped)

    def secure_connection(self) -> None:
        """Make the TLS handshake of an accepted connection; one that fails is closed, and its end told."""
        if self._tls is None:
            return
        try:
            self.dul.socket.secure(self._tls.context(), self.acse_timeout)
        except GatewayError as error:
            words = str(error)
        except OSError as error:
            words = words_of(error)
        else:
            return
        self.on_insecure(self, words)
        self.dul.socket.close()

    def kill(self) -> None:
        """End both threads once the connection is closed; pynetdicom waits for that without an end.

        A peer has the time of the ARTIM timer to close its side (PS3.8 9.1.4), then the connection is cut.
        """
        self._kill = True
        self._checkpoint.set()
        self.is_established = False
        deadline = time.monotonic() + (_LONGEST_END_S if self.acse_timeout is None else self.acse_timeout)
        while self.dul.is_alive() and self.dul.state_machine.current_state != _IDLE:
            if time.monotonic() > deadline:
                self.dul.socket._shutdown_socket()
                break
            time.sleep(_KILL_POLL_S)
        self.dul.kill_dul()
        if self.dul is not threading.current_thread() and self.dul.is_alive():
            self.dul.join(_THREAD_END_S)

    def notice(self) -> None:
        """Something happened that the reactor wants to see."""
        self._checkpoint.notice()

    def transport_closed(self) -> None:
        """The connection is gone and the state machine idle again; may be said more than once."""

    def upper_layer_ended(self) -> None:
        """The upper layer has ended: no further PDU comes or goes."""
        self._checkpoint.notice()

    def _bind_defaults(self) -> None:
        for event in evt._INTERVENTION_EVENTS:
            self.bind(event, evt.get_default_handler(event))


def _event_of(primitive: Any) -> str | None:
    """The event that a primitive of ours is; it comes too late when the connection has ended or broken meanwhile."""
    if type(primitive) in _ASKED_OR_ANSWERED:
        asked, affirmed, denied = _ASKED_OR_ANSWERED[type(primitive)]
        return asked if primitive.result is None else denied if primitive.result else affirmed
    return _EVENTS.get(type(primitive))

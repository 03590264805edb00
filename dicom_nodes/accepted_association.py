"""One association that a peer opened with us, from the accepted connection to its end."""

from __future__ import annotations

import queue
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Literal

from pynetdicom import AE
from pynetdicom._globals import MODE_ACCEPTOR

from dicom_nodes.data_transfer import DataTransferUpperLayer
from dicom_nodes.receiver import Reception, StoreReceiver
from dicom_nodes.served_request import is_served, serve
from dicom_nodes.service_table import Offer
from dicom_nodes.upper_layer import EventDrivenUpperLayer, NodeAssociation

ReceivePath = Literal["fast", "pynetdicom"]
_UPPER_LAYERS: Final[dict[ReceivePath, type[EventDrivenUpperLayer]]] = {
    "fast": DataTransferUpperLayer,
    "pynetdicom": EventDrivenUpperLayer,
}


class AcceptedAssociation(NodeAssociation):
    """An association that a peer opened with us.

    Parameters
    ----------
    over_limit : there are as many associations as there may be; this one is to be told so and rejected
    on_end : called once when it is over and its connection closed
    """

    def __init__(
        self,
        ae: AE,
        reception: Reception,
        receive_path: ReceivePath,
        *,
        over_limit: bool,
        on_end: Callable[[AcceptedAssociation], None],
    ) -> None:
        super().__init__(ae, MODE_ACCEPTOR, _UPPER_LAYERS[receive_path])
        self.name = f"AcceptorThread@{datetime.now():%Y%m%d%H%M%S}"
        self.daemon = True  # a peer that stalls must not hold the process
        self.dimse = StoreReceiver(self, reception)
        self.receive_loop = reception.loop
        self.over_limit = over_limit
        self.entered = ""
        """The calling AE title among whose associations it is counted."""
        self._on_end = on_end
        self.offer = Offer()
        """What the caller may use of the node's services; known once it has proposed its contexts."""
        self.application_information: dict[str, bytes] = {}
        """By SOP class, what extended negotiation came to."""

    def run_reactor(self) -> None:
        """Negotiate and serve to the end, then close what is left open."""
        try:
            super().run_reactor()
        finally:
            self.close_connection()
            self._on_end(self)

    def close_connection(self) -> None:
        """Close it under whoever still uses it."""
        connection = self.dul.socket
        if connection is not None:
            connection._shutdown_socket()

    def stop_threads(self) -> None:
        """Tell both threads to end, whatever the peer does; does not wait."""
        self._kill = True
        self.close_connection()
        self.dul.kill_dul()
        self._checkpoint.set()
        if self.requestor.primitive is None:
            self.dul.to_user_queue.put(None)  # it waits for an A-ASSOCIATE-RQ

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

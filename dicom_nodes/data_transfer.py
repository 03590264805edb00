"""The hot path: an association's P-DATA read by a loop of our own once pynetdicom has negotiated it.

While the state machine is in Sta6 (PS3.8 9.2.1) and nothing of ours waits to be sent through it, bytes are received
into a reused buffer, many PDUs at a time, and values are handed on as views of it. Any other PDU is put back for
pynetdicom to read, so release, abort and whatever has no place in Sta6 take the ways that they always took.

An association that sends objects, and has sent nothing else, lends its connection to the node's `ReceiveLoop`; the
thread of its upper layer sleeps meanwhile.
"""

from __future__ import annotations

import time
from typing import Any, Final

from dicom_nodes.association_socket import EventDrivenSocket
from dicom_nodes.pdata_parser import P_DATA_TF, PDataParser
from dicom_nodes.upper_layer import REST_S, EventDrivenUpperLayer

_BUFFER_BYTES: Final = 64 * 1024
_DATA_TRANSFER: Final = "Sta6"
_CLOSED: Final = "Evt17"


class DataTransferUpperLayer(EventDrivenUpperLayer):
    """An upper layer that reads P-DATA by itself; its association's DIMSE provider is a `DimseStream`."""

    def __init__(self, assoc: Any) -> None:
        super().__init__(assoc)
        self.descriptor = -1
        self._parser: PDataParser | None = None
        self._buffer = memoryview(b"")
        self._rest = b""
        """The start of a header that was not all there."""
        self._pdus = 0
        self._pdu_since = 0.0
        self._is_lent = False
        self._foreign = False
        """Whether the next PDU is none of ours to read."""

    def turn(self, buffer: memoryview) -> bool:
        """Receive once, in the thread of the loop that the connection is lent to; whether that goes on."""
        connection, parser = self.socket, self._parser
        if connection is None or parser is None or self._kill_thread:
            return False
        self._receive(connection, parser, buffer, wait=False)
        return bool(self.assoc.dimse.only_stores) and not (self._foreign or self.event_queue.queue)

    @property
    def unseen(self) -> bool:
        """Whether there is something to read that poll(2) does not tell of."""
        return self.socket is not None and self.socket.unseen

    def given_back(self) -> None:
        """Go on in our own thread."""
        self.wake.set()

    def _is_transport_event(self) -> bool:
        """Read what came; in Sta6 as long as it is P-DATA and there is nothing else to do."""
        if self.state_machine.current_state != _DATA_TRANSFER or self.socket is None or self.socket.socket is None:
            self.take_back()
            return super()._is_transport_event()
        return self._transfer(self.socket)

    def _process_recv_primitive(self) -> bool:
        """Take the next primitive; whatever it does to the connection, nobody else reads from it then."""
        if self.event_queue.queue or self.to_provider_queue.queue:
            self.take_back()
        return super()._process_recv_primitive()

    def take_back(self) -> None:
        """Be the only one again who reads from the connection, and hand on what its loop had to leave."""
        if not self._is_lent:
            return
        self.assoc.receive_loop.take_back(self)
        self._is_lent = False
        if self.socket is not None:
            self.socket.is_lent = False
        self.assoc.dimse.take_back()

    def _transfer(self, connection: EventDrivenSocket) -> bool:
        parser = self._parser or self._begin(connection)
        if self.assoc.dimse.only_stores and not connection.unseen:
            return self._sleep(connection)
        self._buffer = self._buffer or memoryview(bytearray(_BUFFER_BYTES))
        received = False
        while not (self._kill_thread or self.to_provider_queue.queue or self.event_queue.queue):
            came = self._receive(connection, parser, self._buffer, wait=True)
            received = received or came
            if self._foreign:
                self._read_foreign()
                break
            if not came or (self.assoc.dimse.only_stores and not connection.unseen):
                break
        return received

    def _sleep(self, connection: EventDrivenSocket) -> bool:
        """Leave the reading to the loop until there is something to do here."""
        if not self._is_lent:
            self._buffer = memoryview(b"")
            self.descriptor = connection.fileno()
            self._is_lent = connection.is_lent = True
            self.assoc.dimse.lend()
            try:
                self.assoc.receive_loop.lend(self)
            except (OSError, ValueError):  # closed by another thread
                self.take_back()
                self.event_queue.put(_CLOSED)
                return False
        self.wake.wait(0.0 if self.event_queue.queue else REST_S)
        if self._foreign or not self.assoc.dimse.only_stores:
            self.take_back()
            if self._foreign:
                self._read_foreign()
        return False

    def _read_foreign(self) -> None:
        """Have pynetdicom read the next PDU, once every object before it is answered for."""
        self._foreign = False
        self.assoc.dimse.drain(self.network_timeout)
        self._read_pdu_data()

    def _begin(self, connection: EventDrivenSocket) -> PDataParser:
        self._parser = PDataParser(self.assoc.dimse.receive, connection.longest_pdu)
        self._pdu_since = time.monotonic()  # the first PDU may come in pieces as well
        return self._parser

    def _receive(self, connection: EventDrivenSocket, parser: PDataParser, buffer: memoryview, *, wait: bool) -> bool:
        """Receive once and hand on what is whole; whether anything came."""
        held = len(self._rest)
        buffer[:held] = self._rest
        try:
            count = connection.receive(buffer[held:], wait=wait)
        except (OSError, ValueError):  # ValueError: closed by another thread between two calls
            count = 0
        if count == 0:
            self.event_queue.put(_CLOSED)
            return False
        if count:
            self._idle_timer.restart()
            self._take(connection, parser, buffer[: held + count])
        self._refuse_dribbling(parser)
        return count is not None

    def _take(self, connection: EventDrivenSocket, parser: PDataParser, received: memoryview) -> None:
        """Hand on what is whole, and keep the rest for when more has come."""
        try:
            rest = received[parser.feed(received) :]
        except Exception as error:  # noqa: BLE001 -- the edge to the peer: answered by A-ABORT, invalid PDU
            self.assoc.dimse.violated(error)
            self._rest = b""
            return
        if rest and parser.between_pdus and rest[0] != P_DATA_TF:
            connection.keep(rest)
            self._rest = b""
            self._foreign = True
        else:
            self._rest = bytes(rest)

    def _refuse_dribbling(self, parser: PDataParser) -> None:
        """End an association whose peer takes for one PDU as long as it may be silent."""
        if parser.pdus != self._pdus or (parser.between_pdus and not self._rest):
            self._pdus = parser.pdus
            self._pdu_since = time.monotonic()
        elif self.network_timeout is not None and time.monotonic() - self._pdu_since > self.network_timeout:
            self.assoc.dimse.violated(TimeoutError())

"""The hot path: an association's P-DATA read by a loop of our own once pynetdicom has negotiated it.

While the state machine is in Sta6 (PS3.8 9.2.1) and nothing of ours waits to be sent through it, bytes are received
into one reused buffer, many PDUs at a time, and values are handed on as views of it. Any other PDU is put back for
pynetdicom to read, so release, abort and whatever has no place in Sta6 take the ways that they always took.
"""

from __future__ import annotations

import time
from typing import Any, Final

from dicom_nodes.association_socket import EventDrivenSocket
from dicom_nodes.pdata_parser import P_DATA_TF, PDataParser
from dicom_nodes.upper_layer import EventDrivenUpperLayer

_BUFFER_BYTES: Final = 256 * 1024
_DATA_TRANSFER: Final = "Sta6"
_CLOSED: Final = "Evt17"


class DataTransferUpperLayer(EventDrivenUpperLayer):
    """An upper layer that reads P-DATA by itself; its association's DIMSE provider is a `DimseStream`."""

    def __init__(self, assoc: Any) -> None:
        super().__init__(assoc)
        self._parser: PDataParser | None = None
        self._buffer = memoryview(b"")
        self._filled = 0
        self._pdus = 0
        self._pdu_since = 0.0

    def _is_transport_event(self) -> bool:
        """Read what came; in Sta6 as long as it is P-DATA and there is nothing else to do."""
        if self.state_machine.current_state != _DATA_TRANSFER or self.socket is None or self.socket.socket is None:
            return super()._is_transport_event()
        return self._transfer(self.socket)

    def _transfer(self, connection: EventDrivenSocket) -> bool:
        parser = self._parser or self._begin(connection)
        received = False
        while not (self._kill_thread or self.to_provider_queue.queue or self.event_queue.queue):
            try:
                count = connection.receive(self._buffer[self._filled :])
            except (OSError, ValueError):  # ValueError: closed by another thread between two calls
                count = 0
            if count == 0:
                self.event_queue.put(_CLOSED)
                break
            if count:
                received = True
                self._idle_timer.restart()
                self._take(connection, parser, self._filled + count)
            self._refuse_dribbling(parser)
            if count is None:
                break
        return received

    def _begin(self, connection: EventDrivenSocket) -> PDataParser:
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._parser = PDataParser(self.assoc.dimse.receive, connection.longest_pdu)
        self._pdu_since = time.monotonic()  # the first PDU may come in pieces as well
        return self._parser

    def _take(self, connection: EventDrivenSocket, parser: PDataParser, end: int) -> None:
        """Hand on what is whole, and keep the rest for when more has come."""
        try:
            taken = parser.feed(self._buffer[:end])
        except Exception as error:  # noqa: BLE001 -- the edge to the peer: answered by A-ABORT, invalid PDU
            self.assoc.dimse.violated(error)
            self._filled = 0
            return
        left = end - taken
        if left and parser.between_pdus and self._buffer[taken] != P_DATA_TF:
            connection.keep(self._buffer[taken:end])
            self._filled = 0
            self.assoc.dimse.drain(self.network_timeout)
            self._read_pdu_data()
            return
        if left and taken:
            self._buffer[:left] = self._buffer[taken:end]
        self._filled = left

    def _refuse_dribbling(self, parser: PDataParser) -> None:
        """End an association whose peer takes for one PDU as long as it may be silent."""
        if parser.pdus != self._pdus or (parser.between_pdus and not self._filled):
            self._pdus = parser.pdus
            self._pdu_since = time.monotonic()
        elif self.network_timeout is not None and time.monotonic() - self._pdu_since > self.network_timeout:
            self.assoc.dimse.violated(TimeoutError())

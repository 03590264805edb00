"""DIMSE messages as they come off the wire, fragment by fragment, in place of pynetdicom's whole messages.

What a subclass wants to see it takes as a stream; every other message goes to pynetdicom, whole, as ever.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.pdu_primitives import P_DATA

from dicom_nodes.command_set import CommandSet, CommandSetInvalid, decode_command_set
from dicom_nodes.pdata import COMMAND, LAST, message_parts
from dicom_nodes.upper_layer import NodeAssociation
from dicom_nodes.wakeable import WakingQueue

__all__ = ["COMMAND", "LAST", "DimseStream", "ProtocolViolated"]

_LOGGER = logging.getLogger(__name__)

# A command set is a few hundred bytes; one that does not end is an attack.
_LONGEST_COMMAND: Final = 64 * 1024
# Held in memory whole: an identifier is some hundred bytes, a request to commit 100,000 objects some MiB.
_LONGEST_MESSAGE: Final = 64 * 1024 * 1024
_MOST_WAITING: Final = 64
_ROOM_POLL_S: Final = 0.01
_TRANSPORT_CLOSED: Final = "Evt17"
_INVALID_PDU: Final = "Evt19"


class ProtocolViolated(Exception):
    """Fragments in an order that no message has; the association is aborted."""


class DimseStream(DIMSEServiceProvider):  # type: ignore[misc]
    """Takes P-DATA fragments, in the thread of the upper layer or of the loop that the connection is lent to."""

    def __init__(self, assoc: NodeAssociation) -> None:
        super().__init__(assoc)
        self.msg_queue = WakingQueue(assoc.notice)
        self.only_stores = False
        """Whether the peer has sent messages that a subclass took, and no others."""
        self._others = False
        self._aside: list[tuple[int, int, bytes]] | None = None
        """While lent: what came from the first message on that is not ours."""
        self._command = bytearray()
        self._passing_on = False
        self._passed_bytes = 0

    def takes(self, context_id: int, command: CommandSet) -> bool:
        """Whether this message is ours; if it has a data set, ``fragment`` follows."""
        raise NotImplementedError

    def fragment(self, data: memoryview, *, last: bool) -> None:
        """Take the next fragment of the data set of the message that we took."""
        raise NotImplementedError

    @property
    def in_data_set(self) -> bool:
        """Whether fragments of a data set of ours are to come."""
        raise NotImplementedError

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take one P-DATA; called by the state machine. Never raises: that would end the upper layer's thread."""
        try:
            if not primitive.presentation_data_value_list:
                raise ProtocolViolated("a P-DATA-TF PDU without an item")  # noqa: TRY301 -- one edge
            for context_id, value in primitive.presentation_data_value_list:
                if not value:
                    raise ProtocolViolated("a fragment without a message control header")  # noqa: TRY301 -- one edge
                self.receive(context_id, value[0], memoryview(value)[1:])
        except Exception as error:  # noqa: BLE001 -- the edge to the peer: answered by A-ABORT, invalid PDU
            self.violated(error)

    def lend(self) -> None:
        """Be called from a thread that others need too: what could wait is put aside."""
        self._aside = []

    def take_back(self) -> None:
        """Be called from the upper layer's own thread again, and see to what was put aside."""
        aside, self._aside = self._aside, None
        try:
            for context_id, control, value in aside or ():
                self.receive(context_id, control, memoryview(value))
        except Exception as error:  # noqa: BLE001 -- the edge to the peer: answered by A-ABORT, invalid PDU
            self.violated(error)

    def violated(self, error: Exception) -> None:
        """Have the upper layer abort the association; our own words only: pynetdicom's may quote the peer's values."""
        words = str(error) if isinstance(error, ProtocolViolated | CommandSetInvalid) else type(error).__name__
        _LOGGER.warning("association aborted: %s", words)
        self.dul.event_queue.put(_INVALID_PDU)

    def send_command(self, context_id: int, command: bytes, *, wait: bool = True) -> None:
        """Send a message without a data set, now and by one call; not through the queue of the upper layer.

        There it would wait until the fragments that are at hand are worked through, and so for whoever is told of the
        object. A peer that does not take it has gone or stalls: its association ends.

        Parameters
        ----------
        wait : for a peer that does not read just now; not in a thread that serves other associations too
        """
        bursts = message_parts(context_id, command, None, self.assoc.requestor.maximum_length)
        try:
            self.dul.socket.send_parts([b"".join(part for parts in bursts for part in parts)], wait=wait)
        except OSError:
            self.dul.event_queue.put(_TRANSPORT_CLOSED)

    def receive(self, context_id: int, control: int, value: memoryview) -> None:
        """Take a fragment, or a piece of one; the view need not outlive the call.

        Raises
        ------
        ProtocolViolated, CommandSetInvalid : no message has fragments in this order
        """
        if self._aside:
            self._aside.append((context_id, control, bytes(value)))
        elif self._passing_on:
            self._pass_on(context_id, control, value)
        elif control & COMMAND:
            self._receive_command(context_id, value, last=bool(control & LAST))
        elif self.in_data_set:
            self.fragment(value, last=bool(control & LAST))
        else:
            raise ProtocolViolated("a fragment of a data set without a command set")

    def _receive_command(self, context_id: int, value: memoryview, *, last: bool) -> None:
        if self.in_data_set:
            raise ProtocolViolated("a command set in the middle of a data set")
        self._command += value
        if len(self._command) > _LONGEST_COMMAND:
            raise ProtocolViolated("a command set without an end")
        if not last:
            return
        encoded = bytes(self._command)
        self._command.clear()
        if self.takes(context_id, decode_command_set(encoded)):
            self.only_stores = not self._others
        else:
            self._pass_on(context_id, COMMAND | LAST, encoded)

    def _pass_on(self, context_id: int, control: int, value: bytes | memoryview) -> None:
        self._others, self.only_stores = True, False
        if self._aside is not None:
            self._aside.append((context_id, control, bytes(value)))
            return
        self._await_room()
        self._passed_bytes += len(value)
        if self._passed_bytes > _LONGEST_MESSAGE:
            raise ProtocolViolated("a message that is no object and does not end")
        primitive = P_DATA()
        primitive.presentation_data_value_list = [[context_id, b"".join((bytes((control,)), value))]]
        super().receive_primitive(primitive)
        self._passing_on = self.message is not None
        if not self._passing_on:
            self._passed_bytes = 0

    def _await_room(self) -> None:
        """Read no further while many messages wait to be answered: a peer may send them without end."""
        while self.msg_queue.qsize() >= _MOST_WAITING and not (self.assoc._kill or self.dul._kill_thread):
            time.sleep(_ROOM_POLL_S)

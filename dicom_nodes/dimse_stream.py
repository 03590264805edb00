"""DIMSE messages as they come off the wire, fragment by fragment, in place of pynetdicom's whole messages.

What a subclass wants to see it takes as a stream; every other message goes to pynetdicom, whole, as ever.
"""

from __future__ import annotations

import logging
from typing import Final

from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import P_DATA

from dicom_nodes.command_set import CommandSet, CommandSetInvalid, decode_command_set
from dicom_nodes.upper_layer import NodeAssociation
from dicom_nodes.wakeable import WakingQueue

_LOGGER = logging.getLogger(__name__)

# Message Control Header (PS3.8 E.2).
COMMAND: Final = 0x01
LAST: Final = 0x02
# A command set is a few hundred bytes; one that does not end is an attack.
_LONGEST_COMMAND: Final = 64 * 1024
_INVALID_PDU: Final = "Evt19"


class ProtocolViolated(Exception):
    """Fragments in an order that no message has; the association is aborted."""


class DimseStream(DIMSEServiceProvider):  # type: ignore[misc]
    """Takes P-DATA fragments in the thread of the upper layer."""

    def __init__(self, assoc: NodeAssociation) -> None:
        super().__init__(assoc)
        self.msg_queue = WakingQueue(assoc.notice)
        self._command = bytearray()
        self._passing_on = False

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
            for context_id, value in primitive.presentation_data_value_list:
                self._receive(context_id, value)
        except Exception as error:  # noqa: BLE001 -- the edge to the peer: answered by A-ABORT, invalid PDU
            # Our own words only: pynetdicom's may quote the peer's values.
            words = str(error) if isinstance(error, ProtocolViolated | CommandSetInvalid) else type(error).__name__
            _LOGGER.warning("association aborted: %s", words)
            self.dul.event_queue.put(_INVALID_PDU)

    def send_command(self, context_id: int, command: bytes) -> None:
        """Send a message without a data set, in one PDU, now; only from the thread of the upper layer.

        Through the queue it would wait until we return, and so for whoever is told of the object.
        """
        primitive = P_DATA()
        primitive.presentation_data_value_list = [[context_id, bytes((COMMAND | LAST,)) + command]]
        self.dul._send(P_DATA_TF(primitive))

    def _receive(self, context_id: int, value: bytes) -> None:
        if not value:
            raise ProtocolViolated("a fragment without a message control header")
        control = value[0]
        if self._passing_on:
            self._pass_on(context_id, value)
        elif control & COMMAND:
            self._receive_command(context_id, value, last=bool(control & LAST))
        elif self.in_data_set:
            self.fragment(memoryview(value)[1:], last=bool(control & LAST))
        else:
            raise ProtocolViolated("a fragment of a data set without a command set")

    def _receive_command(self, context_id: int, value: bytes, *, last: bool) -> None:
        if self.in_data_set:
            raise ProtocolViolated("a command set in the middle of a data set")
        self._command += value[1:]
        if len(self._command) > _LONGEST_COMMAND:
            raise ProtocolViolated("a command set without an end")
        if not last:
            return
        encoded = bytes(self._command)
        self._command.clear()
        if not self.takes(context_id, decode_command_set(encoded)):
            self._pass_on(context_id, bytes((COMMAND | LAST,)) + encoded)

    def _pass_on(self, context_id: int, value: bytes) -> None:
        primitive = P_DATA()
        primitive.presentation_data_value_list = [[context_id, value]]
        super().receive_primitive(primitive)
        self._passing_on = self.message is not None

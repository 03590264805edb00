"""P-DATA-TF PDUs read from a stream of bytes (PS3.8 9.3.5)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from dicom_nodes.dimse_stream import LAST, ProtocolViolated

P_DATA_TF: Final = 0x04
_PDU: Final = struct.Struct(">BxL")
_ITEM: Final = struct.Struct(">LBB")
_PDU_AND_ITEM: Final = struct.Struct(">BxLLBB")
_CONTEXT_AND_CONTROL: Final = 2  # Item-length counts them with the value (PS3.8 Table 9-23)

Fragment = Callable[[int, int, memoryview], None]
"""Takes context ID, Message Control Header and value; the value is a view that does not outlive the call."""


class PDataParser:
    """Takes bytes as they are received, in any portions, and hands values on at once.

    A value that is not all there yet is handed on in pieces; only the last piece of a last fragment says so in its
    Message Control Header. Whoever joins fragments therefore sees the same message, however the bytes came.

    Parameters
    ----------
    longest_pdu : what we announced; a PDU longer than that is not taken (PS3.8 D.1)
    """

    def __init__(self, on_fragment: Fragment, longest_pdu: int) -> None:
        self._on_fragment = on_fragment
        self._longest_pdu = longest_pdu
        self.pdus = 0
        """PDUs begun so far."""
        self._pdu_left = 0
        self._value_left = 0
        self._in_value = False
        self._context_id = 0
        self._control = 0

    @property
    def between_pdus(self) -> bool:
        """Whether the next byte is the first of a PDU."""
        return not self._pdu_left

    def feed(self, data: memoryview) -> int:
        """Take what is whole; how many bytes that is.

        It stops before a header that is not all there, and before a PDU that is not P-DATA-TF.

        Raises
        ------
        ProtocolViolated : a length that cannot be
        """
        position, end = 0, len(data)
        while position < end:
            if self._in_value:
                position = self._value(data, position)
            elif self._pdu_left:
                if end - position < _ITEM.size:
                    break
                self._begin_item(*_ITEM.unpack_from(data, position))
                position += _ITEM.size
                if not self._value_left:
                    self._value(data, position)
            elif (after := self._whole_pdus(data, position)) > position:
                position = after
            else:
                if data[position] != P_DATA_TF or end - position < _PDU.size:
                    break
                self._begin_pdu(_PDU.unpack_from(data, position)[1])
                position += _PDU.size
        return position

    def _whole_pdus(self, data: memoryview, position: int) -> int:
        """Take the usual PDUs, of one item each and whole; fragments of one data set are handed on by one call."""
        end = len(data)
        values: list[memoryview] = []
        of_context = 0
        while end - position >= _PDU_AND_ITEM.size and data[position] == P_DATA_TF:
            _, pdu_length, item_length, context_id, control = _PDU_AND_ITEM.unpack_from(data, position)
            after: int = position + _PDU.size + pdu_length
            if item_length + 4 != pdu_length or item_length <= _CONTEXT_AND_CONTROL or after > end:
                break
            if pdu_length > self._longest_pdu:
                raise ProtocolViolated("a PDU longer than we announced")
            self.pdus += 1
            if values and (context_id != of_context or control & ~LAST):
                self._hand_on(of_context, 0, values)
                values = []
            values.append(data[position + _PDU_AND_ITEM.size : after])
            of_context = context_id
            if control:
                self._hand_on(context_id, control, values)
                values = []
            position = after
        if values:
            self._hand_on(of_context, 0, values)
        return position

    def _hand_on(self, context_id: int, control: int, values: list[memoryview]) -> None:
        self._on_fragment(context_id, control, values[0] if len(values) == 1 else memoryview(b"".join(values)))

    def _begin_pdu(self, length: int) -> None:
        if length > self._longest_pdu:
            raise ProtocolViolated("a PDU longer than we announced")
        if length < _ITEM.size:
            raise ProtocolViolated("a P-DATA-TF PDU without an item")
        self.pdus += 1
        self._pdu_left = length

    def _begin_item(self, length: int, context_id: int, control: int) -> None:
        left = self._pdu_left - _ITEM.size
        value = length - _CONTEXT_AND_CONTROL
        if value < 0:
            raise ProtocolViolated("a fragment without a message control header")
        # What is left behind this item is nothing, or at least the head of another.
        if value > left or 0 < left - value < _ITEM.size:
            raise ProtocolViolated("an item that does not fit its PDU")
        self._pdu_left = left
        self._value_left = value
        self._in_value = True
        self._context_id = context_id
        self._control = control

    def _value(self, data: memoryview, position: int) -> int:
        piece = data[position : position + self._value_left]
        self._value_left -= len(piece)
        self._pdu_left -= len(piece)
        self._in_value = bool(self._value_left)
        self._on_fragment(self._context_id, self._control & ~LAST if self._in_value else self._control, piece)
        return position + len(piece)

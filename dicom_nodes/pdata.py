"""P-DATA-TF PDUs of one message, made while it is sent: what is sent may be longer than memory (PS3.8 9.3.5)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final

Buffer = bytes | memoryview

# Message Control Header (PS3.8 E.2).
COMMAND: Final = 0x01
LAST: Final = 0x02

_P_DATA_TF: Final = 0x04
_PDU_AND_ITEM: Final = struct.Struct(">BBLLBB")
_ITEM_OVERHEAD: Final = 6  # length, context and control header of the one item in each PDU
_LONGEST_PDU: Final = 1024 * 1024
_BURST_BYTES: Final = 4 * 1024 * 1024


class OutgoingMessage:
    """A message's bursts, and whether the first of them has been handed out.

    Until then nothing of it is on the wire, and an error of who makes its data set is only that message's; afterwards
    it cannot be ended but by ending the association.
    """

    def __init__(self, bursts: Iterable[list[Buffer]]) -> None:
        self._bursts = bursts
        self.begun = False

    def __iter__(self) -> Iterator[list[Buffer]]:
        for burst in self._bursts:
            self.begun = True
            yield burst


def message_parts(
    context_id: int, command: bytes, data_set: bytes | Iterable[Buffer] | None, peer_maximum: int | None
) -> Iterator[list[Buffer]]:
    """The PDUs of a message as bursts of parts that need not be joined, each of a few MiB at most.

    Parameters
    ----------
    data_set : encoded, whole or in pieces of any size; None where the message has none
    peer_maximum : Maximum Length Received that the peer announced (PS3.8 D.1); None or 0 is unlimited
    """
    room = max(2, (min(peer_maximum or _LONGEST_PDU, _LONGEST_PDU) - _ITEM_OVERHEAD) & ~1)
    parts = list(_fragments(context_id, [command], COMMAND, room))
    if data_set is None:
        yield parts
        return
    waiting = sum(len(part) for part in parts)
    pieces = [data_set] if isinstance(data_set, bytes) else data_set
    for part in _fragments(context_id, pieces, 0, room):
        parts.append(part)
        waiting += len(part)
        if waiting >= _BURST_BYTES:
            yield parts
            parts, waiting = [], 0
    yield parts


def _fragments(context_id: int, pieces: Iterable[Buffer], kind: int, room: int) -> Iterator[Buffer]:
    """Header and value of one item after the other; the last one says so."""
    held: list[Buffer] = []
    length = 0
    for piece in pieces:
        view = memoryview(piece)
        while view:
            if length == room:
                yield from _item(context_id, held, length, kind)
                held, length = [], 0
            taken = view[: room - length]
            held.append(taken)
            length += len(taken)
            view = view[len(taken) :]
    yield from _item(context_id, held, length, kind | LAST)


def _item(context_id: int, value: list[Buffer], length: int, control: int) -> Iterator[Buffer]:
    item = length + _ITEM_OVERHEAD
    yield _PDU_AND_ITEM.pack(_P_DATA_TF, 0, item, item - 4, context_id, control)
    yield from value

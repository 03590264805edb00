"""P-DATA-TF PDUs out of a stream: the same fragments in whatever portions the bytes come."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_nodes.dimse_stream import ProtocolViolated
from dicom_nodes.pdata_parser import PDataParser

COMMAND, LAST = 1, 2
LONGEST = 1000

Value = tuple[int, int, bytes]


def item(context_id: int, control: int, value: bytes) -> bytes:
    return struct.pack(">LBB", len(value) + 2, context_id, control) + value


def pdu(*items: bytes) -> bytes:
    body = b"".join(items)
    return struct.pack(">BxL", 4, len(body)) + body


class Joined:
    """What a parser handed on, its pieces joined to fragments again."""

    def __init__(self) -> None:
        self.parser = PDataParser(self._take, LONGEST)
        self.pieces: list[Value] = []
        self._rest = b""

    def _take(self, context_id: int, control: int, value: memoryview) -> None:
        self.pieces.append((context_id, control, bytes(value)))

    def feed(self, data: bytes) -> bytes:
        """Feed what was left over and ``data``; what is left over now."""
        everything = self._rest + data
        self._rest = everything[self.parser.feed(memoryview(everything)) :]
        return self._rest

    def messages(self) -> list[Value]:
        """Values joined up to each LAST, with the control header of the last piece."""
        joined: list[Value] = []
        value = b""
        for context_id, control, piece in self.pieces:
            value += piece
            if control & LAST:
                joined.append((context_id, control, value))
                value = b""
        return joined


values = st.builds(
    lambda context, control, value: (context, control | LAST, value),
    st.integers(0, 127).map(lambda n: 2 * n + 1),
    st.sampled_from([0, COMMAND]),
    st.binary(max_size=60),
)


@given(st.lists(st.lists(values, min_size=1, max_size=4), max_size=6), st.data())
def test_any_portions_give_the_same_messages(pdus: list[list[Value]], data: st.DataObject):
    stream = b"".join(pdu(*(item(*value) for value in items)) for items in pdus)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    joined = Joined()
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        joined.feed(stream[start:end])
    assert joined.messages() == [value for items in pdus for value in items]
    assert joined.parser.between_pdus
    assert joined.parser.pdus == len(pdus)


def test_a_value_comes_before_its_pdu_is_whole():
    joined = Joined()
    joined.feed(pdu(item(1, LAST, b"abcdef"))[:-2])
    assert joined.pieces == [(1, 0, b"abcd")]


def test_an_empty_last_fragment_is_told():
    joined = Joined()
    joined.feed(pdu(item(1, LAST, b"")))
    assert joined.pieces == [(1, LAST, b"")]


@pytest.mark.parametrize("kind", [1, 2, 3, 5, 6, 7, 0, 8, 255])
def test_it_stops_before_a_pdu_of_another_type(kind: int):
    other = bytes((kind,)) + b"\0\0\0\0\4\0\0\0\0"
    joined = Joined()
    rest = joined.feed(pdu(item(1, LAST, b"ab")) + other)
    assert (rest, joined.parser.between_pdus, len(joined.pieces)) == (other, True, 1)


@pytest.mark.parametrize(
    "broken",
    [
        struct.pack(">BxL", 4, LONGEST + 1),
        pdu(item(1, 0, bytes(LONGEST))),
        struct.pack(">BxL", 4, 0),
        struct.pack(">BxL", 4, 5) + bytes(20),
        struct.pack(">BxLLBB", 4, 20, 1, 1, 0) + bytes(20),
        struct.pack(">BxLLBB", 4, 20, 0, 1, 0) + bytes(20),
        struct.pack(">BxLLBB", 4, 20, 17, 1, 0) + bytes(20),
        struct.pack(">BxLLBB", 4, 20, 15, 1, 0) + bytes(20),
        struct.pack(">BxLLBB", 4, 20, 0xFFFFFFFF, 1, 0) + bytes(20),
    ],
    ids=[
        "PDU too long",
        "whole PDU too long",
        "empty PDU",
        "PDU without room for an item",
        "item without control header",
        "item of length 0",
        "item longer than the PDU",
        "rest too short for an item",
        "item of 4 GiB",
    ],
)
@pytest.mark.parametrize("portion", [1, 1000], ids=["byte by byte", "at once"])
def test_a_length_that_cannot_be_is_refused(broken: bytes, portion: int):
    joined = Joined()

    def feed() -> None:
        for start in range(0, len(broken), portion):
            joined.feed(broken[start : start + portion])

    with pytest.raises(ProtocolViolated):
        feed()

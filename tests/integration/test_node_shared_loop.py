"""Associations that send objects share one thread that receives; none of them notices the others."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from dicom_nodes.node_event import NodeEventKind
from tests.fakes.in_memory_object_sink import InMemoryObjectSink
from tests.listening_node import Listening, listening
from tests.patience import PATIENCE_S
from tests.raw_peer import RELEASE, RELEASE_RP, RawPeer, c_echo_rq, c_store_rq


class HeldDisk(InMemoryObjectSink):
    """Keeps the first commit back until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.committing = threading.Event()
        self.free = threading.Event()

    def fail_at(self, step: str) -> None:
        super().fail_at(step)
        if step == "commit" and not self.committing.is_set():
            self.committing.set()
            assert self.free.wait(PATIENCE_S)


@pytest.fixture
def sink() -> InMemoryObjectSink:
    return InMemoryObjectSink()


@pytest.fixture
def node(sink: InMemoryObjectSink) -> Iterator[Listening]:
    with listening(sink) as node:
        yield node


def associated(stack: ExitStack, node: Listening, count: int) -> list[RawPeer]:
    peers = [stack.enter_context(RawPeer(*node.node.address)) for _ in range(count)]
    for peer in peers:
        peer.associate()
        peer.send(c_store_rq(1, b"first"))
        assert peer.status() == (1, 0)  # from here on they share
    return peers


def test_objects_that_come_interleaved_arrive_whole(node: Listening, sink: InMemoryObjectSink) -> None:
    with ExitStack() as stack:
        peers = associated(stack, node, 5)
        data_sets = [os.urandom(100_000) for _ in peers]
        encoded = [c_store_rq(2, data_set) for data_set in data_sets]
        for start in range(0, len(encoded[0]), 7_001):
            for peer, message in zip(peers, encoded, strict=True):
                peer.send(message[start : start + 7_001])
        assert [peer.status() for peer in peers] == [(2, 0)] * 5
    assert sorted(data for _, data in sink.stored if data != b"first") == sorted(data_sets)


def test_one_that_stops_in_the_middle_holds_nobody_up(node: Listening, sink: InMemoryObjectSink) -> None:
    with ExitStack() as stack:
        slow, other, cut = associated(stack, node, 3)
        message = c_store_rq(2, bytes(90_000))
        slow.send(message[:50_001])
        cut.send(message[:50_001])
        for number in range(2, 12):
            other.send(c_store_rq(number, b"on"))
            assert other.status() == (number, 0)
        cut.connection.shutdown(socket.SHUT_RDWR)
        node.event(NodeEventKind.OBJECT_CUT)
        slow.send(message[50_001:])
        assert slow.status() == (2, 0)
    assert len(sink.stored) == 3 + 10 + 1


def test_other_messages_between_objects_are_answered(node: Listening, sink: InMemoryObjectSink) -> None:
    with ExitStack() as stack:
        peer, other = associated(stack, node, 2)
        other.send(c_store_rq(2, bytes(90_000))[:50_000])
        peer.send(c_store_rq(2, b"ab") + c_echo_rq(3) + c_echo_rq(4) + c_store_rq(5, b"cd"))
        assert {peer.status() for _ in range(4)} == {(2, 0), (3, 0), (4, 0), (5, 0)}
        peer.send(RELEASE)
        assert peer.pdu()[0] == RELEASE_RP
    assert [data for _, data in sink.stored if data != b"first"] == [b"ab", b"cd"]


def test_a_pdu_that_is_none_ends_its_own_association_alone(node: Listening, sink: InMemoryObjectSink) -> None:
    with ExitStack() as stack:
        peer, other = associated(stack, node, 2)
        peer.send(b"\x99" * 12)
        assert peer.pdu()[0] == 7  # A-ABORT
        other.send(c_store_rq(2, b"on"))
        assert other.status() == (2, 0)


def test_objects_come_in_while_that_of_another_association_waits_for_the_disk() -> None:
    sink = HeldDisk()
    sink.committing.set()
    with listening(sink) as node, ExitStack() as stack:
        one, other, third = associated(stack, node, 3)
        third.send(c_store_rq(2, bytes(90_000))[:50_000])  # so that none is alone
        sink.committing.clear()
        one.send(c_store_rq(2, b"held"))
        assert sink.committing.wait(PATIENCE_S)
        other.send(c_store_rq(2, b"also"))
        third.send(c_store_rq(2, bytes(90_000))[50_000:])
        sink.free.set()
        assert [peer.status() for peer in (one, other, third)] == [(2, 0)] * 3


def test_a_release_waits_for_an_answer_that_is_due() -> None:
    sink = HeldDisk()
    sink.committing.set()
    with listening(sink) as node, ExitStack() as stack:
        one, other = associated(stack, node, 2)
        other.send(c_store_rq(2, bytes(90_000))[:50_000])
        sink.committing.clear()
        one.send(c_store_rq(2, b"ab") + RELEASE)
        assert sink.committing.wait(PATIENCE_S)
        sink.free.set()
        assert [one.status(), one.pdu()[0]] == [(2, 0), RELEASE_RP]


def test_a_node_stops_while_objects_are_on_their_way(sink: InMemoryObjectSink) -> None:
    with listening(sink) as node, ExitStack() as stack:
        for peer in associated(stack, node, 3):
            peer.send(c_store_rq(2, bytes(90_000))[:50_000])
        node.node.stop()
        assert not node.node.associations
    assert len(sink.stored) == 3


def test_a_thread_that_answers_for_all_does_not_wait_for_one_that_reads_nothing(node: Listening) -> None:
    with RawPeer(*node.node.address) as peer:
        peer.associate()
        (association,) = node.node.associations
        with pytest.raises(TimeoutError):
            association.dul.socket.send_parts([bytes(64 << 20)], wait=False)

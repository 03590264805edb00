"""A sender that does not wait for answers (asynchronous operations window, PS3.7 D.3.3.3)."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from pathlib import Path

import pytest

from dicom_nodes.errors import StorageExhausted
from dicom_nodes.node_event import NodeEventKind
from tests.fakes.in_memory_object_sink import InMemoryObjectSink
from tests.listening_node import listening
from tests.patience import PATIENCE_S
from tests.raw_peer import RELEASE, RELEASE_RP, RawPeer, c_echo_rq, c_store_rq
from tests.spooling import spool_at, spooled_bytes


@pytest.mark.parametrize(
    ("asked", "agreed"),
    [(None, (1, 1)), ((1, 1), (1, 1)), ((4, 1), (4, 1)), ((200, 8), (16, 1)), ((0, 0), (16, 1)), ((1, 5), (1, 1))],
)
def test_the_window_is_what_the_peer_asks_for_up_to_ours(asked: tuple[int, int] | None, agreed: tuple[int, int]):
    with listening(InMemoryObjectSink()) as node, RawPeer(*node.node.address) as peer:
        assert peer.associate(asked) == agreed


def test_pynetdicoms_path_keeps_to_one_operation():
    with (
        listening(InMemoryObjectSink(), receive_path="pynetdicom") as node,
        RawPeer(*node.node.address) as peer,
    ):
        assert peer.associate((8, 1)) == (1, 1)


def test_pipelined_objects_are_all_stored_and_answered_in_their_order(tmp_path: Path):
    data_sets = [os.urandom(60_000) for _ in range(40)]
    with (
        closing(spool_at(tmp_path)) as spool,
        listening(spool) as node,
        RawPeer(*node.node.address) as peer,
    ):
        window, _ = peer.associate((8, 1))
        answered = []
        for number, data_set in enumerate(data_sets):
            peer.send(c_store_rq(number + 1, data_set))
            if number >= window:
                answered.append(peer.status())
        answered += [peer.status() for _ in range(window)]
    assert answered == [(number + 1, 0) for number in range(40)]
    assert spooled_bytes(tmp_path) == data_sets


class SlowDisk(InMemoryObjectSink):
    """Commits nothing until it is let; tells when an object has been finished."""

    def __init__(self) -> None:
        super().__init__()
        self.finished = threading.Semaphore(0)
        self.free = threading.Event()

    def fail_at(self, step: str) -> None:
        super().fail_at(step)
        if step == "finish":
            self.finished.release()
        if step == "commit":
            assert self.free.wait(PATIENCE_S)


def test_objects_come_in_while_earlier_ones_wait_for_the_disk():
    sink = SlowDisk()
    with listening(sink) as node, RawPeer(*node.node.address) as peer:
        peer.associate((4, 1))
        for number in range(1, 5):
            peer.send(c_store_rq(number, b"ab"))
        assert all(sink.finished.acquire(timeout=PATIENCE_S) for _ in range(4))
        before = len(sink.stored)
        sink.free.set()
        assert ([peer.status() for _ in range(4)], before) == ([(number, 0) for number in range(1, 5)], 0)


def test_a_release_waits_for_the_answers_that_are_due():
    sink = SlowDisk()
    with listening(sink) as node, RawPeer(*node.node.address) as peer:
        peer.associate((4, 1))
        peer.send(c_store_rq(1, b"ab") + c_store_rq(2, b"ab") + RELEASE)
        assert all(sink.finished.acquire(timeout=PATIENCE_S) for _ in range(2))
        sink.free.set()
        assert [peer.status(), peer.status(), peer.pdu()[0]] == [(1, 0), (2, 0), RELEASE_RP]


def test_an_echo_is_answered_while_objects_wait_for_the_disk():
    sink = SlowDisk()
    with listening(sink) as node, RawPeer(*node.node.address) as peer:
        peer.associate((4, 1))
        peer.send(c_store_rq(1, b"ab") + c_echo_rq(2))
        first = peer.status()
        sink.free.set()
        assert (first, peer.status()) == ((2, 0), (1, 0))


@pytest.mark.parametrize("step", ["begin", "write", "finish", "commit"])
def test_a_pipelined_object_that_fails_is_answered_so(step: str):
    sink = InMemoryObjectSink()
    sink.errors[step] = StorageExhausted("the spool is at its limit")
    with listening(sink) as node, RawPeer(*node.node.address) as peer:
        peer.associate((4, 1))
        peer.send(c_store_rq(1, b"ab") + c_store_rq(2, b"ab"))
        assert [peer.status(), peer.status()] == [(1, 0xA700), (2, 0xA700)]


def test_a_peer_that_leaves_without_its_answers_does_no_harm():
    sink = SlowDisk()
    with listening(sink) as node:
        with RawPeer(*node.node.address) as peer:
            peer.associate((4, 1))
            peer.send(c_store_rq(1, b"ab") + c_store_rq(2, b"ab") + c_store_rq(3, bytes(50_000))[:20_000])
            assert all(sink.finished.acquire(timeout=PATIENCE_S) for _ in range(2))
        sink.free.set()
        node.event(NodeEventKind.OBJECT_CUT)
        with RawPeer(*node.node.address) as peer:
            peer.associate()
            peer.send(c_store_rq(1, b"cd"))
            assert peer.status() == (1, 0)
    assert len(sink.stored) == 3

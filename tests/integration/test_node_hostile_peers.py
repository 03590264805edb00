"""Peers that stall, dribble, lie about lengths or leave in the middle, while others go on undisturbed."""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from dicom_nodes.errors import StorageExhausted
from dicom_nodes.node_event import NodeEventKind
from tests.fakes.in_memory_object_sink import InMemoryObjectSink
from tests.listening_node import Listening, listening
from tests.patience import PATIENCE_S
from tests.peak_memory import MEBIBYTE
from tests.raw_peer import (
    ABORT,
    HEAD,
    P_DATA_TF,
    RELEASE,
    RELEASE_RP,
    RawPeer,
    associate_rq,
    c_echo_rq,
    c_store_rq,
)
from tests.spooling import spool_at, spooled_bytes

pytestmark = pytest.mark.usefixtures("receive_path")


@pytest.fixture
def sink() -> InMemoryObjectSink:
    return InMemoryObjectSink()


@pytest.fixture
def node(sink: InMemoryObjectSink) -> Iterator[Listening]:
    with listening(sink) as node:
        yield node


@pytest.fixture
def peer(node: Listening) -> Iterator[RawPeer]:
    with RawPeer(*node.node.address) as peer:
        peer.associate()
        yield peer


def ends(peer: RawPeer) -> bool:
    """Whether the node ends the association: by A-ABORT, or by closing the connection."""
    kind = peer.pdu()[0]
    return kind == 0 or (kind == ABORT and peer.pdu()[0] == 0)


def stores(node: Listening) -> bool:
    """Whether a well-behaved peer is served."""
    with RawPeer(*node.node.address) as peer:
        peer.associate()
        peer.send(c_store_rq(1, b"ab"))
        answered = peer.status()
        peer.send(RELEASE)
        return answered == (1, 0) and peer.pdu()[0] == RELEASE_RP


FIRST_HALF = c_store_rq(1, bytes(100_000))[:50_000]


@pytest.mark.parametrize(
    "bad",
    [
        HEAD.pack(P_DATA_TF, 0),
        HEAD.pack(P_DATA_TF, 3) + bytes(3),
        HEAD.pack(P_DATA_TF, 0xFFFFFFFF) + bytes(100),
        HEAD.pack(P_DATA_TF, 20) + struct.pack(">LBB", 200, 1, 3) + bytes(20),
        HEAD.pack(P_DATA_TF, 20) + struct.pack(">LBB", 1, 1, 3) + bytes(20),
        HEAD.pack(P_DATA_TF, 10) + struct.pack(">LBB", 6, 1, 2) + bytes(4),
        HEAD.pack(P_DATA_TF, 10) + struct.pack(">LBB", 6, 1, 3) + bytes(4),
        HEAD.pack(0, 4) + bytes(4),
        HEAD.pack(8, 4) + bytes(4),
        HEAD.pack(0xFF, 4) + bytes(4),
        HEAD.pack(2, 4) + bytes(4),
        HEAD.pack(3, 4) + bytes(4),
        HEAD.pack(RELEASE_RP, 4) + bytes(4),
        associate_rq(),
        b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n",
        bytes(1000),
    ],
    ids=[
        "PDU of no length",
        "PDU of three bytes",
        "PDU of 4 GiB",
        "item longer than its PDU",
        "item without a control header",
        "data set without a command",
        "command set of zeros",
        "PDU type 0",
        "PDU type 8",
        "PDU type 255",
        "A-ASSOCIATE-AC",
        "A-ASSOCIATE-RJ",
        "A-RELEASE-RP",
        "second A-ASSOCIATE-RQ",
        "HTTP",
        "zeros",
    ],
)
def test_a_pdu_that_has_no_place_ends_its_association_alone(node: Listening, peer: RawPeer, bad: bytes):
    with RawPeer(*node.node.address) as other:
        other.associate()
        peer.send(bad)
        assert ends(peer)
        other.send(c_store_rq(1, b"ab"))
        assert other.status() == (1, 0)


@pytest.mark.parametrize(
    "bad",
    [
        HEAD.pack(ABORT, 4) + bytes(4),
        HEAD.pack(9, 4) + bytes(4),
        HEAD.pack(P_DATA_TF, 2) + bytes(2),
        c_echo_rq(2),
        b"",
    ],
    ids=["abort", "unknown PDU", "wrong length", "another message", "the end"],
)
def test_an_object_cut_in_the_middle_is_not_kept(node: Listening, sink: InMemoryObjectSink, peer: RawPeer, bad: bytes):
    # What follows stands between two PDUs of the object.
    whole, position = c_store_rq(1, bytes(100_000)), 0
    while position < 50_000:
        position += HEAD.size + HEAD.unpack_from(whole, position)[1]
    peer.send(whole[:position] + bad)
    if not bad:
        peer.connection.shutdown(socket.SHUT_WR)
    node.event(NodeEventKind.OBJECT_CUT)
    assert (sink.stored, sink.abandoned.is_set()) == ([], True)
    assert stores(node)


def test_bytes_that_come_one_by_one_are_understood(sink: InMemoryObjectSink, peer: RawPeer):
    for byte in c_store_rq(1, b"abcdef") + RELEASE:
        peer.send(bytes((byte,)))
    assert (peer.status(), peer.pdu()[0], sink.stored[0][1]) == ((1, 0), RELEASE_RP, b"abcdef")


def test_many_pdus_in_one_piece_are_understood(sink: InMemoryObjectSink, peer: RawPeer):
    data_set = bytes(range(256)) * 100
    peer.send(c_store_rq(1, data_set, pdu=100) + c_echo_rq(2) + RELEASE)
    assert (peer.status(), peer.status(), peer.pdu()[0]) == ((1, 0), (2, 0), RELEASE_RP)
    assert sink.stored[0][1] == data_set


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom, of UIDs that are none
def test_fuzzed_pdus_leave_the_node_unharmed(node: Listening, sink: InMemoryObjectSink):
    draw = random.Random(20)
    whole = associate_rq() + c_store_rq(1, bytes(3000), pdu=512) + c_echo_rq(2) + RELEASE
    for _ in range(150):
        spoiled = bytearray(whole)
        for _ in range(draw.randint(1, 6)):
            spoiled[draw.randrange(len(spoiled))] = draw.randrange(256)
        if draw.random() < 0.5:
            del spoiled[draw.randrange(len(spoiled)) :]
        with RawPeer(*node.node.address) as peer:
            peer.send(bytes(spoiled))
            peer.connection.shutdown(socket.SHUT_WR)
            while peer.pdu()[0]:
                pass
    assert stores(node)
    assert all(len(data) in (2, 3000) or header.sop_instance_uid for header, data in sink.stored)


def test_a_peer_that_never_reads_is_cut_off_and_holds_nobody(sink: InMemoryObjectSink):
    with listening(sink, network_timeout_s=0.5, acse_timeout_s=0.5) as node, RawPeer(*node.node.address) as peer:
        peer.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.associate()
        (association,) = node.node.associations
        association.dul.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # or it takes megabytes
        flood = threading.Thread(target=echo_until_cut, args=(peer,))
        flood.start()
        node.event(NodeEventKind.ASSOCIATION_CLOSED)
        flood.join(PATIENCE_S)
        assert (flood.is_alive(), stores(node)) == (False, True)


def echo_until_cut(peer: RawPeer) -> None:
    """Ask on and on without ever reading an answer."""
    request = c_echo_rq(1) * 500
    try:
        while True:
            peer.send(request)
    except OSError:
        return


@pytest.mark.parametrize(
    "begun",
    [b"", associate_rq()[:5], associate_rq()[:100], bytes((1,))],
    ids=["nothing", "a cut head", "a cut request", "one byte"],
)
def test_a_connection_without_a_request_is_closed_by_the_artim_timer(begun: bytes):
    with listening(InMemoryObjectSink(), acse_timeout_s=0.3) as node, RawPeer(*node.node.address) as peer:
        peer.send(begun)
        assert ends(peer)


def test_a_request_that_is_dribbled_is_closed_by_the_artim_timer():
    with listening(InMemoryObjectSink(), acse_timeout_s=0.5) as node, RawPeer(*node.node.address) as peer:
        assert cut_while_dribbling(peer, associate_rq())


def test_a_pdu_that_is_dribbled_ends_its_association(sink: InMemoryObjectSink):
    with listening(sink, network_timeout_s=0.5) as node, RawPeer(*node.node.address) as peer:
        peer.associate()
        assert cut_while_dribbling(peer, c_store_rq(1, bytes(10_000)))
    assert sink.stored == []


def cut_while_dribbling(peer: RawPeer, data: bytes) -> bool:
    """Send a byte now and then; whether the node ends that before all of them have gone."""
    peer.connection.settimeout(0.05)
    for byte in data:
        try:
            peer.connection.send(bytes((byte,)))
            if peer.connection.recv(1) in (b"", bytes((ABORT,))):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def test_a_half_open_association_is_aborted():
    with listening(InMemoryObjectSink(), network_timeout_s=0.3) as node, RawPeer(*node.node.address) as peer:
        peer.associate()
        assert ends(peer)


def test_64_associations_at_once_lose_nothing(tmp_path: Path):
    with closing(spool_at(tmp_path)) as spool, listening(spool) as node, ExitStack() as open_peers:
        peers = [open_peers.enter_context(RawPeer(*node.node.address)) for _ in range(64)]
        for peer in peers:
            peer.associate()
        for number, peer in enumerate(peers):
            peer.send(c_store_rq(number, number.to_bytes(2, "big") * 5000))
        assert [peer.status() for peer in peers] == [(number, 0) for number in range(64)]
    assert sorted(spooled_bytes(tmp_path)) == sorted(number.to_bytes(2, "big") * 5000 for number in range(64))


def test_a_full_spool_refuses_objects_and_echoes_on_the_same_association(sink: InMemoryObjectSink, peer: RawPeer):
    sink.errors["write"] = StorageExhausted("the spool is at its limit")
    peer.send(c_store_rq(1, bytes(MEBIBYTE)) + c_echo_rq(2))
    refused = [peer.status(), peer.status()]
    sink.errors.clear()
    peer.send(c_store_rq(3, b"ab"))
    assert [*refused, peer.status()] == [(1, 0xA700), (2, 0), (3, 0)]

"""C-STORE over a real socket: every request gets the answer that command set, context and sink decide."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator

import pytest

from dicom_nodes.callers import Rejection
from dicom_nodes.command_set import HIGH_PRIORITY, LOW_PRIORITY, MEDIUM_PRIORITY
from dicom_nodes.errors import (
    CallerNotAllowed,
    GatewayError,
    InstanceUnreadable,
    SopClassNotSupported,
    StorageExhausted,
)
from dicom_nodes.node_event import NodeEventKind
from dicom_nodes.outgoing_object import OutgoingObject
from dicom_nodes.pdata import message_parts
from dicom_nodes.peer import PeerUnavailable
from dicom_nodes.requestor import Requestor, RequestorSettings
from dicom_nodes.sender import echo, store
from dicom_nodes.storage_classes import VERIFICATION
from tests.fakes.in_memory_object_sink import InMemoryObjectSink
from tests.listening_node import CT, EXPLICIT, IMPLICIT, MR, TITLE, Listening, c_store, listening
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.usefixtures("receive_path")

VERIFICATION_CONTEXT = (VERIFICATION, IMPLICIT)


@pytest.fixture
def sink() -> InMemoryObjectSink:
    return InMemoryObjectSink()


@pytest.fixture
def node(sink: InMemoryObjectSink) -> Iterator[Listening]:
    with listening(sink) as node:
        yield node


def test_an_object_arrives_byte_for_byte(node: Listening, sink: InMemoryObjectSink):
    data_set = os.urandom(700_000)
    list(store(node.peer, [OutgoingObject.from_bytes(CT, "1.2.3", EXPLICIT, data_set)]))
    assert [data for _, data in sink.stored] == [data_set]


def test_the_header_says_who_sent_what(node: Listening, sink: InMemoryObjectSink):
    settings = RequestorSettings(calling_ae_title="SCANNER 1")
    list(store(node.peer, [OutgoingObject.from_bytes(CT, "1.2.3", EXPLICIT, b"ab")], settings))
    header, _ = sink.stored[0]
    assert (
        header.calling_ae_title,
        header.called_ae_title,
        header.peer_address,
        header.sop_class_uid,
        header.sop_instance_uid,
        header.transfer_syntax_uid,
    ) == ("SCANNER 1", TITLE, "127.0.0.1", CT, "1.2.3", EXPLICIT)


@pytest.mark.parametrize(
    ("sent", "told"), [(0, MEDIUM_PRIORITY), (1, HIGH_PRIORITY), (2, LOW_PRIORITY), (0x4711, MEDIUM_PRIORITY)]
)
def test_the_header_says_how_urgent_it_is(node: Listening, sink: InMemoryObjectSink, sent: int, told: int):
    with Requestor(node.peer, [(CT, EXPLICIT)]) as association:
        c_store(association, 1, priority=sent)
    assert sink.stored[0][0].priority == told


@pytest.mark.parametrize(
    "uid",
    ["", "1", "1.2.3.x", "../../x", "1.2/../3", "1..2", ".1.2", "1.2.", "1.2 3", "1." * 32 + "1", "1.2\\3", "Ä.1"],
)
def test_an_instance_uid_that_is_none_is_answered_c001(node: Listening, sink: InMemoryObjectSink, uid: str):
    with Requestor(node.peer, [(CT, EXPLICIT)]) as association:
        status, comment = c_store(association, 1, sop_instance_uid=uid)
    assert (status, comment, sink.stored) == (0xC001, "Affected SOP Instance UID is not a UID", [])


def test_a_uid_with_a_leading_zero_is_taken(node: Listening, sink: InMemoryObjectSink):
    with Requestor(node.peer, [(CT, EXPLICIT)]) as association:
        c_store(association, 1, sop_instance_uid="1.2.03")
    assert len(sink.stored) == 1


def test_a_class_that_is_not_the_contexts_is_answered_a900(node: Listening, sink: InMemoryObjectSink):
    with Requestor(node.peer, [(CT, EXPLICIT)]) as association:
        status, comment = c_store(association, 1, sop_class_uid=MR)
    assert (status, bool(comment), sink.stored) == (0xA900, True, [])


def test_no_data_set_is_answered_c001(node: Listening, sink: InMemoryObjectSink):
    with Requestor(node.peer, [(CT, EXPLICIT)]) as association:
        answer = c_store(association, 1, data_set=None)
    assert (answer, sink.stored) == ((0xC001, "there is no data set"), [])


def test_an_empty_data_set_is_answered_c001(node: Listening, sink: InMemoryObjectSink):
    with Requestor(node.peer, [(CT, EXPLICIT)]) as association:
        answer = c_store(association, 1, data_set=b"")
    assert (answer, sink.stored) == ((0xC001, "the data set is empty"), [])


def test_a_store_in_a_verification_context_is_answered_0122(node: Listening, sink: InMemoryObjectSink):
    with Requestor(node.peer, [VERIFICATION_CONTEXT]) as association:
        status, _ = c_store(association, 1)
    assert (status, sink.stored) == (0x0122, [])


def test_a_store_in_a_context_that_was_not_accepted_is_answered_0122(node: Listening, sink: InMemoryObjectSink):
    with Requestor(node.peer, [VERIFICATION_CONTEXT, ("1.2.3.4.5", EXPLICIT)]) as association:
        status, _ = c_store(association, 3)
    assert (status, sink.stored) == (0x0122, [])


@pytest.mark.parametrize("step", ["begin", "write", "commit"])
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StorageExhausted("the spool is at its limit"), 0xA700),
        (OSError(errno.ENOSPC, "No space left on device"), 0xA700),
        (CallerNotAllowed("not authorised"), 0x0124),
        (SopClassNotSupported("not here"), 0x0122),
        (InstanceUnreadable("cannot understand"), 0xC001),
        (GatewayError("processing failure"), 0x0110),
        (ValueError("a bug of ours"), 0x0110),
    ],
)
def test_what_the_sink_refuses_is_answered_with_its_status(
    node: Listening, sink: InMemoryObjectSink, step: str, error: Exception, status: int
):
    sink.errors[step] = error
    with Requestor(node.peer, [(CT, EXPLICIT)]) as association:
        answer, comment = c_store(association, 1)
    assert (answer, bool(comment), sink.stored) == (status, True, [])


def test_an_error_comment_has_64_characters_at_most(node: Listening, sink: InMemoryObjectSink):
    sink.errors["begin"] = StorageExhausted("x" * 100)
    with Requestor(node.peer, [(CT, EXPLICIT)]) as association:
        assert c_store(association, 1) == (0xA700, "x" * 64)


def test_an_error_of_ours_tells_the_peer_nothing_of_itself(node: Listening, sink: InMemoryObjectSink):
    sink.errors["commit"] = ValueError("Mustermann^Max")
    with Requestor(node.peer, [(CT, EXPLICIT)]) as association:
        assert c_store(association, 1) == (0x0110, "processing failure")


def test_after_a_failed_object_the_next_one_is_stored(node: Listening, sink: InMemoryObjectSink):
    with Requestor(node.peer, [(CT, EXPLICIT)]) as association:
        first, _ = c_store(association, 1, sop_instance_uid="../../x", data_set=os.urandom(500_000))
        second, _ = c_store(association, 1)
    assert (first, second, len(sink.stored)) == (0xC001, 0x0000, 1)


def test_an_error_of_ours_logs_no_value(node: Listening, sink: InMemoryObjectSink, caplog: pytest.LogCaptureFixture):
    sink.errors["commit"] = ValueError("Mustermann^Max")
    with Requestor(node.peer, [(CT, EXPLICIT)]) as association:
        c_store(association, 1, sop_instance_uid="1.2.3.98765")
    assert [word for word in ("Mustermann", "98765") if word in caplog.text] == []


def test_a_full_spool_still_answers_c_echo(node: Listening, sink: InMemoryObjectSink):
    sink.errors["begin"] = StorageExhausted("the spool is at its limit")
    with Requestor(node.peer, [(CT, EXPLICIT)]) as association:
        c_store(association, 1)
        echo(node.peer)


class WithdrawnRight:
    """Lets a caller associate, and nothing after that."""

    def __init__(self) -> None:
        self._asked = 0

    def admit(self, calling: str, called: str, address: str) -> Rejection | None:
        self._asked += 1
        return None if self._asked == 1 else Rejection.CALLING_UNKNOWN


def test_a_right_that_is_withdrawn_is_answered_0124(sink: InMemoryObjectSink):
    with listening(sink, WithdrawnRight()) as node, Requestor(node.peer, [(CT, EXPLICIT)]) as association:
        status, _ = c_store(association, 1)
    assert (status, sink.stored) == (0x0124, [])


def test_a_connection_cut_in_the_middle_leaves_no_object(node: Listening, sink: InMemoryObjectSink):
    association = Requestor(node.peer, [(CT, EXPLICIT)])
    connection = association._association.dul.socket.socket
    command = bytes.fromhex(
        "00000000040000003c000000" + "000002001a000000" + (CT + "\0").encode().hex() + "00000001020000000100"
        "0000100102000000010000000008020000000100" + "0000001008000000" + b"1.2.3.45".hex()
    )
    length = len(command) + 6
    connection.sendall(b"\x04\0" + length.to_bytes(4, "big") + (length - 4).to_bytes(4, "big") + b"\x01\x03" + command)
    connection.sendall(b"\x04\0" + (1006).to_bytes(4, "big") + (1002).to_bytes(4, "big") + b"\x01\x00" + b"x" * 1000)
    connection.sendall(b"\x04\0\0\0\0\x64")
    connection.shutdown(socket.SHUT_RDWR)
    event = node.event(NodeEventKind.OBJECT_CUT)
    association._association.kill()
    assert (event.size, sink.abandoned.wait(PATIENCE_S), sink.stored) == (1000, True, [])


def test_after_a_cut_connection_the_node_goes_on(node: Listening):
    host, port = node.node.address
    with socket.create_connection((host, port)) as connection:
        connection.sendall(b"\x01\0\0\0")
    echo(node.peer)


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x04\0\xff\xff\xff\xff" + b"x" * 100,
        b"\x01\0\0\0\0\x04abcd",
        b"\x07\0\0\0\0\x04\0\0\0\0",
        bytes(100),
    ],
)
def test_bytes_that_are_no_association_do_no_harm(node: Listening, garbage: bytes):
    with socket.create_connection(node.node.address) as connection:
        connection.settimeout(PATIENCE_S)
        connection.sendall(garbage)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1000):
            pass
    echo(node.peer)


def test_an_unreadable_command_set_aborts_only_its_association(node: Listening):
    with Requestor(node.peer, [(CT, EXPLICIT)]) as other:
        broken = Requestor(node.peer, [(CT, EXPLICIT)])
        broken._association.dul.socket.send_message(message_parts(1, b"\x08\0\0\0nonsense", None, None))
        with pytest.raises(PeerUnavailable, match="broke off"):
            broken._next_response(0, None)
        broken._association.kill()
        assert c_store(other, 1)[0] == 0


def test_what_happened_is_told(node: Listening):
    with Requestor(node.peer, [(CT, EXPLICIT)]) as association:
        c_store(association, 1)
    event = node.event(NodeEventKind.OBJECT_STORED)
    assert (event.status, event.size, event.sop_class_uid) == (0, 10, CT)


def test_a_refusal_is_told_with_its_reason(node: Listening):
    with Requestor(node.peer, [(CT, EXPLICIT)]) as association:
        c_store(association, 1, sop_class_uid=MR)
    assert node.event(NodeEventKind.OBJECT_REFUSED).status == 0xA900


class HangingSink(InMemoryObjectSink):
    """Its disk takes a commit and does not come back until a test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.free = threading.Event(), threading.Event()

    def fail_at(self, step: str) -> None:
        if step == "commit":
            self.reached.set()
            assert self.free.wait(PATIENCE_S)


def test_stopping_ends_open_associations(sink: InMemoryObjectSink):
    with listening(sink) as node:
        association = Requestor(node.peer, [(CT, EXPLICIT)])
        node.node.stop()
        with pytest.raises(PeerUnavailable):
            c_store(association, 1)
        association._association.kill()


def test_stopping_does_not_wait_for_a_disk_that_hangs():
    sink = HangingSink()
    with listening(sink) as node:
        association = Requestor(node.peer, [(CT, EXPLICIT)])

        def send() -> None:
            with pytest.raises(PeerUnavailable):
                c_store(association, 1)

        sender = threading.Thread(target=send)
        sender.start()
        assert sink.reached.wait(PATIENCE_S)
        node.node.stop(grace_s=0.1)
        stored_at_stop = list(sink.stored)
        sink.free.set()
        sender.join(PATIENCE_S)
        association._association.kill()
    assert (stored_at_stop, sender.is_alive()) == ([], False)

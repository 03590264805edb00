"""The sender against real receivers: dcmtk's storescp, and a node of ours that misbehaves on request."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian

from dicom_nodes.errors import InstanceUnreadable, StorageExhausted
from dicom_nodes.outgoing_object import OutgoingObject
from dicom_nodes.peer import PeerAddress, PeerUnavailable
from dicom_nodes.requestor import RequestorSettings
from dicom_nodes.sender import echo, store
from dicom_nodes.storage_classes import is_uid, standard_storage_classes
from tests.ct_series import write_ct_series
from tests.datasets import ct_slice
from tests.fakes.in_memory_object_sink import InMemoryObjectSink
from tests.gateway_process import eventually
from tests.listening_node import CT, EXPLICIT, IMPLICIT, MR, listening
from tests.patience import PATIENCE_S


def ct_object(number: int, data: bytes = b"ab") -> OutgoingObject:
    return OutgoingObject.from_bytes(CT, f"1.2.3.{number}", EXPLICIT, data)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def answers(peer: PeerAddress) -> bool:
    try:
        echo(peer)
    except PeerUnavailable:
        return False
    return True


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[PeerAddress]:
    folder.mkdir()
    peer = PeerAddress("STORESCP", "127.0.0.1", free_port())
    process = subprocess.Popen(["/usr/bin/storescp", *options, "-od", str(folder), str(peer.port)])
    try:
        eventually(lambda: answers(peer), 20, "answer of storescp")
        yield peer
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@pytest.mark.peer("dcmtk")
def test_storescp_gets_files_as_they_are(tmp_path: Path):
    files = write_ct_series(tmp_path / "ct", 5, rows=128, columns=128)
    with storescp(tmp_path / "received", "+xa") as peer:
        results = list(store(peer, [OutgoingObject.from_file(file) for file in files]))
    received = {data.SOPInstanceUID: data.PixelData for data in map(dcmread, (tmp_path / "received").iterdir())}
    expected = {data.SOPInstanceUID: data.PixelData for data in map(dcmread, files)}
    assert ([result.status for result in results], received) == ([0] * 5, expected)


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize("pdu", ["4096", "131072"])
def test_the_peers_maximum_pdu_length_is_kept(tmp_path: Path, pdu: str):
    (file,) = write_ct_series(tmp_path / "ct", 1, rows=128, columns=128)
    with storescp(tmp_path / "received", "-pdu", pdu) as peer:
        (result,) = store(peer, [OutgoingObject.from_file(file)])
    assert result.stored


@pytest.mark.peer("dcmtk")
def test_a_syntax_that_the_peer_does_not_take_is_said_and_the_rest_is_sent(tmp_path: Path):
    deflated = OutgoingObject.from_bytes(CT, "1.2.3.1", "1.2.840.10008.1.2.1.99", b"ab")
    (file,) = write_ct_series(tmp_path / "ct", 1, rows=16, columns=16)
    with storescp(tmp_path / "received", "+xi") as peer:
        first, second = store(peer, [deflated, OutgoingObject.from_data_set(implicit(dcmread(file)))])
    assert (first.status, first.stored, second.stored) == (None, False, True)


def implicit(data_set):
    data_set.file_meta.TransferSyntaxUID = IMPLICIT
    return data_set


def test_a_data_set_in_memory_is_sent_in_its_own_syntax():
    sink, data_set = InMemoryObjectSink(), ct_slice()
    data_set.ensure_file_meta()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with listening(sink) as node:
        list(store(node.peer, [OutgoingObject.from_data_set(data_set)]))
    ((header, _),) = sink.stored
    assert (header.sop_instance_uid, header.transfer_syntax_uid) == (data_set.SOPInstanceUID, EXPLICIT)


def test_objects_of_many_classes_and_syntaxes_take_several_associations():
    sink = InMemoryObjectSink()
    objects = [
        OutgoingObject.from_bytes(uid, f"1.2.3.{number}", EXPLICIT, b"ab")
        for number, uid in enumerate(standard_storage_classes())
    ]
    with listening(sink) as node:
        results = list(store(node.peer, objects))
    assert (all(result.stored for result in results), len(sink.stored)) == (True, len(objects))


def test_one_class_goes_in_several_syntaxes_over_one_association():
    sink = InMemoryObjectSink()
    syntaxes = [EXPLICIT, IMPLICIT, "1.2.840.10008.1.2.4.70"]
    with listening(sink) as node:
        list(store(node.peer, [OutgoingObject.from_bytes(CT, "1.2.3", syntax, b"ab") for syntax in syntaxes]))
    assert [header.transfer_syntax_uid for header, _ in sink.stored] == syntaxes


def test_results_come_one_by_one_while_sending():
    sink = InMemoryObjectSink()
    with listening(sink) as node:
        results = store(node.peer, [ct_object(1), ct_object(2)])
        next(results)
        after_first = len(sink.stored)
        list(results)
    assert (after_first, len(sink.stored)) == (1, 2)


def test_a_refusal_comes_back_with_status_and_comment():
    sink = InMemoryObjectSink()
    sink.errors["begin"] = StorageExhausted("the spool is at its limit")
    with listening(sink) as node:
        (result,) = store(node.peer, [ct_object(1)])
    assert (result.status, result.stored, result.comment) == (0xA700, False, "the spool is at its limit")


def test_an_object_that_cannot_be_loaded_is_said_and_the_rest_is_sent(tmp_path: Path):
    (file,) = write_ct_series(tmp_path, 1, rows=16, columns=16)
    vanished = OutgoingObject.from_file(file)
    file.unlink()
    with listening(InMemoryObjectSink()) as node:
        first, second = store(node.peer, [vanished, ct_object(2)])
    assert (first.status, second.stored) == (None, True)


def test_an_empty_list_opens_no_association():
    assert list(store(PeerAddress("X", "127.0.0.1", 1), [])) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_a_peer_that_is_not_there_is_said(host: str):
    with pytest.raises(PeerUnavailable, match="cannot be reached"):
        echo(PeerAddress("X", host, free_port()))


def test_a_peer_that_takes_none_of_the_classes_is_said():
    with listening(InMemoryObjectSink()) as node, pytest.raises(PeerUnavailable, match="no presentation context"):
        list(store(node.peer, [OutgoingObject.from_bytes("1.2.3.4.5", "1.2.3", EXPLICIT, b"ab")]))


def test_a_peer_that_does_not_answer_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        peer = PeerAddress("X", *silent.getsockname())
        with pytest.raises(PeerUnavailable):
            echo(peer, RequestorSettings(acse_timeout_s=0.3))


class Stopping(InMemoryObjectSink):
    """Takes one object; the second never comes to its end until the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.go_on = threading.Event()

    def begin(self, header):
        if self.stored:
            self.asked.set()
            self.go_on.wait(PATIENCE_S)
        return super().begin(header)


def test_when_the_peer_breaks_off_the_rest_comes_back_without_status():
    sink = Stopping()
    with listening(sink) as node:
        breaker = threading.Thread(target=break_off, args=(sink, node))
        breaker.start()
        results = list(store(node.peer, [ct_object(number, os.urandom(100_000)) for number in range(4)]))
        breaker.join()
    assert [(result.status, bool(result.comment)) for result in results] == [(0, False), *[(None, True)] * 3]


def break_off(sink: Stopping, node) -> None:
    sink.asked.wait(PATIENCE_S)
    for association in node.node.associations:
        association.dul.socket._shutdown_socket()
    sink.go_on.set()


def test_a_peer_that_is_too_slow_is_given_up():
    sink = Stopping()
    with listening(sink) as node:
        results = list(store(node.peer, [ct_object(1), ct_object(2)], RequestorSettings(answer_timeout_s=0.3)))
        sink.go_on.set()
    assert [result.status for result in results] == [0, None]


@pytest.mark.parametrize(
    "content", [b"", b"x" * 200, bytes(128) + b"DICM", bytes(128) + b"DICM\x02\0\x10\0UI\xff\0abc"]
)
def test_a_file_that_is_no_dicom_file_is_said(tmp_path: Path, content: bytes):
    file = tmp_path / "x"
    file.write_bytes(content)
    with pytest.raises(InstanceUnreadable):
        OutgoingObject.from_file(file)


@pytest.mark.real_data
def test_every_real_object_arrives_byte_for_byte(shared_data: Path):
    objects = []
    for file in sorted(shared_data.rglob("*.dcm")):
        try:
            outgoing = OutgoingObject.from_file(file)
        except InstanceUnreadable:
            continue
        storable = outgoing.sop_class_uid in standard_storage_classes() and is_uid(outgoing.sop_instance_uid)
        if storable and "petct" not in str(file):
            objects.append(outgoing)
    sink = InMemoryObjectSink()
    with listening(sink) as node:
        results = list(store(node.peer, objects))
    refused = {result.sent.sop_class_uid: result.comment for result in results if not result.stored}
    stored = [data for _, data in sink.stored]
    assert (len(objects) > 200, refused, stored == [outgoing.load() for outgoing in objects]) == (True, {}, True)


def test_mr_and_ct_share_one_association():
    with listening(InMemoryObjectSink(), maximum_associations=1) as node:
        results = list(store(node.peer, [ct_object(1), OutgoingObject.from_bytes(MR, "1.2.4", EXPLICIT, b"ab")]))
    assert [result.status for result in results] == [0, 0]

"""Who may associate, and which presentation contexts are accepted in which transfer syntax."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest
from pydicom.uid import UID_dictionary
from pynetdicom import AE
from pynetdicom.presentation import PresentationContext

from dicom_nodes.callers import KnownCallers
from dicom_nodes.listener import DicomNode, NodeSettings
from dicom_nodes.peer import PeerUnavailable
from dicom_nodes.requestor import Requestor, RequestorSettings
from dicom_nodes.sender import echo
from dicom_nodes.storage_classes import VERIFICATION, standard_storage_classes
from dicom_nodes.transfer_syntaxes import transfer_syntaxes
from tests.fakes.in_memory_object_sink import InMemoryObjectSink
from tests.listening_node import CT, EXPLICIT, IMPLICIT, TITLE, Listening, c_store, listening
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.usefixtures("receive_path")

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
PRIVATE_CLASS = "1.3.12.2.1107.5.9.1"


@pytest.fixture(scope="module")
def node(receive_path: str) -> Iterator[Listening]:
    with listening(InMemoryObjectSink(), extra_storage_classes=(PRIVATE_CLASS,)) as node:
        yield node


def accepted(node: Listening, *proposed: tuple[str, list[str]]) -> list[tuple[int, str]]:
    """What pynetdicom's own requestor gets for contexts 1, 3, 5 …: (id, transfer syntax) of those accepted."""
    contexts = []
    for abstract_syntax, syntaxes in proposed:
        context = PresentationContext()
        context.abstract_syntax = abstract_syntax
        context.transfer_syntax = syntaxes
        contexts.append(context)
    association = AE("SCANNER").associate(*node.node.address, contexts=contexts, ae_title=TITLE)
    assert association.is_established
    answer = [(context.context_id, str(context.transfer_syntax[0])) for context in association.accepted_contexts]
    association.release()
    return answer


def test_an_unknown_called_title_is_rejected(node: Listening):
    with pytest.raises(PeerUnavailable, match=r"(?i)called AE title not recogni"):
        echo(node.called("SOMEBODY"))


@pytest.mark.parametrize(
    "callers", [KnownCallers([TITLE], ["SCANNER"]), KnownCallers([TITLE], None, ["192.0.2.0/24"])], ids=["title", "ip"]
)
def test_an_unknown_caller_is_rejected(callers: KnownCallers):
    with (
        listening(InMemoryObjectSink(), callers) as node,
        pytest.raises(PeerUnavailable, match=r"(?i)calling AE title not recogni"),
    ):
        echo(node.peer, RequestorSettings(calling_ae_title="STRANGER"))


def test_a_known_caller_is_admitted():
    with listening(InMemoryObjectSink(), KnownCallers([TITLE], ["SCANNER"], ["127.0.0.0/8"])) as node:
        echo(node.peer, RequestorSettings(calling_ae_title="SCANNER"))


class BrokenPolicy:
    def admit(self, calling: str, called: str, address: str) -> None:
        raise ValueError("a bug of ours")


def test_a_broken_policy_admits_nobody():
    with listening(InMemoryObjectSink(), BrokenPolicy()) as node, pytest.raises(PeerUnavailable, match="rejected"):
        echo(node.peer)


def test_more_associations_than_allowed_are_turned_away():
    with (
        listening(InMemoryObjectSink(), maximum_associations=1) as node,
        Requestor(node.peer, [(VERIFICATION, IMPLICIT)]),
        pytest.raises(PeerUnavailable, match=r"(?i)local limit exceeded"),
    ):
        echo(node.peer)


def test_every_storage_class_of_the_standard_is_accepted(node: Listening):
    classes = sorted(standard_storage_classes())
    refused = []
    for start in range(0, len(classes), 128):
        part = classes[start : start + 128]
        taken = {context_id for context_id, _ in accepted(node, *((uid, [EXPLICIT]) for uid in part))}
        refused += [uid for number, uid in enumerate(part) if 2 * number + 1 not in taken]
    assert refused == []


@pytest.mark.parametrize(
    "name",
    [
        "Label Map Segmentation Storage",
        "Height Map Segmentation Storage",
        "Enhanced CT Image Storage",
        "Legacy Converted Enhanced CT Image Storage",
        "Microscopy Bulk Simple Annotations Storage",
        "General ECG Waveform Storage",
        "Video Endoscopic Image Storage",
        "Comprehensive 3D SR Storage",
    ],
)
def test_the_newer_classes_are_among_them(name: str):
    assert name in standard_storage_classes().values()


def test_every_storage_class_that_pydicom_knows_is_among_them():
    network = re.compile(r"1\.2\.840\.10008\.5\.1\.4\.1\.1\.(?!(501|601)\.)")  # security and test of materials are not
    known = {
        uid
        for uid, entry in UID_dictionary.items()
        if network.match(uid) and entry[1] == "SOP Class" and "Storage" in entry[0]
    }
    assert known - set(standard_storage_classes()) == set()


def test_a_configured_private_class_is_accepted(node: Listening):
    assert accepted(node, (VERIFICATION, [IMPLICIT]), (PRIVATE_CLASS, [EXPLICIT])) == [(1, IMPLICIT), (3, EXPLICIT)]


def test_an_unknown_class_is_not_accepted(node: Listening):
    assert accepted(node, (VERIFICATION, [IMPLICIT]), ("1.2.3.4.5", [EXPLICIT])) == [(1, IMPLICIT)]


def test_every_transfer_syntax_is_accepted(node: Listening):
    syntaxes = sorted(transfer_syntaxes())
    assert [syntax for _, syntax in accepted(node, *((CT, [uid]) for uid in syntaxes))] == syntaxes


@pytest.mark.parametrize(
    "uid", ["1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.107", "1.2.840.10008.1.2.4.53"]
)
def test_rare_and_new_syntaxes_are_among_them(uid: str):
    assert uid in transfer_syntaxes()


@pytest.mark.parametrize(
    ("proposed", "chosen"),
    [
        ([IMPLICIT, EXPLICIT], IMPLICIT),
        ([EXPLICIT, IMPLICIT], EXPLICIT),
        ([JPEG_LOSSLESS, EXPLICIT], JPEG_LOSSLESS),
        ([JPEG_BASELINE, EXPLICIT], EXPLICIT),
        ([JPEG_BASELINE, JPEG_2000], JPEG_BASELINE),
        ([JPEG_2000, JPEG_BASELINE, JPEG_LOSSLESS, EXPLICIT], JPEG_LOSSLESS),
        (["1.2.3.4", EXPLICIT], EXPLICIT),
    ],
)
def test_the_senders_order_counts_but_lossless_wins(node: Listening, proposed: list[str], chosen: str):
    assert accepted(node, (CT, proposed)) == [(1, chosen)]


def test_contexts_of_one_class_are_decided_each_by_its_own_order(node: Listening):
    both = [(CT, [IMPLICIT, EXPLICIT]), (CT, [EXPLICIT, IMPLICIT]), (CT, [JPEG_BASELINE])]
    assert accepted(node, *both) == [(1, IMPLICIT), (3, EXPLICIT), (5, JPEG_BASELINE)]


def test_the_maximum_pdu_length_is_announced():
    with (
        listening(InMemoryObjectSink(), maximum_pdu_bytes=30_000) as node,
        Requestor(node.peer, [(VERIFICATION, IMPLICIT)]) as association,
    ):
        assert association._association.acceptor.maximum_length == 30_000


def test_a_socket_that_a_parent_bound_is_used():
    sink = InMemoryObjectSink()
    with socket.create_server(("127.0.0.1", 0)) as bound:
        address = bound.getsockname()
        node = DicomNode(NodeSettings(port=1), sink, KnownCallers([TITLE]))
        node.start(bound.dup())
        try:
            with Requestor(Listening(node).peer, [(CT, EXPLICIT)]) as association:
                c_store(association, 1)
            assert (node.address, len(sink.stored)) == (address, 1)
        finally:
            node.stop()


def test_stopping_leaves_a_parents_socket_listening():
    with socket.create_server(("127.0.0.1", 0)) as bound:
        for _ in range(2):
            node = DicomNode(NodeSettings(), InMemoryObjectSink(), KnownCallers([TITLE]))
            node.start(bound.dup())
            echo(Listening(node).peer)
            node.stop()


def test_two_nodes_share_a_parents_socket():
    with socket.create_server(("127.0.0.1", 0)) as bound:
        nodes = [DicomNode(NodeSettings(), InMemoryObjectSink(), KnownCallers([TITLE])) for _ in range(2)]
        for node in nodes:
            node.start(bound.dup())
        for _ in range(6):
            echo(Listening(nodes[0]).peer)
        nodes[0].stop()
        echo(Listening(nodes[1]).peer)
        nodes[1].stop()


def test_an_address_in_use_is_said_at_start(node: Listening):
    second = DicomNode(NodeSettings(port=node.node.address[1]), InMemoryObjectSink(), KnownCallers([TITLE]))
    with pytest.raises(OSError, match="in use"):
        second.start()


def test_a_silent_connection_is_closed():
    with (
        listening(InMemoryObjectSink(), acse_timeout_s=0.2) as node,
        socket.create_connection(node.node.address, timeout=PATIENCE_S) as connection,
    ):
        assert connection.recv(1) == b""


def test_a_silent_association_is_aborted():
    with listening(InMemoryObjectSink(), network_timeout_s=0.2) as node:
        association = Requestor(node.peer, [(VERIFICATION, IMPLICIT)])
        with pytest.raises(PeerUnavailable, match="broke off"):
            association._next_response(0, None)
        association._association.kill()


@pytest.mark.parametrize("uid", ["x", "1.2/3"])
def test_an_extra_class_that_is_no_uid_is_refused_at_start(uid: str):
    with pytest.raises(ValueError, match="not a UID"):
        DicomNode(NodeSettings(extra_storage_classes=(uid,)), InMemoryObjectSink(), KnownCallers([TITLE]))

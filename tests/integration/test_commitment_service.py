"""The node's side of storage commitment, asked by pynetdicom; what is decided is a fake's to say."""

from __future__ import annotations

import queue
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import pytest
from pydicom.dataset import Dataset

from dicom_nodes.commitment import ArgumentInvalid, CommitmentReport, CommitmentRequest
from dicom_nodes.commitment_service import CommitmentService
from dicom_nodes.service_port import Caller
from tests.commitment_peer import CommitmentPeer, ask, asked_for, asking
from tests.fakes.in_memory_object_sink import InMemoryObjectSink
from tests.listening_node import CT, Listening, listening
from tests.patience import PATIENCE_S

ONE = (CT, "1.2.3.1")


@dataclass
class Desk:
    """Remembers what it is told; decides at the look that ``decides_at`` says, or never."""

    decides_at: int | None = 1
    taken: queue.Queue[CommitmentRequest] = field(default_factory=queue.Queue)
    ends: queue.Queue[str] = field(default_factory=queue.Queue)
    reports: queue.Queue[tuple[str, CommitmentReport]] = field(default_factory=queue.Queue)

    def admits(self, caller: Caller) -> bool:
        return caller.calling_ae_title != "STRANGER"

    def asked(self, caller: Caller, request: CommitmentRequest) -> Asked:
        assert caller.called_ae_title == "ANNOGATE"
        self.taken.put(request)
        return Asked(self, request)

    def reported(self, calling_ae_title: str, report: CommitmentReport) -> None:
        if report.transaction_uid != "1.2.3.9":
            raise ArgumentInvalid("no such transaction")
        self.reports.put((calling_ae_title, report))


@dataclass
class Asked:
    desk: Desk
    request: CommitmentRequest
    looks: int = 0

    def report(self) -> CommitmentReport | None:
        self.looks += 1
        if self.desk.decides_at is None or self.looks < self.desk.decides_at:
            return None
        return CommitmentReport(self.request.transaction_uid, self.request.references)

    def told(self) -> None:
        self.desk.ends.put("told")

    def left(self) -> None:
        self.desk.ends.put("left")


def node(desk: Desk, linger_s: float = 20.0) -> AbstractContextManager[Listening]:
    return listening(InMemoryObjectSink(), services=[CommitmentService(desk, linger_s=linger_s, pause_s=0.05)])


def address(listening_node: Listening) -> tuple[str, int]:
    host, port = listening_node.node.address
    return host, port


@pytest.mark.parametrize("decides_at", [1, 4])
def test_a_peer_that_stays_is_answered_on_its_association(decides_at: int) -> None:
    desk = Desk(decides_at)
    with node(desk) as listening_node, asking(*address(listening_node)) as peer:
        assert ask(peer, asked_for("1.2.3.9", [ONE])) == 0
        heard = peer.heard.get(timeout=PATIENCE_S)
        assert (heard.transaction_uid, heard.event_type, heard.committed) == ("1.2.3.9", 1, {"1.2.3.1"})
        assert desk.ends.get(timeout=PATIENCE_S) == "told"


def test_a_peer_that_leaves_is_left_to_others() -> None:
    desk = Desk(decides_at=None)
    with node(desk) as listening_node:
        with asking(*address(listening_node)) as peer:
            assert ask(peer, asked_for("1.2.3.9", [ONE])) == 0
        assert desk.ends.get(timeout=PATIENCE_S) == "left"
        assert peer.is_released


def test_a_second_request_does_not_wait_for_the_first_answer() -> None:
    desk = Desk(decides_at=None)
    with node(desk) as listening_node, asking(*address(listening_node)) as peer:
        assert [ask(peer, asked_for(uid, [ONE])) for uid in ("1.2.3.8", "1.2.3.9")] == [0, 0]
        assert desk.ends.get(timeout=PATIENCE_S) == "left"


def test_what_is_not_decided_in_time_is_left_to_others() -> None:
    desk = Desk(decides_at=None)
    with node(desk, linger_s=0.1) as listening_node, asking(*address(listening_node)) as peer:
        ask(peer, asked_for("1.2.3.9", [ONE]))
        assert desk.ends.get(timeout=PATIENCE_S) == "left"


@pytest.mark.parametrize(
    ("request_", "action", "instance", "status"),
    [
        (asked_for("1.2.3.9", [ONE]), 2, "1.2.840.10008.1.20.1.1", 0x0123),
        (asked_for("1.2.3.9", [ONE]), 1, "1.2.3.4", 0x0112),
        (asked_for("1.2.3.9", []), 1, "1.2.840.10008.1.20.1.1", 0x0115),
        (asked_for("", [ONE]), 1, "1.2.840.10008.1.20.1.1", 0x0115),
    ],
    ids=["action", "instance", "nothing named", "transaction"],
)
def test_what_cannot_be_served_says_why(request_: Dataset, action: int, instance: str, status: int) -> None:
    desk = Desk()
    with node(desk) as listening_node, asking(*address(listening_node)) as peer:
        assert (ask(peer, request_, action, instance), desk.taken.empty()) == (status, True)


@pytest.mark.parametrize(("transaction", "status"), [("1.2.3.9", 0), ("1.2.3.8", 0x0115)], ids=["ours", "unknown"])
def test_a_report_on_the_peers_association_is_answered(transaction: str, status: int) -> None:
    desk = Desk()
    peer = CommitmentPeer("127.0.0.1", 0, "PACS", refuse={"1.2.3.2": 0x0110})
    with node(desk) as listening_node:
        answer = peer.answer(transaction, [ONE, (CT, "1.2.3.2")])
        assert peer.report_to(*address(listening_node), answer) == status
    if not status:
        title, report = desk.reports.get(timeout=PATIENCE_S)
        assert (title, len(report.committed), report.failed[0][1]) == ("PACS", 1, 0x0110)


def test_who_is_not_admitted_is_offered_nothing() -> None:
    with node(Desk()) as listening_node, pytest.raises(AssertionError), asking(*address(listening_node), "STRANGER"):
        pass

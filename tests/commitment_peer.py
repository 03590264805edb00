"""A peer of storage commitment by pynetdicom, as SCU and as SCP, on loopback."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt

from dicom_nodes.commitment import STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE

Named = tuple[str, str]


def asked_for(transaction_uid: str, instances: Sequence[Named]) -> Dataset:
    """The Action Information of a request."""
    request = Dataset()
    request.TransactionUID = transaction_uid
    request.ReferencedSOPSequence = [_item(*instance) for instance in instances]
    return request


def _item(sop_class_uid: str, sop_instance_uid: str, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
    if reason is not None:
        item.FailureReason = reason
    return item


@dataclass(frozen=True)
class Heard:
    """One N-EVENT-REPORT, as a test wants to compare it."""

    transaction_uid: str
    event_type: int
    committed: frozenset[str]
    failed: dict[str, int] = field(hash=False)

    @classmethod
    def of(cls, event: Any) -> Heard:
        information = event.event_information
        return cls(
            str(information.TransactionUID),
            int(event.request.EventTypeID),
            frozenset(str(item.ReferencedSOPInstanceUID) for item in information.get("ReferencedSOPSequence", [])),
            {
                str(item.ReferencedSOPInstanceUID): int(item.FailureReason)
                for item in information.get("FailedSOPSequence", [])
            },
        )


@dataclass
class CommitmentPeer:
    """Listens; hears reports, and takes requests, which it answers as it is told."""

    host: str
    port: int
    title: str
    heard: queue.Queue[Heard] = field(default_factory=queue.Queue)
    asked: queue.Queue[tuple[str, list[Named]]] = field(default_factory=queue.Queue)
    answer_on_same: bool = False
    refuse: dict[str, int] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    """Of the responses to reports, one each; success when there are none left."""

    @property
    def settings(self) -> dict[str, object]:
        """The peer as a section of [peers]."""
        return {"ae_title": self.title, "host": self.host, "port": self.port}

    def take_report(self, event: Any) -> tuple[int, None]:
        self.heard.put(Heard.of(event))
        return (self.statuses.pop(0) if self.statuses else 0), None

    def take_request(self, event: Any) -> tuple[int, None]:
        information = event.action_information
        named = [
            (str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
            for item in information.ReferencedSOPSequence
        ]
        self.asked.put((str(information.TransactionUID), named))
        if self.answer_on_same:
            answer = self.answer(str(information.TransactionUID), named)
            threading.Thread(target=self._report_on, args=(event.assoc, answer), daemon=True).start()
        return 0, None

    def answer(self, transaction_uid: str, named: Sequence[Named]) -> Dataset:
        """The Event Information of an answer: what ``refuse`` names fails, the rest is kept."""
        answer = Dataset()
        answer.TransactionUID = transaction_uid
        kept = [one for one in named if one[1] not in self.refuse]
        failed = [one for one in named if one[1] in self.refuse]
        if kept:
            answer.ReferencedSOPSequence = [_item(*one) for one in kept]
        if failed:
            answer.FailedSOPSequence = [_item(*one, self.refuse[one[1]]) for one in failed]
        return answer

    @staticmethod
    def _report_on(association: Any, answer: Dataset) -> int:
        kind = 2 if "FailedSOPSequence" in answer else 1
        status, _ = association.send_n_event_report(answer, kind, STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE)
        return int(status.get("Status", -1))

    def report_to(self, host: str, port: int, answer: Dataset, called: str = "ANNOGATE") -> int:
        """Answer on an association of our own, as SCP on it; the status that comes back."""
        ae = AE(self.title)
        ae.add_requested_context(STORAGE_COMMITMENT)
        role = build_role(STORAGE_COMMITMENT, scp_role=True)
        association = ae.associate(host, port, ae_title=called, ext_neg=[role])
        assert association.is_established
        try:
            return self._report_on(association, answer)
        finally:
            association.release()


@contextlib.contextmanager
def commitment_peer(title: str = "PACS") -> Iterator[CommitmentPeer]:
    """A listening peer for the length of a test."""
    ae = AE(title)
    ae.add_supported_context(STORAGE_COMMITMENT, scu_role=True, scp_role=True)
    peer = CommitmentPeer("127.0.0.1", 0, title)
    handlers = [(evt.EVT_N_EVENT_REPORT, peer.take_report), (evt.EVT_N_ACTION, peer.take_request)]
    server = ae.start_server((peer.host, 0), block=False, evt_handlers=handlers)
    peer.port = server.server_address[1]
    try:
        yield peer
    finally:
        server.shutdown()


@contextlib.contextmanager
def asking(
    host: str, port: int, title: str = "PACS", called: str = "ANNOGATE", address: str = "127.0.0.1"
) -> Iterator[Any]:
    """An association on which we are SCU, from an address of ours, and the queue of what comes back on it."""
    heard: queue.Queue[Heard] = queue.Queue()

    taken: list[Heard] = []

    def take(event: Any) -> tuple[int, None]:
        taken.append(Heard.of(event))
        return 0, None

    def tell(event: Any) -> None:
        # Not before our answer is on the wire: a test that releases sooner would come between.
        while taken:
            heard.put(taken.pop())

    ae = AE(title)
    ae.add_requested_context(STORAGE_COMMITMENT)
    handlers = [(evt.EVT_N_EVENT_REPORT, take), (evt.EVT_PDU_SENT, tell)]
    association = ae.associate(host, port, ae_title=called, evt_handlers=handlers, bind_address=(address, 0))
    assert association.is_established
    association.heard = heard
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def ask(association: Any, request: Dataset, action: int = 1, instance: str = WELL_KNOWN_INSTANCE) -> int:
    """N-ACTION; the status that comes back."""
    status, _ = association.send_n_action(request, action, STORAGE_COMMITMENT, instance)
    return int(status.get("Status", -1))

"""What peers promise of what they were sent, and what becomes of a delivery that one does not keep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.core.commitment import CommitmentOutcome, CommitmentProgress
from service.core.deliveries import CommitmentStanding, DeliveryState
from service.delivery.commitment_keeper import CommitmentKeeper
from service.delivery.outbox_desk import OutboxDesk
from tests.outbox_house import OutboxHouse


class Peer:
    """A peer that answers what the test says, whenever it says it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, list[tuple[str, str]]]] = []
        self.answer: CommitmentOutcome | None = CommitmentOutcome(CommitmentProgress.WAITING)

    def request(self, project: str, peer: str, instances: list[tuple[str, str]]) -> str:
        self.asked.append((project, peer, list(instances)))
        return f"2.25.{len(self.asked)}"

    def outcome(self, _transaction_uid: str) -> CommitmentOutcome | None:
        return self.answer


@pytest.fixture
def house(tmp_path: Path) -> Iterator[OutboxHouse]:
    house = OutboxHouse(tmp_path)
    house.put(1)
    house.outbox.set_items(1, [("1.1", "2.25.11"), ("1.2", "2.25.12")])
    house.outbox.note_commitment(1, CommitmentStanding.WANTED)
    house.outbox.finish(1, DeliveryState.SENT)
    yield house
    house.close()


def keeper(house: OutboxHouse, peer: Peer) -> CommitmentKeeper:
    return CommitmentKeeper(outbox=house.outbox, request=peer.request, outcome=peer.outcome)


def test_peer_is_asked_once_and_its_answer_may_come_days_later(house: OutboxHouse) -> None:
    peer = Peer()
    for _ in range(3):
        keeper(house, peer).run()
        house.clock.now += 86400
    assert peer.asked == [("p", "pacs", [("1.1", "2.25.11"), ("1.2", "2.25.12")])]
    assert house.row().commitment is CommitmentStanding.ASKED
    peer.answer = CommitmentOutcome(CommitmentProgress.ANSWERED, frozenset({"2.25.11", "2.25.12"}))
    keeper(house, peer).run()
    assert house.row().commitment is CommitmentStanding.COMMITTED
    assert house.outbox.by_commitment(CommitmentStanding.ASKED) == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            CommitmentOutcome(CommitmentProgress.ANSWERED, failed={"2.25.11": 0x0112}),
            "the peer does not commit to keep 1 of the objects (failure reason 0112)",
        ),
        (CommitmentOutcome(CommitmentProgress.FAILED, reason="refused"), "storage commitment: refused"),
        (None, "what the peer answered to storage commitment is not known any more"),
    ],
)
def test_failure_is_told_and_a_person_may_send_it_again(
    house: OutboxHouse, answer: CommitmentOutcome | None, words: str
) -> None:
    peer = Peer()
    keeper(house, peer).run()
    peer.answer = answer
    keeper(house, peer).run()
    assert (house.row().commitment, house.row().warning) == (CommitmentStanding.FAILED, words)
    desk = OutboxDesk(outbox=house.outbox, peers=house.peers, on_decision=lambda _: None)
    assert desk.retry(1, "lead").delivery.state is DeliveryState.WAITING
    assert {item.state.value for item in house.outbox.items(1)} == {"waiting"}
    assert house.row().commitment is CommitmentStanding.WANTED

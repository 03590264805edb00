"""What happens to results when peers are away, refuse, or the gateway is killed on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.core.deliveries import DeliveryState, ItemState
from service.delivery.outbox_files import OutboxFiles
from service.delivery.peer_rules import Patience
from tests.delivery_house import dimse
from tests.fakes.in_memory_sealed_files import InMemorySealedFiles
from tests.fakes.ready_results import ReadyResults
from tests.fakes.scripted_storage_scp import ScriptedStorageScp
from tests.orthanc_process import free_port
from tests.outbox_house import OutboxHouse
from tests.patience import PATIENCE_S

CLASSES = (ReadyResults.SEG, ReadyResults.REPORT)
RESULTS = 1000


@pytest.fixture
def house(tmp_path: Path) -> Iterator[OutboxHouse]:
    house = OutboxHouse(tmp_path)
    yield house
    house.close()


def scp_answering(status: int, **changes: object) -> ScriptedStorageScp:
    return ScriptedStorageScp(CLASSES, lambda sop_class, instance: status, **changes)


def test_peer_away_for_a_thousand_results_gets_each_once_and_in_order_when_it_is_back(house: OutboxHouse) -> None:
    port, sealed = free_port(), InMemorySealedFiles()
    files = OutboxFiles(house.folder / "outbox", sealed, house.outbox.is_finished)
    courier = house.courier(dimse("127.0.0.1", port, "SCRIPTED"), files=files)
    house.put(RESULTS, reports=False)
    waits = []
    for _ in range(8):
        courier.turn()
        standing = house.peers.of("pacs")
        waits.append(standing.next_at - house.clock.now)
        house.clock.now = standing.next_at
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600]
    assert standing.last_error == f"SCRIPTED@127.0.0.1:{port} cannot be reached"
    assert house.count(DeliveryState.WAITING) == RESULTS
    with ScriptedStorageScp(CLASSES, port=port) as scp:
        courier.turn()
    assert house.count(DeliveryState.SENT) == RESULTS
    assert scp.received == [f"2.25.{number}1" for number in range(1, RESULTS + 1)]
    assert scp.open_at_once == 1
    assert sealed.files == {}


def test_peer_that_is_away_keeps_no_other_waiting(house: OutboxHouse) -> None:
    house.put(2, peer="away")
    house.put(2, peer="pacs", first=3)
    with scp_answering(0) as scp:
        away = house.courier(dimse("127.0.0.1", free_port(), "SCRIPTED"), "away")
        away.turn()
        house.courier(dimse("127.0.0.1", scp.port, "SCRIPTED")).turn()
    assert (house.count(DeliveryState.SENT), house.count(DeliveryState.WAITING, "away")) == (2, 2)


def test_delivery_is_given_up_after_its_days_and_can_be_tried_again(house: OutboxHouse) -> None:
    port = free_port()
    courier = house.courier(dimse("127.0.0.1", port, "SCRIPTED"), patience=Patience(give_up_s=3600))
    house.put(1)
    courier.turn()
    house.clock.now += 3700
    courier.turn()
    assert house.row().state is DeliveryState.FAILED
    assert "given up after days of trying: SCRIPTED@127.0.0.1" in house.row().last_error
    assert house.outbox.retry(1)
    house.clock.now += 3700
    with ScriptedStorageScp(CLASSES, port=port):
        house.outbox.retry(1)
        courier.turn()
    assert house.row().state is DeliveryState.SENT


@pytest.mark.parametrize("status", [0xA700, 0xA7FF, 0x0110])
def test_peer_that_is_out_of_resources_gets_it_later(house: OutboxHouse, status: int) -> None:
    house.put(1)
    answers = iter([status, 0, 0])
    with ScriptedStorageScp(CLASSES, lambda *_: next(answers)) as scp:
        courier = house.courier(dimse("127.0.0.1", scp.port, "SCRIPTED"))
        courier.turn()
        row = house.row()
        assert (row.state, row.attempts, row.next_at) == (DeliveryState.WAITING, 1, house.clock.now + 30)
        assert f"{status:04X}" in row.last_error
        courier.turn()
        assert len(scp.received) == 1
        house.clock.now += 31
        courier.turn()
    assert house.row().state is DeliveryState.SENT
    assert scp.received == ["2.25.11", "2.25.11", "2.25.12"]


@pytest.mark.parametrize("status", [0x0122, 0x0124, 0xA900, 0xC000, 0xCFFF])
def test_refusal_for_good_ends_the_delivery_and_the_report_does_not_go_alone(house: OutboxHouse, status: int) -> None:
    house.put(2)
    told: list[tuple[str, int]] = []
    with ScriptedStorageScp(CLASSES, lambda _, uid: status if uid == "2.25.11" else 0) as scp:
        target = dimse("127.0.0.1", scp.port, "SCRIPTED")
        house.courier(target, on_ended=lambda action, delivery: told.append((action, delivery.id))).turn()
    assert told == [("failed", 1), ("sent", 2)]
    assert (house.row(1).state, house.row(2).state) == (DeliveryState.FAILED, DeliveryState.SENT)
    assert house.row(1).last_error.endswith(f"(status {status:04X})")
    assert scp.received == ["2.25.11", "2.25.21", "2.25.22"]
    assert [item.state for item in house.outbox.items(1)] == [ItemState.REFUSED, ItemState.SENDING]


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007, 0x0111])
def test_warning_counts_as_stored_and_is_told(house: OutboxHouse, status: int) -> None:
    house.put(1)
    with scp_answering(status) as scp:
        house.courier(dimse("127.0.0.1", scp.port, "SCRIPTED")).turn()
    assert house.row().state is DeliveryState.SENT
    assert f"(status {status:04X})" in house.row().warning


def test_class_that_the_peer_does_not_take_is_said_so(house: OutboxHouse) -> None:
    house.put(1)
    with ScriptedStorageScp([ReadyResults.REPORT]) as scp:
        house.courier(dimse("127.0.0.1", scp.port, "SCRIPTED")).turn()
    assert house.row().state is DeliveryState.FAILED
    assert house.row().last_error == f"the peer takes no object of SOP class {ReadyResults.SEG}"
    assert scp.received == []


def test_peer_that_takes_the_default_transfer_syntax_alone_gets_it_so(house: OutboxHouse) -> None:
    house.put(1)
    with ScriptedStorageScp(CLASSES, transfer_syntaxes=["1.2.840.10008.1.2"]) as scp:
        house.courier(dimse("127.0.0.1", scp.port, "SCRIPTED")).turn()
    assert house.row().state is DeliveryState.SENT
    assert scp.received == ["2.25.11", "2.25.12"]


def test_second_process_leaves_a_peer_to_the_first_until_its_lease_ends(house: OutboxHouse) -> None:
    house.put(1)
    assert house.peers.take("pacs", "first", 300)
    with scp_answering(0) as scp:
        second = house.courier(dimse("127.0.0.1", scp.port, "SCRIPTED"), owner="second")
        second.turn()
        assert scp.received == []
        house.clock.now += 301
        second.turn()
    assert scp.received == ["2.25.11", "2.25.12"]


def test_kill_between_send_and_record_leaves_every_object_with_the_peer(tmp_path: Path) -> None:
    """The peer has the object and kills the sender before it could note that; a second life sends what is in doubt."""
    folder = tmp_path / "house"
    folder.mkdir()
    house = OutboxHouse(folder)
    house.put(3)
    victims: list[subprocess.Popen[bytes]] = []

    def kill_at_the_third(_sop_class: str, _instance: str) -> int:
        if len(scp.received) == 2 and victims:
            os.kill(victims.pop().pid, signal.SIGKILL)
        return 0

    with ScriptedStorageScp(CLASSES, kill_at_the_third) as scp:
        command = [sys.executable, "-m", "tests.outbox_process", str(folder), str(scp.port)]
        victims.append(subprocess.Popen(command))
        assert victims[0].wait(PATIENCE_S) == -signal.SIGKILL
        before = list(scp.received)
        assert before == ["2.25.11", "2.25.12", "2.25.21"]
        states = [item.state for item in house.outbox.items(2)]
        assert states == [ItemState.SENDING, ItemState.SENDING]
        house.clock.now += 400  # the dead process's lease ends
        house.courier(dimse("127.0.0.1", scp.port, "SCRIPTED"), owner="second").turn()
    assert house.count(DeliveryState.SENT) == 3
    # The one in doubt went again under its UID: this peer answers no queries.
    assert scp.received[3:] == ["2.25.21", "2.25.22", "2.25.31", "2.25.32"]
    house.close()

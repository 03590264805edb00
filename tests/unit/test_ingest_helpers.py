"""Helpers take batches in for one sender: the order, the errors and the outcomes stay those of one process."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import pytest

from dicom_nodes.errors import GatewayError, StorageExhausted
from service.core.encoded_bytes import FramedBytes, Section
from service.core.records import Incoming, Outcome, OutcomeKind
from service.ingest.direct_intake import DirectIntake
from service.ingest.intake_helper import IntakeHelpers, take_in
from tests.patience import PATIENCE_S

CT = "1.2.840.10008.5.1.4.1.1.2"


def incoming(uid: str, content: object = b"x") -> Incoming:
    return Incoming("default", CT, uid, "1.2.840.10008.1.2.1", content, "stow", "", "", 0.0)  # type: ignore[arg-type]


def batch_of(start: int, count: int = 8) -> list[Incoming]:
    return [incoming(f"1.{number}") for number in range(start, start + count)]


class House:
    """Takes batches in here and in helpers, which are threads with a channel of their own."""

    def __init__(self, most: int = 2, idle_s: float = PATIENCE_S) -> None:
        self.log: list[str] = []
        self.trouble: dict[str, Exception] = {}
        self.helpers_end_at: set[str] = set()
        self.contents: list[bytes] = []
        self.started = 0
        self._idle_s = idle_s
        self._threads: list[threading.Thread] = []
        self.helpers = IntakeHelpers(self._beginning("here"), self.new_channel, most)

    def new_channel(self) -> socket.socket:
        self.started += 1
        ours, theirs = socket.socketpair()
        begin = self._beginning(f"helper {self.started}")

        def work() -> None:
            try:
                take_in(theirs, begin, self._idle_s)
            except SystemExit:
                return

        self._threads.append(threading.Thread(target=work))
        self._threads[-1].start()
        return ours

    def _beginning(self, who: str) -> Callable[[Sequence[Incoming]], Callable[[], list[Outcome]]]:
        def begin(batch: Sequence[Incoming]) -> Callable[[], list[Outcome]]:
            first = batch[0].sop_instance_uid
            self.log.append(f"{who} began {first}")
            self.contents.append(batch[0].data_set[:])

            def finish() -> list[Outcome]:
                if first in self.helpers_end_at and who != "here":
                    raise SystemExit
                if first in self.trouble:
                    raise self.trouble[first]
                self.log.append(f"{who} finished {first}")
                return [Outcome(OutcomeKind.ARCHIVED, sop_instance_uid=one.sop_instance_uid) for one in batch]

            return finish

        return begin

    def close(self) -> None:
        self.helpers.close()
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


@pytest.fixture
def house() -> Iterator[House]:
    with closing(House()) as made:
        yield made


def uids(outcomes: Sequence[Outcome | GatewayError]) -> list[str]:
    return [one.sop_instance_uid if isinstance(one, Outcome) else type(one).__name__ for one in outcomes]


def test_batches_of_one_sender_are_finished_in_their_order(house: House) -> None:
    with DirectIntake(house.helpers.begin) as intake:
        taken = [intake.take(batch_of(start), is_last=start == 40) for start in (10, 20, 30, 40)]
    assert [uids(one.outcomes)[0] for one in taken] == ["1.10", "1.20", "1.30", "1.40"]
    finished = [line.rpartition(" ")[2] for line in house.log if "finished" in line]
    assert finished == ["1.10", "1.20", "1.30", "1.40"]
    assert not [line for line in house.log if line.startswith("here")]
    assert house.started == 2


def test_what_is_small_stays_here(house: House) -> None:
    assert uids(house.helpers.begin([incoming("1.1")])()) == ["1.1"]
    assert house.log == ["here began 1.1", "here finished 1.1"]
    assert house.started == 0


def test_what_waits_on_the_disk_stays_here(house: House) -> None:
    on_disk = FramedBytes(range(0, 4, 4), 4, lambda _: b"abcd")
    house.helpers.begin([*batch_of(1), incoming("1.99", on_disk)])()
    house.helpers.begin([*batch_of(1), incoming("1.99", Section(on_disk, 0, 2))])()
    assert house.started == 0


def test_stretch_of_what_is_in_memory_is_handed_over(house: House) -> None:
    house.helpers.begin([incoming("1.1", Section(b"abcdef", 2, 5)), *batch_of(2)])()
    assert house.contents == [b"cde"]
    assert house.started == 1


def test_more_senders_than_helpers_are_served_here(house: House) -> None:
    finishes = [house.helpers.begin(batch_of(start)) for start in (10, 20, 30)]
    assert [uids(finish())[0] for finish in finishes] == ["1.10", "1.20", "1.30"]
    assert [line for line in house.log if line.startswith("here")] == ["here began 1.30", "here finished 1.30"]


def test_helpers_are_used_again(house: House) -> None:
    for start in range(10, 60, 10):
        house.helpers.begin(batch_of(start))()
    assert house.started == 1


def test_trouble_of_the_house_is_told_as_such(house: House) -> None:
    house.trouble["1.10"] = StorageExhausted("the disk is full")
    with pytest.raises(StorageExhausted, match="the disk is full"):
        house.helpers.begin(batch_of(10))()
    assert uids(house.helpers.begin(batch_of(20))()) == [f"1.{number}" for number in range(20, 28)]
    assert house.started == 1


def test_object_that_ends_its_helper_costs_only_its_own_place(house: House) -> None:
    house.helpers_end_at.add("1.10")
    house.trouble["1.10"] = ValueError("unforeseen")
    with DirectIntake(house.helpers.begin) as intake:
        taken = intake.take(batch_of(10), is_last=True)
        after = intake.take(batch_of(20), is_last=True)
    assert uids(taken.outcomes) == ["GatewayError", *(f"1.{number}" for number in range(11, 18))]
    assert uids(after.outcomes)[0] == "1.20"


def test_helper_that_had_nothing_to_do_is_replaced() -> None:
    with closing(House(idle_s=0.01)) as house:
        house.helpers.begin(batch_of(10))()
        for thread in house._threads:
            thread.join(PATIENCE_S)
        assert uids(house.helpers.begin(batch_of(20))())[0] == "1.20"
        assert house.started == 2


def test_without_a_process_to_be_had_batches_stay_here(house: House) -> None:
    def none() -> socket.socket:
        raise OSError(11, os.strerror(11))

    helpers = IntakeHelpers(house._beginning("here"), none, 2)
    for start in (10, 20, 30):
        assert uids(helpers.begin(batch_of(start))())[0] == f"1.{start}"
    assert {line.split()[0] for line in house.log} == {"here"}

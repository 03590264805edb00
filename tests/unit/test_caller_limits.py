from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_nodes.caller_limits import CallerGate, CallerLimits, PacedSink, SharedCounts
from dicom_nodes.callers import Rejection
from tests.archived import SetClock
from tests.fakes.in_memory_object_sink import InMemoryObjectSink
from tests.patience import PATIENCE_S
from tests.spooling import put


class Gates:
    """Gates of several processes over one directory, on one clock; waits pass it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = SetClock(1000.0)
        self.waits: list[float] = []
        self._open: list[CallerGate] = []

    def gate(self, **limits: float) -> CallerGate:
        of_title = {"SCANNER": CallerLimits(**limits), "OTHER": CallerLimits(**limits)}  # type: ignore[arg-type]
        gate = CallerGate(of_title, self.directory, now=self.clock, sleep=self.waits.append)
        self._open.append(gate)
        return gate

    def close(self) -> None:
        for gate in self._open:
            gate.close()


@pytest.fixture
def gates(tmp_path: Path) -> Iterator[Gates]:
    gates = Gates(tmp_path / "callers")
    yield gates
    gates.close()


def test_who_has_no_limit_is_let_in(gates: Gates) -> None:
    assert gates.gate(associations=0).enter("STRANGER") is None


def test_associations_of_all_processes_count(gates: Gates) -> None:
    first, second = gates.gate(associations=2), gates.gate(associations=2)
    assert [first.enter("SCANNER"), second.enter("SCANNER")] == [None, None]
    assert second.enter("SCANNER") is Rejection.TOO_MANY_AT_ONCE
    assert second.enter("OTHER") is None
    first.leave("SCANNER")
    assert second.enter("SCANNER") is None


def _die_with_one(directory: Path) -> None:
    SharedCounts(directory, ["SCANNER"]).enter("SCANNER", 1)


def test_those_of_a_process_that_died_count_no_more(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_die_with_one, args=(tmp_path,))
    process.start()
    process.join(PATIENCE_S)
    assert [path.suffix for path in tmp_path.iterdir()] == [".open"]
    counts = SharedCounts(tmp_path, ["SCANNER"])
    assert counts.enter("SCANNER", 1)
    counts.close()
    assert not list(tmp_path.iterdir())


def test_more_associations_a_minute_than_allowed_come_again_later(gates: Gates) -> None:
    first, second = gates.gate(associations_per_minute=2), gates.gate(associations_per_minute=2)
    assert [first.enter("SCANNER"), second.enter("SCANNER")] == [None, None]
    assert first.enter("SCANNER") is Rejection.TOO_MANY_A_MINUTE
    gates.clock.now += 30
    assert second.enter("SCANNER") is None
    assert first.enter("SCANNER") is Rejection.TOO_MANY_A_MINUTE


def test_an_association_that_came_too_soon_holds_no_place(gates: Gates) -> None:
    gate = gates.gate(associations=1, associations_per_minute=1)
    assert gate.enter("SCANNER") is None
    gate.leave("SCANNER")
    assert gate.enter("SCANNER") is Rejection.TOO_MANY_A_MINUTE
    gates.clock.now += 60
    assert gate.enter("SCANNER") is None


def test_objects_above_their_rate_are_read_later(gates: Gates) -> None:
    first, second = gates.gate(objects_per_s=2), gates.gate(objects_per_s=2)
    for gate in (first, second, first, second):
        gate.pace("SCANNER")
    assert gates.waits == [0.5, 1.0]


def test_who_has_no_rate_waits_for_nothing(gates: Gates) -> None:
    gate = gates.gate(associations=1)
    for title in ("SCANNER", "STRANGER") * 50:
        gate.pace(title)
    assert gates.waits == []


def test_a_wait_is_no_longer_than_a_sender_is_patient(gates: Gates) -> None:
    gate = gates.gate(objects_per_s=0.01)
    for _ in range(3):
        gate.pace("SCANNER")
    assert gates.waits == [10.0, 10.0]


def test_a_paced_sink_waits_before_each_object() -> None:
    sink = InMemoryObjectSink()
    paced: list[str] = []
    put(PacedSink(sink, paced.append), b"data")
    assert (paced, len(sink.stored)) == (["SCANNER"], 1)


@pytest.mark.parametrize("rejection", list(Rejection))
def test_every_rejection_has_a_code_of_the_standard(rejection: Rejection) -> None:
    allowed = {1: {1, 2, 3, 7}, 3: {1, 2}}  # PS3.8 Table 9-21, by source
    result, source, diagnostic = rejection.answer
    assert result in {1, 2}
    assert diagnostic in allowed[source]

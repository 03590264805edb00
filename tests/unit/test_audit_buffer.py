"""Reads reach the trail in batches beside the answers, and none is lost at a clean stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from service.archive.audit import AuditEvent, AuditQuery, AuditTrail
from service.archive.audit_buffer import AuditBuffer
from service.archive.database import Database
from service.errors import StorageExhausted
from tests.patience import PATIENCE_S


class GatedTrail(AuditTrail):
    """A trail whose writes wait for a gate, fail as often as it is told, and count transactions."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, lambda: 7.0, bytes(32))
        self.gate = threading.Event()
        self.gate.set()
        self.failures = 0
        self.batches: list[int] = []

    def record_all(self, events: Sequence[AuditEvent]) -> None:
        self.gate.wait(PATIENCE_S)
        if self.failures:
            self.failures -= 1
            raise StorageExhausted("the disk of the index is full")
        self.batches.append(len(events))
        super().record_all(events)


@pytest.fixture
def trail(tmp_path: Path) -> Iterator[GatedTrail]:
    with Database.open(tmp_path / "index.sqlite") as database:
        yield GatedTrail(database)


def targets(trail: AuditTrail) -> list[str]:
    return [row.target for row in reversed(trail.search(AuditQuery(limit=1000)))]


def events(count: int) -> list[AuditEvent]:
    return [AuditEvent("ada", "instance.read", target=str(number)) for number in range(count)]


def test_flush_waits_for_every_event(trail: GatedTrail) -> None:
    buffer = AuditBuffer(trail)
    for event in events(50):
        buffer.record(event)
    buffer.flush()
    assert targets(trail) == [str(number) for number in range(50)]
    buffer.close()


def test_close_writes_what_is_queued(trail: GatedTrail) -> None:
    buffer = AuditBuffer(trail)
    trail.gate.clear()
    for event in events(20):
        buffer.record(event)
    trail.gate.set()
    buffer.close()
    assert len(targets(trail)) == 20


def test_close_of_an_unused_buffer_does_nothing(trail: GatedTrail) -> None:
    AuditBuffer(trail).close()
    assert trail.batches == []


def test_buffer_takes_events_after_it_was_closed(trail: GatedTrail) -> None:
    buffer = AuditBuffer(trail)
    for event in events(2):
        buffer.record(event)
        buffer.close()
    assert targets(trail) == ["0", "1"]


def test_what_gathers_is_written_at_once(trail: GatedTrail) -> None:
    buffer = AuditBuffer(trail)
    trail.gate.clear()
    for event in events(300):
        buffer.record(event)
    trail.gate.set()
    buffer.close()
    assert len(trail.batches) <= 3


def test_event_bears_the_time_at_which_it_was_queued(trail: GatedTrail) -> None:
    buffer = AuditBuffer(trail)
    buffer.record(events(1)[0])
    buffer.close()
    assert trail.search(AuditQuery())[0].at == 7.0


def test_failed_write_is_told_and_tried_again(trail: GatedTrail) -> None:
    told: list[Exception] = []
    buffer = AuditBuffer(trail, patience_s=0.01, on_failure=told.append)
    trail.failures = 2
    for event in events(3):
        buffer.record(event)
    buffer.flush()
    assert len(told) == 2
    assert targets(trail) == ["0", "1", "2"]
    buffer.close()


def test_full_buffer_refuses_rather_than_forgets(trail: GatedTrail) -> None:
    buffer = AuditBuffer(trail, capacity=2, patience_s=0.01)
    trail.gate.clear()
    accepted = 0

    def record_until_refused() -> None:
        nonlocal accepted
        for event in events(2000):  # more than one batch and the queue hold
            buffer.record(event)
            accepted += 1

    with pytest.raises(StorageExhausted, match="audit"):
        record_until_refused()
    trail.gate.set()
    buffer.close()
    assert len(targets(trail)) == accepted

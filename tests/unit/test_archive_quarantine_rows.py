from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from service.archive.database import Database
from service.archive.quarantine_rows import DISCARDED, EXPIRED, HELD, RELEASED, NewQuarantineRow, QuarantineTable
from tests.archived import NOW, SetClock

NEW = NewQuarantineRow(
    id="q1",
    project="default",
    failure_reason=0xC001,
    reason="no SOP Instance UID (0008,0018)",
    source="dimse",
    size=1000,
    received_at=NOW,
    content_digest=b"digest",
    calling_ae_title="PACS",
)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[QuarantineTable]:
    with Database.open(tmp_path / "index.db") as database:
        yield QuarantineTable(database, SetClock(NOW + 100))


def test_new_content_is_held_and_has_to_be_kept(table: QuarantineTable) -> None:
    row, keep = table.add(NEW)
    assert keep
    assert row == table.get("q1")
    assert (row.state, row.times_seen, row.failure_reason, row.calling_ae_title) == (HELD, 1, 0xC001, "PACS")


def test_same_content_again_is_one_row_seen_twice(table: QuarantineTable) -> None:
    table.add(NEW)
    row, keep = table.add(replace(NEW, id="q2", received_at=NOW + 5))
    assert not keep
    assert (row.id, row.times_seen, row.received_at) == ("q1", 2, NOW)
    assert table.count() == 1


def test_same_content_in_another_project_is_another_row(table: QuarantineTable) -> None:
    table.add(NEW)
    assert table.add(replace(NEW, id="q2", project="research"))[1]
    assert table.count("research") == 1


@pytest.mark.parametrize("state", [RELEASED, DISCARDED])
def test_decided_content_that_comes_again_is_held_again(table: QuarantineTable, state: str) -> None:
    table.add(NEW)
    table.decide("q1", state, "lead")
    row, keep = table.add(replace(NEW, id="q2", reason="still none", received_at=NOW + 5))
    assert keep
    assert (row.id, row.state, row.reason, row.times_seen, row.decided_by) == ("q1", HELD, "still none", 2, "")


@pytest.mark.parametrize("state", [RELEASED, DISCARDED])
def test_decision_is_made_once(table: QuarantineTable, state: str) -> None:
    table.add(NEW)
    assert table.decide("q1", state, "lead")
    assert not table.decide("q1", RELEASED, "other")
    row = table.get("q1")
    assert row is not None
    assert (row.state, row.decided_by, row.decided_at) == (state, "lead", NOW + 100)


@pytest.mark.parametrize("state", [HELD, EXPIRED, "gone"])
def test_nobody_decides_on_another_state(table: QuarantineTable, state: str) -> None:
    with pytest.raises(ValueError):
        table.decide("q1", state, "lead")


def test_unknown_row_is_none_and_cannot_be_decided(table: QuarantineTable) -> None:
    assert table.get("q9") is None
    assert not table.decide("q9", RELEASED, "lead")


def test_held_rows_are_listed_last_received_first(table: QuarantineTable) -> None:
    for number in range(3):
        table.add(replace(NEW, id=f"q{number}", content_digest=bytes([number]), received_at=NOW + number))
    table.decide("q1", DISCARDED, "lead")
    assert [row.id for row in table.list("default")] == ["q2", "q0"]
    assert [row.id for row in table.list(state=None, limit=2)] == ["q2", "q1"]
    assert [row.id for row in table.list(state=DISCARDED)] == ["q1"]


def test_expired_rows_name_what_is_to_be_destroyed(table: QuarantineTable) -> None:
    table.add(NEW)
    table.add(replace(NEW, id="q2", content_digest=b"later", received_at=NOW + 50))
    table.add(replace(NEW, id="q3", project="research", content_digest=b"x"))
    assert table.expire(NOW + 10, "default") == ("q1",)
    assert table.expire(NOW + 10, "default") == ()
    row = table.get("q1")
    assert row is not None
    assert row.state == EXPIRED

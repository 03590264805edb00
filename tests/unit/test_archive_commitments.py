from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.archive.commitments import (
    CommitmentRole,
    CommitmentState,
    CommitmentTable,
    NewCommitment,
    Verdict,
)
from service.archive.database import Database
from tests.archived import NOW, SetClock

SCP, SCU = CommitmentRole.SCP, CommitmentRole.SCU


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def table(tmp_path: Path, clock: SetClock) -> Iterator[CommitmentTable]:
    with Database.open(tmp_path / "index.db") as database:
        yield CommitmentTable(database, clock)


def new(transaction: str = "t", content: str = "c", role: CommitmentRole = SCP) -> NewCommitment:
    return NewCommitment(role, "default", "SCANNER", transaction, content, b"sealed", 2, "ANNOGATE")


def test_a_transaction_is_taken_once_it_is_due(table: CommitmentTable, clock: SetClock) -> None:
    added = table.add(new(), next_at=NOW + 10)
    assert table.lease(SCP, "me", 60) is None
    clock.now = NOW + 10
    taken = table.lease(SCP, "me", 60)
    assert (taken.id if taken else None, table.lease(SCP, "you", 60)) == (added.id, None)


def test_a_lease_that_ran_out_is_anybodys(table: CommitmentTable, clock: SetClock) -> None:
    added = table.add(new(), next_at=NOW)
    table.lease(SCP, "me", 60)
    clock.now = NOW + 61
    taken = table.lease(SCP, "you", 60)
    assert (taken.id if taken else None, table.end(added.id, Verdict(2, 0), owner="me")) == (added.id, False)


def test_each_role_sees_its_own(table: CommitmentTable) -> None:
    table.add(new(role=SCU), next_at=NOW)
    assert (table.lease(SCP, "me", 60), table.next_due_at(SCP), table.next_due_at(SCU)) == (None, None, NOW)


def test_the_same_transaction_again_is_asked_again(table: CommitmentTable, clock: SetClock) -> None:
    first = table.add(new(), next_at=NOW)
    table.end(first.id, Verdict(2, 0))
    clock.now = NOW + 5
    again = table.add(new(), next_at=NOW + 5)
    assert (again.id, again.state, again.requested_at) == (first.id, CommitmentState.OPEN, NOW + 5)


def test_a_transaction_uid_given_twice_is_found_twice(table: CommitmentTable, clock: SetClock) -> None:
    first = table.add(new(content="a"), next_at=NOW)
    clock.now = NOW + 1
    second = table.add(new(content="b"), next_at=NOW)
    assert [row.id for row in table.find(SCP, "t")] == [second.id, first.id]


def test_an_answer_that_came_before_its_request_was_noted_stays(table: CommitmentTable) -> None:
    asked = table.add(new(role=SCU), next_at=NOW + 60, owner="me")
    table.end(asked.id, Verdict(1, 1), sealed=b"answer")
    row = table.get(asked.id)
    assert not table.sent(asked.id, "me", NOW + 100)
    assert row is not None
    assert (row.state, row.committed, row.failed, row.sealed) == (CommitmentState.DONE, 1, 1, b"answer")


def test_what_failed_waits_with_its_reason(table: CommitmentTable) -> None:
    asked = table.add(new(), next_at=NOW, owner="me")
    assert table.postpone(asked.id, "me", NOW + 30, "cannot be reached")
    row = table.get(asked.id)
    assert row is not None
    assert (row.next_at, row.attempts, row.last_error, row.lease_owner) == (NOW + 30, 1, "cannot be reached", "")


def test_what_is_too_early_is_no_attempt(table: CommitmentTable) -> None:
    asked = table.add(new(), next_at=NOW, owner="me")
    table.postpone(asked.id, "me", NOW + 1, failed_attempt=False)
    row = table.get(asked.id)
    assert (row.attempts if row else None) == 0


def test_what_was_given_up_can_be_tried_again(table: CommitmentTable) -> None:
    asked = table.add(new(), next_at=NOW, owner="me")
    table.give_up(asked.id, "me", "nobody answered for days")
    assert table.counts(SCP)[CommitmentState.FAILED] == 1
    assert table.retry(asked.id)
    assert table.lease(SCP, "me", 60) is not None


def test_only_what_ended_is_forgotten(table: CommitmentTable, clock: SetClock) -> None:
    done = table.add(new("a"), next_at=NOW)
    open_one = table.add(new("b"), next_at=NOW)
    table.end(done.id, Verdict(2, 0))
    clock.now = NOW + 100
    assert table.forget(NOW + 50) == 1
    assert (table.get(done.id), table.get(open_one.id) is None) == (None, False)

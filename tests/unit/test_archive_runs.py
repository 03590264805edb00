from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.archive.database import Database
from service.archive.instances import InstanceIndex
from service.archive.rows import RunRow, RunState
from service.archive.runs import RunTable
from tests.archived import NOW, SetClock, new_instance
from tests.datasets import STUDY_UID


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "index.db") as database:
        yield database


@pytest.fixture
def study_row_id(database: Database, clock: SetClock) -> int:
    outcome = InstanceIndex(database, clock).add(new_instance())
    assert outcome.instance is not None
    return outcome.instance.study_row_id


@pytest.fixture
def runs(database: Database, clock: SetClock) -> RunTable:
    return RunTable(database, clock)


def queue(
    runs: RunTable, study_row_id: int, digest: str = "a", annotator: str = "nodules", series: str = "1.2"
) -> RunRow:
    return runs.enqueue("default", study_row_id, annotator, series, digest)[0]


def current(runs: RunTable, run: RunRow) -> RunRow:
    row = runs.get(run.id)
    assert row is not None
    return row


def test_new_run_waits_as_version_one(runs: RunTable, study_row_id: int) -> None:
    run, is_new = runs.enqueue("default", study_row_id, "nodules", "1.2", "a")
    assert is_new
    assert (run.version, run.state, run.study_uid, run.queued_at) == (1, RunState.QUEUED, STUDY_UID, NOW)


def test_same_inputs_are_one_run(runs: RunTable, study_row_id: int) -> None:
    first = queue(runs, study_row_id)
    assert runs.enqueue("default", study_row_id, "nodules", "1.2", "a") == (first, False)


def test_other_inputs_are_the_next_version(runs: RunTable, study_row_id: int) -> None:
    assert [queue(runs, study_row_id, digest).version for digest in ("a", "b", "c")] == [1, 2, 3]


def test_versions_count_by_annotator_and_series(runs: RunTable, study_row_id: int) -> None:
    queue(runs, study_row_id)
    assert queue(runs, study_row_id, annotator="lungs").version == 1
    assert queue(runs, study_row_id, series="1.3").version == 1


def test_lease_takes_what_waited_longest(runs: RunTable, study_row_id: int, clock: SetClock) -> None:
    first = queue(runs, study_row_id, "a")
    clock.now += 1
    queue(runs, study_row_id, "b")
    leased = runs.lease("worker-1", 30)
    assert leased is not None
    assert (leased.id, leased.state, leased.lease_owner) == (first.id, RunState.RUNNING, "worker-1")
    assert (leased.lease_until, leased.attempts, leased.started_at) == (NOW + 31, 1, NOW + 1)


def test_nothing_waiting_is_nothing_leased(runs: RunTable) -> None:
    assert runs.lease("worker-1", 30) is None


def test_leased_run_is_leased_once(runs: RunTable, study_row_id: int) -> None:
    queue(runs, study_row_id)
    assert runs.lease("worker-1", 30) is not None
    assert runs.lease("worker-2", 30) is None


def test_workers_of_two_openings_never_lease_the_same_run(
    tmp_path: Path, database: Database, study_row_id: int
) -> None:
    table = RunTable(database, SetClock())
    for number in range(20):
        queue(table, study_row_id, str(number))
    taken: list[int] = []

    def work(opened: Database, owner: str) -> None:
        while run := RunTable(opened, SetClock()).lease(owner, 30):
            taken.append(run.id)

    with Database.open(tmp_path / "index.db") as second:
        threads = [threading.Thread(target=work, args=(opened, str(opened))) for opened in (database, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(taken) == len(set(taken)) == 20


def test_finished_run_says_what_came_of_it(runs: RunTable, study_row_id: int, clock: SetClock) -> None:
    run = queue(runs, study_row_id)
    runs.lease("worker-1", 30)
    clock.now += 5
    assert runs.finish(run.id, "worker-1", RunState.DONE, summary="3 nodules", findings='[{"label": "Nodule 1"}]')
    done = current(runs, run)
    assert (done.state, done.summary, done.findings) == (RunState.DONE, "3 nodules", '[{"label": "Nodule 1"}]')
    assert (done.finished_at, done.lease_owner, done.lease_until) == (NOW + 5, "", None)


def test_run_of_another_owner_cannot_be_finished(runs: RunTable, study_row_id: int) -> None:
    run = queue(runs, study_row_id)
    runs.lease("worker-1", 30)
    assert not runs.finish(run.id, "worker-2", RunState.DONE)
    assert current(runs, run).state is RunState.RUNNING


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.RUNNING])
def test_run_does_not_end_unfinished(runs: RunTable, state: RunState) -> None:
    with pytest.raises(ValueError):
        runs.finish(1, "worker-1", state)


def test_finish_belongs_to_the_transaction_it_is_given(runs: RunTable, study_row_id: int, database: Database) -> None:
    run = queue(runs, study_row_id)
    runs.lease("worker-1", 30)

    def fail() -> None:
        with database.write() as connection:
            runs.finish(run.id, "worker-1", RunState.DONE, connection=connection)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert current(runs, run).state is RunState.RUNNING


def test_renewed_lease_lasts_longer(runs: RunTable, study_row_id: int) -> None:
    run = queue(runs, study_row_id)
    runs.lease("worker-1", 30)
    assert runs.renew(run.id, "worker-1", 30, now=NOW + 20)
    assert runs.requeue_expired(3, now=NOW + 49) == (0, 0)
    assert not runs.renew(run.id, "worker-2", 30)


def test_expired_lease_is_queued_again(runs: RunTable, study_row_id: int) -> None:
    run = queue(runs, study_row_id)
    runs.lease("worker-1", 30)
    assert runs.requeue_expired(3, now=NOW + 31) == (1, 0)
    assert current(runs, run).state is RunState.QUEUED
    assert not runs.finish(run.id, "worker-1", RunState.DONE)


def test_run_that_outlived_its_attempts_has_failed(runs: RunTable, study_row_id: int) -> None:
    run = queue(runs, study_row_id)
    for _ in range(2):
        runs.lease("worker-1", 30)
        runs.requeue_expired(2, now=NOW + 31)
    failed = current(runs, run)
    assert (failed.state, failed.attempts, failed.finished_at) == (RunState.FAILED, 2, NOW + 31)
    assert "2 times" in failed.reason


def test_failed_run_can_be_tried_again(runs: RunTable, study_row_id: int) -> None:
    run = queue(runs, study_row_id)
    runs.lease("worker-1", 30)
    runs.finish(run.id, "worker-1", RunState.FAILED, reason="out of memory")
    assert runs.retry(run.id)
    again = current(runs, run)
    assert (again.state, again.reason, again.attempts) == (RunState.QUEUED, "", 0)
    assert not runs.retry(run.id)


def test_runs_of_a_study_are_listed_by_annotator_and_version(runs: RunTable, study_row_id: int) -> None:
    for annotator, digest in (("nodules", "a"), ("lungs", "a"), ("nodules", "b")):
        queue(runs, study_row_id, digest, annotator)
    listed = [(run.annotator, run.version) for run in runs.of_study("default", STUDY_UID)]
    assert listed == [("lungs", 1), ("nodules", 1), ("nodules", 2)]
    assert runs.of_study("research", STUDY_UID) == []


def test_counts_name_every_state(runs: RunTable, study_row_id: int) -> None:
    queue(runs, study_row_id, "a")
    queue(runs, study_row_id, "b")
    runs.lease("worker-1", 30)
    assert runs.counts("default") == dict.fromkeys(RunState, 0) | {RunState.QUEUED: 1, RunState.RUNNING: 1}


def leased(runs: RunTable) -> list[str]:
    """The annotators of all runs that a worker would be given now."""
    return [run.annotator for run in iter(lambda: runs.lease("worker", 600.0), None)]


def test_a_run_waits_until_its_time_or_until_it_is_let_go(runs: RunTable, study_row_id: int, clock: SetClock) -> None:
    for annotator, not_before in (("waits", NOW + 60), ("goes", NOW + 60), ("ready", 0.0)):
        runs.enqueue("default", study_row_id, annotator, "1.2", "a", not_before=not_before)
    assert leased(runs) == ["ready"]
    assert runs.held_back("default", "goes") == {STUDY_UID: ["1.2"]}
    assert runs.let_go("default", "goes", STUDY_UID) == 1
    assert runs.held_back("default", "goes") == {}
    assert leased(runs) == ["goes"]
    clock.now += 61
    assert leased(runs) == ["waits"]

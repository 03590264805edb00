"""The pool with real processes that end as they should, die, hang or cannot begin."""

from __future__ import annotations

import threading
import time

import pytest

from service.core.archived import RunState
from service.core.bell import Bell
from service.jobs.worker import PoolLimits, WorkerPool
from tests.fakes.fixed_annotator import FixedAnnotator
from tests.jobs_house import JobsHouse
from tests.patience import PATIENCE_S
from tests.pool_executors import MakeExecutor


class RunningPool:
    """A pool in a thread, over a house whose study has gone quiet."""

    def __init__(self, folder, kind, **limits):
        self.house = JobsHouse(folder, [FixedAnnotator()])
        self.house.clock.now = time.time()
        self.bell = Bell(folder / "bells")
        self.ends = []
        self.ended = threading.Condition()
        self.pool = WorkerPool(
            watch=self.house.watch,
            runs=self.house.runs,
            make_executor=MakeExecutor(folder, kind),
            owner="pool",
            clock=self.house.clock,
            limits=PoolLimits(**{"sweep_s": 0.2, "trouble_s": 0.1, "grace_s": 0.1} | limits),
            on_ended=self._note,
        )
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        with self.bell.listen("studies") as wake:
            self.pool.run(wake)

    def _note(self, run, end):
        with self.ended:
            self.ends.append(end)
            self.ended.notify_all()

    def receive(self):
        outcome = self.house.receive_slices(3)
        self.house.clock.now += 61
        self.bell.ring("studies")
        return outcome.study_uid

    def wait_for(self, count):
        with self.ended:
            assert self.ended.wait_for(lambda: len(self.ends) >= count, PATIENCE_S)
        return self.ends

    def stop(self):
        self.pool.stop()
        self.bell.ring("studies")
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        self.bell.close()


@pytest.fixture
def start(tmp_path):
    running = []

    def start(kind, **limits):
        running.append(RunningPool(tmp_path, kind, **limits))
        running[-1].thread.start()
        return running[-1]

    yield start
    for one in running:
        if one.thread.is_alive():
            one.stop()
        one.house.close()


def run_of(running, study_uid):
    (run,) = running.house.all_runs(study_uid)
    return run


def test_complete_study_is_worked_on_in_another_process(start):
    running = start("ends")
    study_uid = running.receive()
    running.wait_for(1)
    run = run_of(running, study_uid)
    assert run.state is RunState.DONE
    assert run.summary.startswith("by ")


def test_run_whose_process_died_is_carried_out_by_another(start):
    running = start("dies-once")
    study_uid = running.receive()
    running.wait_for(1)
    run = run_of(running, study_uid)
    assert (run.state, run.attempts) == (RunState.DONE, 2)


def test_run_that_kills_every_process_fails_in_words(start):
    running = start("dies", attempts=2)
    study_uid = running.receive()
    running.wait_for(1)
    run = run_of(running, study_uid)
    assert run.state is RunState.FAILED
    assert run.reason == "the worker ended (signal 9) before the run did, 2 times"


def test_run_that_hangs_fails_in_words(start):
    running = start("hangs", attempts=1, run_s=0.5)
    study_uid = running.receive()
    running.wait_for(1)
    assert run_of(running, study_uid).state is RunState.FAILED


def test_process_that_cannot_answer_any_more_is_ended(start):
    pool = start("falls-silent")
    pool.receive()
    (end,) = pool.wait_for(1)
    assert (end.state, "3 times" in end.reason) == (RunState.FAILED, True)


def test_trouble_of_the_house_is_the_reason_at_last(start):
    running = start("trouble", attempts=1)
    study_uid = running.receive()
    running.wait_for(1)
    run = run_of(running, study_uid)
    assert (run.state, run.reason) == (RunState.FAILED, "the disk of the archive is full")


def test_stopping_gives_a_run_at_hand_back_uncounted(start):
    running = start("hangs")
    study_uid = running.receive()
    asked = running.house.ingest.folder / "asked"
    deadline = time.monotonic() + PATIENCE_S
    with running.ended:
        while not asked.exists() and time.monotonic() < deadline:
            running.ended.wait(0.05)
    running.stop()
    run = run_of(running, study_uid)
    assert (run.state, run.attempts, run.lease_owner) == (RunState.QUEUED, 0, "")


def test_process_that_cannot_begin_takes_no_run_with_it(start):
    running = start("stillborn", attempts=1)
    study_uid = running.receive()
    with running.ended:
        assert not running.ended.wait_for(lambda: running.ends, 3.0)
    running.stop()
    assert (run_of(running, study_uid).state, run_of(running, study_uid).attempts) == (RunState.QUEUED, 0)

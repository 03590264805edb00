"""The embedded pool: makes studies complete, leases runs, hands them to processes, and minds those that die.

Nothing is polled: it wakes when the bell rings, when a process answers or ends, and when the next study goes quiet or
the next lease wants renewing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import Protocol

import structlog

from dicom_nodes.errors import GatewayError
from service.archive.runs import RunTable
from service.core.archived import RunRow, RunState
from service.core.fault_place import fault_place
from service.jobs.completeness import StudyWatch
from service.jobs.run_end import RunEnd
from service.jobs.worker_process import Answer, Executor, WorkerProcess

_log = structlog.get_logger("annogate.jobs")


class WakeUp(Protocol):
    """A bell's listener."""

    def fileno(self) -> int:
        """Readable when it rang."""

    def wait(self, timeout: float | None) -> bool:
        """Take the rings so far."""


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many processes, and how long for what, in seconds.

    Parameters
    ----------
    attempts : processes that a run may end before it has failed
    lease_s : a run whose worker says nothing for so long is somebody else's
    sweep_s : between looks that nobody asked for
    run_s : a run that takes longer has hung, and its process is ended
    idle_s : a process without work for so long gives its memory back
    trouble_s : before a run is tried again that disk or index stopped
    grace_s : what a run has left when the pool stops
    """

    workers: int = 1
    attempts: int = 3
    lease_s: float = 120.0
    sweep_s: float = 30.0
    run_s: float = 3600.0
    idle_s: float = 600.0
    trouble_s: float = 10.0
    grace_s: float = 5.0


class WorkerPool:
    """Carries out the runs of every project; several pools may run beside each other.

    Parameters
    ----------
    make_executor : makes what carries runs out, in each process; can be pickled
    owner : names this pool in leases; no other one has the same
    clock : seconds since the epoch, UTC
    monotonic : seconds that never go back, for how long something took
    on_ended : told of each run that ended, and how
    """

    def __init__(
        self,
        *,
        watch: StudyWatch,
        runs: RunTable,
        make_executor: Callable[[], Executor],
        owner: str,
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
        limits: PoolLimits | None = None,
        on_ended: Callable[[RunRow, RunEnd], None] | None = None,
    ) -> None:
        self._watch = watch
        self._runs = runs
        self._make_executor = make_executor
        self._owner = owner
        self._clock = clock
        self._monotonic = monotonic
        self._limits = limits or PoolLimits()
        self._on_ended = on_ended
        self._context = get_context("spawn")
        self._processes: list[WorkerProcess] = []
        self._no_start_before = 0.0
        self._stopped = False

    def run(self, wake: WakeUp) -> None:
        """Work until `stop`."""
        try:
            while not self._stopped:
                self._wait(wake, self._turn())
        finally:
            self._end_processes()

    def stop(self) -> None:
        """End; whoever calls rings the bell. Runs at hand get a moment, then are queued again."""
        self._stopped = True

    def _turn(self) -> float:
        """Do what is to be done now; seconds until something may be to do again."""
        try:
            self._collect()
            self._watch.complete_due()
            self._runs.requeue_expired(self._limits.attempts)
            self._renew()
            self._dispatch()
            return self._rest()
        except GatewayError as error:
            _log.error("jobs.trouble", reason=str(error))
        except Exception as error:  # noqa: BLE001  # rows say what is left to do; the next turn does it
            _log.error("jobs.trouble", reason=fault_place(error))
        return self._limits.trouble_s

    def _wait(self, wake: WakeUp, seconds: float) -> None:
        if self._stopped:
            return
        waitables = [one for process in self._processes for one in process.waitables]
        wait([wake.fileno(), *waitables], seconds)
        wake.wait(0)

    def _collect(self) -> None:
        """Hear what processes say, and take leave of those that ended."""
        for process in list(self._processes):
            run = process.run
            answer = process.answer()
            if answer is not None and run is not None:
                process.since = self._monotonic()
                self._hear(run, answer)
            if process.run is not None and self._monotonic() - process.since > self._limits.run_s:
                _log.error("run.hung", run=process.run.id, annotator=process.run.annotator)
                process.stop(at_once=True)
            if process.has_ended:
                self._bury(process)

    def _hear(self, run: RunRow, answer: Answer) -> None:
        if answer.end is not None:
            self._tell(run, answer.end)
        elif run.attempts >= self._limits.attempts:
            end = RunEnd.failed(answer.trouble)
            self._runs.finish(run.id, self._owner, end.state, reason=end.reason)
            self._tell(run, end)
        else:
            _log.warning("run.trouble", run=run.id, annotator=run.annotator, reason=answer.trouble)
            self._runs.renew(run.id, self._owner, self._limits.trouble_s)

    def _bury(self, process: WorkerProcess) -> None:
        """A process ended: its run is anybody's from now on, as often as attempts allow."""
        self._processes.remove(process)
        run = process.run
        _log.warning("worker.ended", exit_code=process.exit_code, run=None if run is None else run.id)
        if run is None:
            # It could not even begin; the next one is given time, lest they end one after the other.
            self._no_start_before = self._monotonic() + self._limits.trouble_s
        elif run.attempts >= self._limits.attempts:
            words = f"the worker ended ({_how(process.exit_code)}) before the run did, {run.attempts} times"
            self._runs.finish(run.id, self._owner, RunState.FAILED, reason=words)
            self._tell(run, RunEnd.failed(words))
        else:
            self._runs.renew(run.id, self._owner, -1.0)

    def _renew(self) -> None:
        now = self._monotonic()
        for process in self._processes:
            if process.run is None or now - process.renewed_at < self._limits.lease_s / 3:
                continue
            process.renewed_at = now
            if not self._runs.renew(process.run.id, self._owner, self._limits.lease_s):
                _log.warning("run.lease_lost", run=process.run.id)

    def _dispatch(self) -> None:
        """Give waiting runs to idle processes."""
        while (process := self._idle_process()) is not None:
            run = self._runs.lease(self._owner, self._limits.lease_s)
            if run is None:
                break
            process.start(run, self._owner, self._monotonic())
        self._send_home()

    def _idle_process(self) -> WorkerProcess | None:
        """One that takes a run now; where there is none but work is in sight one is started, and says when it can."""
        for process in self._processes:
            if process.is_ready and process.run is None and not process.has_ended:
                return process
        # One after the other: a process that cannot begin shows before the next one is started.
        if any(not process.is_ready for process in self._processes):
            return None
        if len(self._processes) >= self._limits.workers or self._monotonic() < self._no_start_before:
            return None
        # As soon as a study comes in: what annotators need is loaded by the time that it is complete.
        if self._watch.next_due_at() is not None or self._runs.any_waiting():
            self._start_process()
        return None

    def _start_process(self) -> None:
        process = WorkerProcess(self._context, self._make_executor)
        process.since = self._monotonic()
        self._processes.append(process)

    def _send_home(self) -> None:
        for process in list(self._processes):
            if process.run is None and self._monotonic() - process.since > self._limits.idle_s:
                self._processes.remove(process)
                process.stop(at_once=False)

    def _rest(self) -> float:
        times = [self._limits.sweep_s]
        if self._monotonic() < self._no_start_before:
            times.append(self._no_start_before - self._monotonic())
        if any(process.run is not None for process in self._processes):
            times.append(self._limits.lease_s / 3)
        due = self._watch.next_due_at()
        if due is not None:
            # Overdue: it waits for objects on their way, which may end without a ring.
            times.append(due - self._clock() if due > self._clock() else 1.0)
        return max(0.0, min(times))

    def _tell(self, run: RunRow, end: RunEnd) -> None:
        _log.info("run.ended", run=run.id, annotator=run.annotator, state=str(end.state), reason=end.reason)
        if self._on_ended is not None:
            self._on_ended(run, end)

    def _end_processes(self) -> None:
        """Let runs at hand end if they do so soon; the others are queued again as if they had not been taken."""
        busy = [process for process in self._processes if process.run is not None]
        deadline = self._monotonic() + self._limits.grace_s
        while busy and (left := deadline - self._monotonic()) > 0:
            wait([one for process in busy for one in process.waitables], left)
            self._collect()
            busy = [process for process in self._processes if process.run is not None]
        for process in self._processes:
            run = process.run
            process.stop(at_once=run is not None or not process.is_ready)
            if run is not None:
                self._runs.give_back(run.id, self._owner)
        self._processes.clear()


def _how(exit_code: int | None) -> str:
    return f"signal {-exit_code}" if exit_code is not None and exit_code < 0 else f"exit code {exit_code}"

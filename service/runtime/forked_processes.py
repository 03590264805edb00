"""Processes that one process forks and keeps: each comes again when it ends, and all of them end with it.

The keeper stays in one thread and opens nothing, so that it can fork at any time, and what it forks shares its memory
of imported modules. What a dead process had in hand is found again by whoever looks next: files and rows say what is
left to do.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Self

import structlog

from service.runtime.parent_death import end_with
from service.runtime.signal_socket import SignalSocket

FIRST_PAUSE_S: Final = 0.2  # before a process that ended is started again; doubles up to LONGEST_PAUSE_S
LONGEST_PAUSE_S: Final = 30.0
STEADY_S: Final = 60.0  # a process that lived so long starts again without a longer pause
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

log = structlog.get_logger("annogate")


class ForkedProcess:
    """A place for a process, and the process that fills it now.

    Parameters
    ----------
    name : of the place, as logs call it
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.pid = 0
        self.pid_fd = -1
        self.ready_fd = -1
        self.ready = False
        self.started_at = 0.0
        self.pause_s = FIRST_PAUSE_S
        self.due_at: float | None = 0.0
        """When it is to be started; None while it lives."""

    def work(self, say_ready: Callable[[], None]) -> None:
        """What the process does, from the fork to SIGTERM."""
        raise NotImplementedError

    def before_fork(self) -> None:
        """Make what keeper and process share."""

    def after_fork(self) -> None:
        """In the keeper: let go of what only the process needs. Called as well when there could be none."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A process says that it listens or works."""

    process: Any


@dataclass(frozen=True, slots=True)
class Ended:
    """A process is gone; ``status`` is its exit code, or the negative number of the signal that killed it."""

    process: Any
    status: int


@dataclass(frozen=True, slots=True)
class Signalled:
    """The keeper itself has got signals."""

    numbers: frozenset[int]


@dataclass(frozen=True, slots=True)
class Readable:
    """Something else that was registered can be read."""

    what: Any
    data: Any


Happened = Ready | Ended | Signalled | Readable


class ForkedProcesses:
    """Keeps processes for the length of a ``with``; they are ended at its end.

    Parameters
    ----------
    kind : what logs call one of them
    stop_s : how long they may take to end before they are killed
    signals : taken from their default for the keeper, and told as ``Signalled``
    """

    def __init__(
        self,
        kind: str,
        processes: Sequence[ForkedProcess],
        stop_s: float,
        signals: tuple[signal.Signals, ...] = (signal.SIGTERM,),
    ) -> None:
        self._kind = kind
        self._processes = tuple(processes)
        self._stop_s = stop_s
        self._signals = SignalSocket(signals)
        self.selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        gc.freeze()  # what is there now is shared with every process; collecting it would unshare it
        self.selector.register(self._signals.__enter__(), selectors.EVENT_READ)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self.selector.close()
        self._signals.__exit__()

    @property
    def all_ready(self) -> bool:
        """Whether every process has said so in this life."""
        return all(process.ready for process in self._processes)

    def next(self, until: float | None = None) -> list[Happened]:
        """Start what is due, then wait for what happens, up to ``until`` on the monotonic clock."""
        self._start_due()
        happened = (self._look_at(key) for key, _ in self.selector.select(self._rest(until)))
        return [one for one in happened if one is not None]

    def again(self, ended: Ended) -> None:
        """Start one that ended again after a pause."""
        process = ended.process
        lived_s = time.monotonic() - process.started_at
        pause_s = FIRST_PAUSE_S if lived_s > STEADY_S else min(process.pause_s * 2, LONGEST_PAUSE_S)
        self._postpone(process, pause_s)
        log.error(f"{self._kind} is started again", ended=process.name, status=ended.status, pause_s=pause_s)

    def _rest(self, until: float | None) -> float | None:
        due = [process.due_at for process in self._processes if process.due_at is not None]
        due += [] if until is None else [until]
        return max(0.0, min(due) - time.monotonic()) if due else None

    @staticmethod
    def _postpone(process: ForkedProcess, pause_s: float) -> None:
        process.pause_s = pause_s
        process.due_at = time.monotonic() + pause_s

    def _start_due(self) -> None:
        for process in self._processes:
            if process.due_at is None or process.due_at > time.monotonic():
                continue
            try:
                self._start(process)
            except OSError as error:  # no memory or no process left: that must not end the ones that live
                self._postpone(process, min(process.pause_s * 2, LONGEST_PAUSE_S))
                words = f"{self._kind} could not be started"
                log.error(words, missing=process.name, reason=error.strerror, pause_s=process.pause_s)  # noqa: TRY400

    def _start(self, process: ForkedProcess) -> None:
        ready_read, ready_write = os.pipe()
        keeper = os.getpid()
        process.before_fork()
        try:
            with _signals_held_back():
                pid = os.fork()
                if not pid:
                    os.close(ready_read)
                    self._become(process, ready_write, keeper)
        except OSError:
            os.close(ready_read)
            raise
        finally:  # never reached by the process: it exits
            os.close(ready_write)
            process.after_fork()
        try:
            # It becomes readable when the process itself ends, whatever its own children do.
            process.pid_fd = os.pidfd_open(pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(ready_read)
            raise
        process.pid, process.ready_fd = pid, ready_read
        process.ready, process.due_at, process.started_at = False, None, time.monotonic()
        self.selector.register(process.pid_fd, selectors.EVENT_READ, process)
        self.selector.register(process.ready_fd, selectors.EVENT_READ, process)

    def _become(self, process: ForkedProcess, ready_fd: int, keeper: int) -> NoReturn:
        """Go on as the process."""
        status = 1
        try:
            self._let_go()
            end_with(keeper)
            process.work(lambda: _say_ready(ready_fd))
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except Exception as error:  # noqa: BLE001 -- the edge of a process; its words may quote a value
            log.error(f"{self._kind} failed", reason=type(error).__name__)  # noqa: TRY400
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _let_go(self) -> None:
        """Leave the keeper's signals and descriptors to the keeper."""
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        self.selector.close()
        self._signals.close()
        for other in self._processes:
            _close_descriptors(other)

    def _look_at(self, key: selectors.SelectorKey) -> Happened | None:
        if key.fd not in self.selector.get_map():
            return None  # of a process whose end was met a moment ago
        if key.fileobj is self._signals.read:
            return Signalled(frozenset(self._signals.read.recv(64)))
        if not isinstance(key.data, ForkedProcess):
            return Readable(key.fileobj, key.data)
        if key.fd == key.data.pid_fd:
            return Ended(key.data, self._reap(key.data))
        key.data.ready = bool(os.read(key.fd, 1))
        self._close_ready(key.data)
        return Ready(key.data) if key.data.ready else None

    def _close_ready(self, process: ForkedProcess) -> None:
        if process.ready_fd >= 0:
            self.selector.unregister(process.ready_fd)
            os.close(process.ready_fd)
            process.ready_fd = -1

    def _reap(self, process: ForkedProcess) -> int:
        _, status = os.waitpid(process.pid, 0)
        self._close_ready(process)
        self.selector.unregister(process.pid_fd)
        os.close(process.pid_fd)
        process.pid, process.pid_fd, process.ready = 0, -1, False
        return os.waitstatus_to_exitcode(status)

    def _stop(self) -> None:
        """End all, and wait for them only so long."""
        alive = [process for process in self._processes if process.pid]
        for process in alive:
            signal.pidfd_send_signal(process.pid_fd, signal.SIGTERM)
        until = time.monotonic() + self._stop_s
        for process in alive:
            with selectors.DefaultSelector() as ended:
                ended.register(process.pid_fd, selectors.EVENT_READ)
                if not ended.select(max(0.1, until - time.monotonic())):
                    log.warning(f"{self._kind} did not end in time", ended=process.name)
                    signal.pidfd_send_signal(process.pid_fd, signal.SIGKILL)
            self._reap(process)


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Signals that come meanwhile are taken afterwards: the keeper's by the keeper, the process's by the process."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _close_descriptors(process: ForkedProcess) -> None:
    for descriptor in (process.pid_fd, process.ready_fd):
        if descriptor >= 0:
            os.close(descriptor)


def _say_ready(fd: int) -> None:
    os.write(fd, b"\n")
    os.close(fd)

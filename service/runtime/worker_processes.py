"""Several processes that do the same work, below one that only starts them, and starts again those that die.

The parent stays in one thread and opens nothing, so that it can fork at any time; workers share its memory of imported
modules. What a dead one had in hand is found again by whoever looks next: files and rows say what is left to do.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from service.runtime.parent_death import end_with
from service.runtime.signal_socket import SignalSocket

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 30.0
STEADY_S: Final = 60.0
STOP_S: Final = 15.0

log = structlog.get_logger("annogate")

Work = Callable[[int, Callable[[], None]], None]
"""What a worker does from its start to SIGTERM: its number from 0, and what it calls when it works."""


@dataclass
class _Place:
    """One worker's place, and the process that fills it now."""

    number: int
    pid: int = 0
    pid_fd: int = -1
    ready_fd: int = -1
    ready: bool = False
    started_at: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    due_at: float | None = 0.0


class WorkerProcesses:
    """Keeps ``count`` workers at work until SIGTERM.

    Parameters
    ----------
    on_ready : called once, when every worker has been ready
    """

    def __init__(self, count: int, work: Work, on_ready: Callable[[], None]) -> None:
        self._work = work
        self._on_ready = on_ready
        self._announced = False
        self._places = [_Place(number) for number in range(count)]
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Stay until SIGTERM, then end the workers."""
        gc.freeze()  # what is there now is shared with every worker; collecting it would unshare it
        with SignalSocket((signal.SIGTERM,)) as wake, self._selector:
            self._selector.register(wake, selectors.EVENT_READ)
            try:
                self._watch(wake)
            finally:
                self._stop()

    def _watch(self, wake: socket.socket) -> None:
        while True:
            self._start_due()
            for key, _ in self._selector.select(self._rest()):
                if key.fileobj is wake:
                    return
                if key.fd == key.data.ready_fd:
                    self._hear(key.data)
                else:
                    self._ended(key.data)

    def _rest(self) -> float | None:
        due = [place.due_at for place in self._places if place.due_at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _start_due(self) -> None:
        for place in self._places:
            if place.due_at is None or place.due_at > time.monotonic():
                continue
            try:
                self._start(place)
            except OSError as error:  # no memory or no process left: that must not end the workers that live
                place.pause_s = min(place.pause_s * 2, LONGEST_PAUSE_S)
                place.due_at = time.monotonic() + place.pause_s
                log.error("worker could not be started", reason=error.strerror, pause_s=place.pause_s)  # noqa: TRY400

    def _start(self, place: _Place) -> None:
        ready_read, ready_write = os.pipe()
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            os.close(ready_read)
            os.close(ready_write)
            raise
        if not pid:
            os.close(ready_read)
            self._be_worker(place.number, ready_write, parent)
        os.close(ready_write)
        place.pid, place.pid_fd, place.ready_fd = pid, os.pidfd_open(pid), ready_read
        place.ready, place.due_at, place.started_at = False, None, time.monotonic()
        self._selector.register(place.pid_fd, selectors.EVENT_READ, place)
        self._selector.register(place.ready_fd, selectors.EVENT_READ, place)

    def _be_worker(self, number: int, ready_fd: int, parent: int) -> None:
        """Go on as a worker; never returns."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            end_with(parent)
            self._work(number, lambda: _say_ready(ready_fd))
            status = 0
        except Exception as error:  # noqa: BLE001 -- the edge of a process; its parent starts it again
            log.error("worker failed", reason=type(error).__name__)  # noqa: TRY400 -- its words may quote a value
        finally:
            os._exit(status)

    def _hear(self, place: _Place) -> None:
        """A worker says that it works, or has closed its end."""
        place.ready = place.ready or bool(os.read(place.ready_fd, 1))
        self._close_ready(place)
        if not self._announced and all(one.ready for one in self._places):
            self._announced = True
            self._on_ready()

    def _ended(self, place: _Place) -> None:
        status = self._reap(place)
        lived_s = time.monotonic() - place.started_at
        place.pause_s = FIRST_PAUSE_S if lived_s > STEADY_S else min(place.pause_s * 2, LONGEST_PAUSE_S)
        place.due_at = time.monotonic() + place.pause_s
        log.error("worker is started again", ended=place.number, status=status, pause_s=place.pause_s)

    def _reap(self, place: _Place) -> int:
        _, status = os.waitpid(place.pid, 0)
        self._close_ready(place)
        with suppress(KeyError):
            self._selector.unregister(place.pid_fd)
        os.close(place.pid_fd)
        place.pid, place.pid_fd = 0, -1
        return os.waitstatus_to_exitcode(status)

    def _close_ready(self, place: _Place) -> None:
        if place.ready_fd >= 0:
            with suppress(KeyError):
                self._selector.unregister(place.ready_fd)
            os.close(place.ready_fd)
            place.ready_fd = -1

    def _stop(self) -> None:
        alive = [place for place in self._places if place.pid]
        for place in alive:
            signal.pidfd_send_signal(place.pid_fd, signal.SIGTERM)
        until = time.monotonic() + STOP_S
        for place in alive:
            with selectors.DefaultSelector() as one:
                one.register(place.pid_fd, selectors.EVENT_READ)
                if not one.select(max(0.1, until - time.monotonic())):
                    log.warning("worker did not end in time", ended=place.number)
                    signal.pidfd_send_signal(place.pid_fd, signal.SIGKILL)
            self._reap(place)


def _say_ready(fd: int) -> None:
    os.write(fd, b"\n")
    os.close(fd)

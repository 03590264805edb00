"""Queues and events that wake a thread which waits for a socket at the same time.

pynetdicom's two threads per association poll their queues every millisecond. With these in place of its own they
sleep until there is something to do.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import threading
from collections.abc import Callable
from typing import Any


class WakeSignal:
    """A file descriptor that becomes readable when somebody calls ``set``, for use in ``select``."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """The descriptor, -1 once closed."""
        return self._descriptor

    def set(self) -> None:
        """Wake who waits; nothing happens once closed."""
        with self._lock:
            if self._descriptor >= 0:
                os.eventfd_write(self._descriptor, 1)

    def clear(self) -> None:
        """Take the wake-ups so far."""
        with self._lock:
            if self._descriptor >= 0:
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(self._descriptor)

    def wait(self, timeout_s: float) -> None:
        """Wait until somebody calls ``set``, and take it; returns at once when closed."""
        descriptor = self._descriptor
        if descriptor >= 0:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll(timeout_s * 1000)
            self.clear()

    def close(self) -> None:
        """Give the descriptor back."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1


class WakingQueue(queue.Queue[Any]):
    """A queue that calls ``wake`` after each item put in, and after one is taken that was not the last.

    Several items that come together are one wake-up, and pynetdicom takes one item a round.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__()
        self._wake = wake

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put an item in and wake who waits for it."""
        super().put(item, block, timeout)
        self._wake()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take an item, and have whoever waits come again for the next."""
        item = super().get(block, timeout)
        if not self.empty():
            self._wake()
        return item


class ActivityCheckpoint(threading.Event):
    """Stands in for the reactor checkpoint of an association: passing it waits until something happened.

    pynetdicom's reactor passes its checkpoint once a round, so that it can be paused there. Here it also rests there.

    Parameters
    ----------
    rest_s : the longest rest, so that the timers that the reactor looks after are seen to
    """

    def __init__(self, rest_s: float) -> None:
        super().__init__()
        self._rest_s = rest_s
        self._activity = threading.Event()

    def notice(self) -> None:
        """Something happened: end the rest."""
        self._activity.set()

    def set(self) -> None:
        """Let the reactor pass, and at once."""
        super().set()
        self._activity.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Rest until something happens, then wait until passing is allowed."""
        self._activity.wait(self._rest_s)
        self._activity.clear()
        return super().wait(timeout)

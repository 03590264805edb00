"""Objects of a pipelining sender become durable while its next ones come in (PS3.7 D.3.3.3)."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, Final

_LOGGER = logging.getLogger(__name__)
_END_S: Final = 5.0


class CommitLane:
    """A thread that ends objects one after the other, in the order in which they came; started when first needed.

    One sync of the sink serves all objects that were handed to the disk meanwhile, so those that wait here mostly do
    not wait for syncs of their own.

    Parameters
    ----------
    window : how many may wait; who brings one more waits, and so does its sender
    end_object : commits one object and answers for it; never raises
    """

    def __init__(self, window: int, end_object: Callable[[Any], None]) -> None:
        self._waiting: queue.Queue[Any] = queue.Queue(window)
        self._end_object = end_object
        self._thread: threading.Thread | None = None
        self._idle = threading.Condition()
        self._unended = 0

    def put(self, item: Any) -> None:
        """Have an object ended; returns at once while there is room."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="dicom-commits", daemon=True)
            self._thread.start()
        with self._idle:
            self._unended += 1
        self._waiting.put(item)

    def drain(self, timeout_s: float | None) -> bool:
        """Wait until every object has been answered for; whether that is so."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._unended, timeout_s)

    def close(self) -> None:
        """End the thread once what waits is done; waits a moment at most."""
        if self._thread is None:
            return
        try:
            self._waiting.put(None, timeout=_END_S)
        except queue.Full:
            return  # the disk hangs; a thread of its kind does not hold the process
        self._thread.join(_END_S)

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None:
            try:
                self._end_object(item)
            except Exception as error:  # noqa: BLE001 -- one object must not end those behind it, of other peers too
                _LOGGER.error("an object could not be ended: %s", type(error).__name__)  # noqa: TRY400
            finally:
                with self._idle:
                    self._unended -= 1
                    self._idle.notify_all()

"""Reads on their way into the audit trail, written in batches beside the answers.

Opening one study in a viewer makes hundreds of requests, and a transaction with its fsync for each would be slower
than the answers. Reads are therefore queued, and one thread writes all that has gathered in one transaction, then the
next: under load a batch is as long as one transaction takes, at rest a row is on disk within milliseconds.

What it costs: SIGKILL or a loss of power can lose the reads of the transaction under way and those queued behind it,
some hundredths of a second; a clean stop loses none. Decisions never come this way. When the queue is full the caller
waits, and when the index takes no rows at all the request fails: nothing is read unrecorded for longer than that.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import replace

from service.archive.audit import AuditEvent, AuditTrail
from service.errors import StorageExhausted

_BATCH = 1000


class AuditBuffer:
    """A bounded queue before a trail, and the thread that empties it.

    Parameters
    ----------
    capacity : events that may wait
    patience_s : how long a caller waits for room, and the thread before it tries again after a failed write
    on_failure : told of each write that failed; the batch is kept and tried again
    """

    def __init__(
        self,
        trail: AuditTrail,
        *,
        capacity: int = 20_000,
        patience_s: float = 5.0,
        on_failure: Callable[[Exception], None] | None = None,
    ) -> None:
        self._trail = trail
        self._queue: queue.Queue[AuditEvent | None] = queue.Queue(capacity)
        self._patience_s = patience_s
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def record(self, event: AuditEvent) -> None:
        """Queue one event; its time is now.

        The thread starts with the first event, so that a process that forks before serving has its own.

        Raises
        ------
        StorageExhausted : the queue is full and nothing leaves it
        """
        stamped = event if event.at is not None else replace(event, at=self._trail.now())
        self._started()
        try:
            self._queue.put(stamped, timeout=self._patience_s)
        except queue.Full as error:
            raise StorageExhausted("the audit trail takes no rows") from error

    def flush(self) -> None:
        """Wait until everything queued so far is on disk."""
        if self._thread is not None:
            self._queue.join()

    def close(self) -> None:
        """Write what is queued and end the thread; a later event starts another."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            self._stopping.set()
            self._queue.put(None)
            thread.join()
            self._stopping.clear()

    def _started(self) -> None:
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="audit-writer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        more = True
        while more:
            batch, more = self._next_batch()
            if batch:
                self._write(batch)
            for _ in range(len(batch) + (not more)):
                self._queue.task_done()

    def _next_batch(self) -> tuple[list[AuditEvent], bool]:
        """Wait for the first event, take what has gathered behind it, and say whether to come again."""
        batch: list[AuditEvent] = []
        event = self._queue.get()
        while event is not None:
            batch.append(event)
            if len(batch) == _BATCH:
                return batch, True
            try:
                event = self._queue.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _write(self, batch: list[AuditEvent]) -> None:
        while True:
            try:
                self._trail.record_all(batch)
            except Exception as error:  # noqa: BLE001 - the thread outlives a full disk; the batch is tried again
                if self._on_failure is not None:
                    self._on_failure(error)
                if self._stopping.wait(self._patience_s):
                    # Stopping: one last try, then the process ends without these rows, having said so.
                    self._last_try(batch)
                    return
            else:
                return

    def _last_try(self, batch: list[AuditEvent]) -> None:
        try:
            self._trail.record_all(batch)
        except Exception as error:  # noqa: BLE001 - nothing is left to try
            if self._on_failure is not None:
                self._on_failure(error)

"""One thread that receives for all associations that send objects, in place of a thread for each.

Threads that receive side by side in one interpreter hand its lock to each other at every system call; with four
senders that took as much processor time as the receiving. One thread that goes from connection to connection finds
more to read at each of them, the busier it is.
"""

from __future__ import annotations

import contextlib
import logging
import select
import threading
from typing import Final, Protocol

from dicom_nodes.wakeable import WakeSignal

_LOGGER = logging.getLogger(__name__)
_BUFFER_BYTES: Final = 256 * 1024
_END_S: Final = 5.0


class Lent(Protocol):
    """A connection that the loop may read from until it gives it back, or it is taken back."""

    descriptor: int
    """Of its socket."""

    def turn(self, buffer: memoryview) -> bool:
        """Receive once, without waiting, by way of a buffer that others use as well; whether the loop goes on."""

    @property
    def unseen(self) -> bool:
        """Whether there is something to read that poll(2) does not tell of: TLS has decrypted it already."""

    def given_back(self) -> None:
        """The loop does not read from it any more; called from its thread."""


class ReceiveLoop:
    """Reads from connections that were lent to it; its thread starts with the first."""

    def __init__(self) -> None:
        self._state = threading.Condition()
        self._lent: dict[int, Lent] = {}
        self._at_work: Lent | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._wake = WakeSignal()

    def lend(self, connection: Lent) -> None:
        """Have the loop read from a connection.

        Raises
        ------
        OSError, ValueError : its socket is closed, or so is the loop
        """
        with self._state:
            if self._closed:
                raise OSError("the loop has ended")
            if self._thread is None:
                self._epoll = select.epoll()
                self._epoll.register(self._wake, select.EPOLLIN)
                self._thread = threading.Thread(target=self._run, name="dicom-receive", daemon=True)
                self._thread.start()
            self._epoll.register(connection.descriptor, select.EPOLLIN)
            self._lent[connection.descriptor] = connection

    def take_back(self, connection: Lent) -> None:
        """Have the loop let go of a connection; when this returns, it has. Not from the loop's own thread."""
        with self._state:
            self._forget(connection)
            while self._at_work is connection:
                self._state.wait()

    def close(self) -> None:
        """End the thread; who lent a connection takes it back as ever."""
        with self._state:
            self._closed = True
            thread = self._thread
        self._wake.set()
        if thread is not None:
            thread.join(_END_S)
        self._wake.close()

    def _forget(self, connection: Lent) -> None:
        # A descriptor that was closed meanwhile may be another connection's by now.
        if self._lent.get(connection.descriptor) is connection:
            del self._lent[connection.descriptor]
            with contextlib.suppress(OSError, ValueError):
                self._epoll.unregister(connection.descriptor)

    def _run(self) -> None:
        buffer = memoryview(bytearray(_BUFFER_BYTES))
        unseen: set[int] = set()
        with self._epoll:
            while not self._closed:
                ready = {descriptor for descriptor, _ in self._epoll.poll(0 if unseen else None)}
                unseen = {descriptor for descriptor in ready | unseen if self._turn(descriptor, buffer)}

    def _turn(self, descriptor: int, buffer: memoryview) -> bool:
        """Have one connection receive; whether to come back to it unasked."""
        with self._state:
            connection = self._at_work = self._lent.get(descriptor)
        if connection is None:
            return False
        goes_on = False
        try:
            goes_on = connection.turn(buffer)
        except Exception as error:  # noqa: BLE001 -- one connection must not end the others
            _LOGGER.error("a connection could not be read: %s", type(error).__name__)  # noqa: TRY400
        finally:
            with self._state:
                self._at_work = None
                if not goes_on:
                    self._forget(connection)
                self._state.notify_all()
        if not goes_on:
            connection.given_back()
        return goes_on and connection.unseen

"""The socket of an association: wakes on data instead of polling, reads in large pieces, never waits on Nagle.

Real senders, dcmtk's storescu among them, leave Nagle's algorithm on and write each PDU in two pieces. The second
piece then waits for our acknowledgement of the first, which the kernel delays by 40 ms unless TCP_QUICKACK is set
again after each receive (it is not a lasting option; tcp(7)).
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final

from pynetdicom.transport import AssociationSocket

from dicom_nodes.wakeable import WakeSignal

_BUFFER_BYTES: Final = 64 * 1024
# An A-ASSOCIATE-RQ with 128 contexts of every transfer syntax stays below 400 KiB.
_NEGOTIATION_BYTES: Final = 1024 * 1024
_MOST_PARTS: Final = 512  # sendmsg(2) takes 1,024
_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)


def set_no_delay(connection: socket.socket) -> None:
    """Send small segments at once: an answer of 200 bytes must not wait for an acknowledgement."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class PduTooLong(OSError):
    """A PDU that claims to be longer than anything we negotiated."""


class EventDrivenSocket(AssociationSocket):  # type: ignore[misc]
    """An association's socket, whose ``ready`` waits for data or for a wake-up.

    Parameters
    ----------
    wake : ends the wait when our own side has something to send
    rest_s : the longest wait, so that the timers of the upper layer are seen to
    maximum_pdu_bytes : what we announced; a PDU far longer breaks the association (PS3.8 D.1)
    """

    def __init__(
        self, assoc: Any, wake: WakeSignal, rest_s: float, maximum_pdu_bytes: int, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(assoc, *args, **kwargs)
        self._wake = wake
        self._rest_s = rest_s
        self._limit = maximum_pdu_bytes + _NEGOTIATION_BYTES
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._held = memoryview(b"")
        # Services answer from a thread of their own: one PDU must not begin within another.
        self._sending = threading.RLock()

    def connect(self, primitive: Any) -> None:
        """Connect, and keep a timeout: a peer that stalls in the middle of a PDU would hold the thread for ever."""
        super().connect(primitive)
        if self.socket is not None:
            self.socket.settimeout(self.assoc.network_timeout)

    @property
    def ready(self) -> bool:
        """Whether there is something to read; waits up to ``rest_s`` for it or for the wake-up."""
        if self._held:
            return True
        connection = self.socket
        if connection is None or not self._is_connected:
            return False
        try:
            # An event that waits to be acted on must not wait for data.
            rest_s = self._rest_s if self.event_queue.empty() else 0.0
            readable = _wait_readable(connection, self._wake, rest_s)
        except (OSError, ValueError):
            self.event_queue.put("Evt17")  # transport connection closed (PS3.8 Table 9-8)
            return False
        self._wake.clear()
        return readable

    def recv(self, nr_bytes: int) -> bytearray:
        """Read ``nr_bytes``, fewer when the peer closed the connection.

        Raises
        ------
        PduTooLong : more was asked for than any PDU may have
        OSError : the connection broke or timed out
        """
        if nr_bytes > self._limit:
            raise PduTooLong(f"a PDU of {nr_bytes} bytes is longer than the negotiated maximum")
        taken = bytearray(nr_bytes)
        view = memoryview(taken)
        filled = self._take_held(view)
        while filled < nr_bytes:
            rest = view[filled:]
            if len(rest) >= _BUFFER_BYTES:
                count = self._receive_into(rest)
            else:
                self._held = self._buffer[: self._receive_into(self._buffer)]
                count = self._take_held(rest)
            if not count:
                return taken[:filled]
            filled += count
        return taken

    def _shutdown_socket(self) -> None:
        """Shut down and close; pynetdicom leaves a socket that never connected open."""
        connection = self.socket
        if connection is None:
            return
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()

    def _take_held(self, into: memoryview) -> int:
        count = min(len(into), len(self._held))
        into[:count] = self._held[:count]
        self._held = self._held[count:]
        return count

    def _receive_into(self, view: memoryview) -> int:
        connection = self.socket
        if connection is None:
            return 0
        count: int = connection.recv_into(view)
        if count and _QUICKACK is not None:
            connection.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        return count

    def send(self, bytestream: bytes) -> None:
        """Send what the upper layer has to send, when no message of another thread is on its way."""
        with self._sending:
            super().send(bytestream)

    def send_message(self, bursts: Iterable[Sequence[bytes | memoryview]]) -> None:
        """Send a message of several bursts of PDUs with nothing in between.

        Raises
        ------
        OSError : the connection broke or timed out
        """
        with self._sending:
            for parts in bursts:
                self.send_parts(parts)

    def send_parts(self, parts: Sequence[bytes | memoryview]) -> None:
        """Send all parts, in order, without joining them.

        Raises
        ------
        OSError : the connection broke or timed out
        """
        left = deque(memoryview(part) for part in parts if len(part))
        with self._sending:
            connection = self.socket
            if connection is None:
                raise ConnectionError("the connection is closed")
            while left:
                sent = connection.sendmsg(list(islice(left, _MOST_PARTS)))
                while left and sent >= len(left[0]):
                    sent -= len(left.popleft())
                if sent:
                    left[0] = left[0][sent:]


def _wait_readable(connection: socket.socket, wake: WakeSignal, timeout_s: float) -> bool:
    """Wait for data or the wake-up; whether there is data. By poll(2): select(2) stops at descriptor 1023."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    if wake.fileno() >= 0:
        poll.register(wake, select.POLLIN)
    return any(descriptor != wake.fileno() for descriptor, _ in poll.poll(timeout_s * 1000))

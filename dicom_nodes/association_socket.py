"""The socket of an association: wakes on data instead of polling, reads in large pieces, never waits on Nagle.

Real senders, dcmtk's storescu among them, leave Nagle's algorithm on and write each PDU in two pieces. The second
piece then waits for our acknowledgement of the first, which the kernel delays by 40 ms unless TCP_QUICKACK is set
again after each receive (it is not a lasting option; tcp(7)).
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import select
import socket
import ssl
import struct
import termios
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from socket import socket as Socket  # noqa: N812 -- the attribute of pynetdicom that holds one is called socket
from typing import Any, Final

from pynetdicom.transport import AssociationSocket

from dicom_nodes.wakeable import WakeSignal

_BUFFER_BYTES: Final = 64 * 1024
# An A-ASSOCIATE-RQ with 128 contexts of every transfer syntax stays below 400 KiB.
_NEGOTIATION_BYTES: Final = 1024 * 1024
_MOST_PARTS: Final = 512  # sendmsg(2) takes 1,024
# More than a last response and an A-ABORT: what a peer leaves unread that stalls.
_LAST_WORDS_BYTES: Final = 1024
_OTHERS_SEND_S: Final = 1.0
_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)
_WOULD_BLOCK: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def set_no_delay(connection: Socket) -> None:
    """Send small segments at once: an answer of 200 bytes must not wait for an acknowledgement."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class PduTooLong(OSError):
    """A PDU that claims to be longer than anything we negotiated."""


class EventDrivenSocket(AssociationSocket):  # type: ignore[misc]
    """An association's socket. It never blocks by itself: every wait is one of ours, has an end and can be woken.

    Parameters
    ----------
    wake : ends the wait for data when our own side has something to send
    rest_s : the longest wait for data, so that the timers of the upper layer are seen to
    maximum_pdu_bytes : what we announced; a PDU far longer breaks the association (PS3.8 D.1)
    """

    socket: Any  # a socket, or None once closed; pynetdicom does not say

    def __init__(
        self, assoc: Any, wake: WakeSignal, rest_s: float, maximum_pdu_bytes: int, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(assoc, *args, **kwargs)
        self._wake = wake
        self._rest_s = rest_s
        self.longest_pdu = maximum_pdu_bytes + _NEGOTIATION_BYTES
        self.is_lent = False
        """Whether a thread that serves other associations too reads and answers: nothing may wait for this peer."""
        self._buffer = memoryview(b"")
        self._held = memoryview(b"")
        self._more = False
        # Services answer from a thread of their own: one PDU must not begin within another.
        self._sending = threading.RLock()
        if self.socket is not None and self._is_connected:
            self.socket.setblocking(False)

    def connect(self, primitive: Any) -> None:
        """Connect; from then on no call blocks."""
        super().connect(primitive)
        if self.socket is not None:
            self.socket.setblocking(False)

    def secure(self, context: ssl.SSLContext, timeout_s: float | None) -> None:
        """Make the handshake of TLS as the side that accepted, in its time.

        Raises
        ------
        OSError : it failed, or took too long
        """
        if self.socket is None:
            raise ConnectionError("the connection is closed")
        secured = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.socket = secured
        deadline = _after(timeout_s)
        while True:
            try:
                secured.do_handshake()
            except ssl.SSLWantReadError:
                _wait_for(secured, select.POLLIN, deadline)
            except ssl.SSLWantWriteError:
                _wait_for(secured, select.POLLOUT, deadline)
            else:
                # What came behind the handshake lies decrypted in its buffer already.
                self._more = secured.pending() > 0
                return

    def fileno(self) -> int:
        """The descriptor, -1 once closed."""
        return -1 if self.socket is None else int(self.socket.fileno())

    @property
    def unseen(self) -> bool:
        """Whether there is something to read that poll(2) does not tell of."""
        return bool(self._held) or (self._more and isinstance(self.socket, ssl.SSLSocket))

    @property
    def ready(self) -> bool:
        """Whether there is something to read; waits up to ``rest_s`` for it or for the wake-up."""
        if self._held:
            return True
        connection = self.socket
        if connection is None or not self._is_connected:
            return False
        try:
            return self._wait_for_data(connection)
        except (OSError, ValueError):
            self.event_queue.put("Evt17")  # transport connection closed (PS3.8 Table 9-8)
            return False

    def receive(self, into: memoryview, *, wait: bool = True) -> int | None:
        """Take what there is; the number of bytes, 0 when the peer has closed, None when nothing came for now.

        Parameters
        ----------
        wait : for data, up to ``rest_s``, or for the wake-up

        Raises
        ------
        OSError : the connection broke
        """
        if self._held:
            return self._take_held(into)
        connection = self.socket
        if connection is None:
            return 0
        # What filled the room that it was given has probably more behind it: ask without waiting first.
        if wait and not self._more and not self._wait_for_data(connection):
            return None
        try:
            return self._receive_into(connection, into)
        except _WOULD_BLOCK:
            self._more = False
            return None

    def keep(self, rest: memoryview) -> None:
        """Give back what was received and is for ``recv`` to read."""
        self._held = memoryview(bytes(rest) + bytes(self._held))

    def recv(self, nr_bytes: int) -> bytearray:
        """Read ``nr_bytes``, fewer when the peer closed the connection.

        Raises
        ------
        PduTooLong : more was asked for than any PDU may have
        OSError : the connection broke, or the bytes did not come in time
        """
        if nr_bytes > self.longest_pdu:
            raise PduTooLong(f"a PDU of {nr_bytes} bytes is longer than the negotiated maximum")
        taken = bytearray(nr_bytes)
        view = memoryview(taken)
        filled = self._take_held(view)
        deadline = _after(self._pdu_timeout_s)
        while filled < nr_bytes:
            rest = view[filled:]
            if len(rest) >= _BUFFER_BYTES:
                count = self._receive_by(deadline, rest)
            else:
                self._buffer = self._buffer or memoryview(bytearray(_BUFFER_BYTES))
                self._held = self._buffer[: self._receive_by(deadline, self._buffer)]
                count = self._take_held(rest)
            if not count:
                return taken[:filled]
            filled += count
        return taken

    def send(self, bytestream: bytes) -> None:
        """Send what the upper layer has to send, when no message of another thread is on its way."""
        try:
            self.send_parts([bytestream])
        except OSError:
            self.event_queue.put("Evt17")

    def send_message(self, bursts: Iterable[Sequence[bytes | memoryview]]) -> None:
        """Send a message of several bursts of PDUs with nothing in between.

        Raises
        ------
        OSError : the connection broke, or the peer does not read
        """
        with self._sending:
            for parts in bursts:
                self.send_parts(parts)

    def send_parts(self, parts: Sequence[bytes | memoryview], *, wait: bool = True) -> None:
        """Send all parts, in order, without joining them.

        Parameters
        ----------
        wait : for a peer that does not read just now; a thread that serves other associations too does not

        Raises
        ------
        OSError : the connection broke, or the peer does not read
        """
        left = deque(memoryview(part) for part in parts if len(part))
        wait = wait and not self.is_lent
        if not self._sending.acquire(timeout=-1 if wait else _OTHERS_SEND_S):
            raise TimeoutError("another message waits for the peer")
        try:
            connection = self.socket
            if connection is None:
                raise ConnectionError("the connection is closed")
            while left:
                sent = self._send_some(connection, left, self.assoc.network_timeout if wait else 0.0)
                while left and sent >= len(left[0]):
                    sent -= len(left.popleft())
                if sent:
                    left[0] = left[0][sent:]
        finally:
            self._sending.release()

    @property
    def _pdu_timeout_s(self) -> float | None:
        """How long one PDU may take from its first byte to its last: a peer may not dribble it for ever."""
        timeout: float | None = self.assoc.network_timeout if self.assoc.is_established else self.assoc.acse_timeout
        return timeout

    def _shutdown_socket(self) -> None:
        """Shut down and close; pynetdicom leaves a socket that never connected open."""
        connection = self.socket
        if connection is None:
            return
        if _unread_bytes(connection) > _LAST_WORDS_BYTES:
            self._reset_on_close(connection)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()

    @staticmethod
    def _reset_on_close(connection: socket.socket) -> None:
        """Let the kernel forget what a peer does not read; it would keep the connection for many minutes."""
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _take_held(self, into: memoryview) -> int:
        count = min(len(into), len(self._held))
        into[:count] = self._held[:count]
        self._held = self._held[count:]
        return count

    def _receive_by(self, deadline: float | None, into: memoryview) -> int:
        """Wait for bytes as long as one PDU may take."""
        while True:
            connection = self.socket
            if connection is None:
                return 0
            try:
                return self._receive_into(connection, into)
            except _WOULD_BLOCK:
                _wait_for(connection, select.POLLIN, deadline)

    def _receive_into(self, connection: Socket, view: memoryview) -> int:
        count: int = connection.recv_into(view)
        # TLS: bytes that lie decrypted in its buffer are not seen by poll(2).
        self._more = count == len(view) or (isinstance(connection, ssl.SSLSocket) and connection.pending() > 0)
        if count and _QUICKACK is not None:
            connection.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        return count

    def _send_some(self, connection: Socket, left: deque[memoryview], timeout_s: float | None) -> int:
        deadline = _after(timeout_s)
        while True:
            try:
                if len(left) == 1 or isinstance(connection, ssl.SSLSocket):
                    return connection.send(left[0])
                return connection.sendmsg(list(islice(left, _MOST_PARTS)))
            except _WOULD_BLOCK:
                try:
                    _wait_for(connection, select.POLLOUT, deadline)
                except TimeoutError:
                    self._reset_on_close(connection)
                    raise
                except ValueError as error:  # poll(2) takes no descriptor that another thread has closed
                    raise ConnectionError("the connection is closed") from error

    def _wait_for_data(self, connection: Socket) -> bool:
        """Wait for data or the wake-up; whether there is data."""
        if self._more and isinstance(connection, ssl.SSLSocket):
            return True
        # An event that waits to be acted on must not wait for data.
        rest_s = self._rest_s if self.event_queue.empty() else 0.0
        ready = _poll(connection, select.POLLIN, rest_s, self._wake)
        if self._wake.fileno() in ready:
            self._wake.clear()
        return connection.fileno() in ready


def _unread_bytes(connection: Socket) -> int:
    """How much of what we sent has not reached the peer (tcp(7), SIOCOUTQ)."""
    count = array.array("i", [0])
    try:
        fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, count)
    except (OSError, ValueError):
        return 0
    return count[0]


def _after(timeout_s: float | None) -> float | None:
    return None if timeout_s is None else time.monotonic() + timeout_s


def _wait_for(connection: Socket, what: int, deadline: float | None) -> None:
    """Wait until a socket can be read from or written to.

    Raises
    ------
    TimeoutError : it could not by the deadline
    """
    left_s = None if deadline is None else deadline - time.monotonic()
    if (left_s is not None and left_s <= 0) or not _poll(connection, what, left_s, None):
        raise TimeoutError("the peer stalls")


def _poll(connection: Socket, what: int, timeout_s: float | None, wake: WakeSignal | None) -> set[int]:
    """Descriptors on which something happened. By poll(2): select(2) stops at descriptor 1023."""
    poll = select.poll()
    poll.register(connection, what)
    if wake is not None and wake.fileno() >= 0:
        poll.register(wake, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(None if timeout_s is None else timeout_s * 1000)}

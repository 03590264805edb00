"""The accepting process and its receivers: bytes are moved by several processes, each free of the others' GIL.

The accepting process stays in one thread and opens nothing, so that it can fork a receiver at any time; receivers share
its memory of imported modules. It counts the associations of all, hands each connection to the receiver that has the
fewest, and starts a receiver again that died. The peers of a dead one see their connections break; what they were
acknowledged is in the spool.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from dicom_nodes.connection_channel import READY, HandedConnection, channel, hand_over, hear, is_end
from service.runtime.signal_socket import SignalSocket

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 30.0
STEADY_S: Final = 60.0  # a receiver that lived so long starts again without a longer pause
STOP_S: Final = 12.0  # how long receivers may take to end; a node's own end is bounded by less
REJECTED_AT_ONCE: Final = 64
BURST: Final = 32  # connections accepted before anything else is looked at

log = structlog.get_logger("annogate")


@dataclass
class _Receiver:
    """One place for a receiver, and the process that fills it now."""

    number: int
    pid: int = 0
    pid_fd: int = -1
    channel: socket.socket | None = None
    ready: bool = False
    started_at: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    due_at: float | None = 0.0
    open: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})
    """Connections by whether they are over the limit."""


class ReceiverPool:
    """Runs receivers behind one listening socket, or several.

    Parameters
    ----------
    run_receiver : what a receiver process does with its end of a channel, from its start to SIGTERM
    on_ready : called once, when every receiver has been ready
    """

    def __init__(
        self,
        listening: Sequence[socket.socket],
        count: int,
        maximum_associations: int,
        run_receiver: Callable[[socket.socket], None],
        on_ready: Callable[[], None],
    ) -> None:
        self._listening = tuple(listening)
        self._maximum = maximum_associations
        self._run_receiver = run_receiver
        self._on_ready = on_ready
        self._announced = False
        self._accepting = False
        self._receivers = [_Receiver(number) for number in range(count)]
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Stay until SIGTERM."""
        for listening in self._listening:
            listening.setblocking(False)
        gc.freeze()  # what is there now is shared with every receiver; collecting it would unshare it
        with SignalSocket((signal.SIGTERM,)) as wake, self._selector:
            self._selector.register(wake, selectors.EVENT_READ)
            try:
                self._watch(wake)
            finally:
                self._stop()

    def _watch(self, wake: socket.socket) -> None:
        while True:
            self._start_due()
            self._accept_when_possible()
            for key, _ in self._selector.select(self._rest()):
                if key.fileobj is wake:
                    return
                if key.fileobj in self._listening:
                    self._accept(key.fileobj)
                elif key.fd == key.data.pid_fd:
                    self._ended(key.data)
                else:
                    self._hear(key.data)

    def _rest(self) -> float | None:
        due = [receiver.due_at for receiver in self._receivers if receiver.due_at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _start_due(self) -> None:
        for receiver in self._receivers:
            if receiver.due_at is None or receiver.due_at > time.monotonic():
                continue
            try:
                self._start(receiver)
            except OSError as error:  # no memory or no process left: that must not end the receivers that live
                receiver.pause_s = min(receiver.pause_s * 2, LONGEST_PAUSE_S)
                receiver.due_at = time.monotonic() + receiver.pause_s
                log.error("receiver could not be started", reason=error.strerror, pause_s=receiver.pause_s)  # noqa: TRY400

    def _start(self, receiver: _Receiver) -> None:
        ours, theirs = channel()
        pid = os.fork()
        if not pid:
            self._be_receiver(ours, theirs)
        theirs.close()
        receiver.pid, receiver.pid_fd, receiver.channel = pid, os.pidfd_open(pid), ours
        receiver.ready, receiver.due_at, receiver.started_at = False, None, time.monotonic()
        receiver.open = {False: 0, True: 0}
        self._selector.register(receiver.pid_fd, selectors.EVENT_READ, receiver)
        self._selector.register(ours, selectors.EVENT_READ, receiver)

    def _be_receiver(self, ours: socket.socket, theirs: socket.socket) -> None:
        """Go on as a receiver; never returns."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            for held in [*self._listening, ours, *(one.channel for one in self._receivers if one.channel)]:
                held.close()
            self._run_receiver(theirs)
            status = 0
        except Exception as error:  # noqa: BLE001 -- the edge of a process; the accepting one starts it again
            log.error("receiver failed", reason=type(error).__name__)  # noqa: TRY400 -- its words may quote a value
        finally:
            os._exit(status)

    def _hear(self, receiver: _Receiver) -> None:
        if receiver.channel is None:
            return
        words = hear(receiver.channel)
        if words is None:  # that its process ended is told by its pid
            self._close_channel(receiver)
            return
        for word in words:
            if word == READY:
                receiver.ready = True
            for over_limit in (False, True):
                receiver.open[over_limit] -= is_end(word, over_limit=over_limit)
        if not self._announced and all(one.ready for one in self._receivers):
            self._announced = True
            self._on_ready()

    def _accept_when_possible(self) -> None:
        """Leave connections in the backlog while nobody could serve them."""
        possible = any(receiver.ready for receiver in self._receivers)
        if possible and not self._accepting:
            for listening in self._listening:
                self._selector.register(listening, selectors.EVENT_READ)
        elif self._accepting and not possible:
            for listening in self._listening:
                self._selector.unregister(listening)
        self._accepting = possible

    def _accept(self, listening: Any) -> None:
        for _ in range(BURST):
            try:
                connection, peer = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                log.warning("a connection could not be accepted", reason=error.strerror)
                time.sleep(FIRST_PAUSE_S)  # out of descriptors: instead of spinning
                return
            with connection:
                self._hand_over(connection, peer)

    def _hand_over(self, connection: socket.socket, peer: Any) -> None:
        for receiver in self._receivers:
            self._hear(receiver)  # ends that were told meanwhile make room
        over_limit = self._count(over_limit=False) >= self._maximum
        if over_limit and self._count(over_limit=True) >= REJECTED_AT_ONCE:
            return
        handed = HandedConnection(connection, peer, over_limit)
        for receiver in sorted(self._receivers, key=lambda one: sum(one.open.values())):
            if receiver.ready and receiver.channel is not None:
                with suppress(OSError):  # it is dying, or hangs with its channel full: the next one
                    hand_over(receiver.channel, handed)
                    receiver.open[over_limit] += 1
                    return

    def _count(self, *, over_limit: bool) -> int:
        return sum(receiver.open[over_limit] for receiver in self._receivers)

    def _ended(self, receiver: _Receiver) -> None:
        status = self._reap(receiver)
        lived_s = time.monotonic() - receiver.started_at
        receiver.pause_s = FIRST_PAUSE_S if lived_s > STEADY_S else min(receiver.pause_s * 2, LONGEST_PAUSE_S)
        receiver.due_at = time.monotonic() + receiver.pause_s
        log.error("receiver is started again", ended=receiver.number, status=status, pause_s=receiver.pause_s)

    def _reap(self, receiver: _Receiver) -> int:
        _, status = os.waitpid(receiver.pid, 0)
        self._close_channel(receiver)
        with suppress(KeyError):
            self._selector.unregister(receiver.pid_fd)
        os.close(receiver.pid_fd)
        receiver.pid, receiver.pid_fd = 0, -1
        receiver.open = {False: 0, True: 0}
        return os.waitstatus_to_exitcode(status)

    def _close_channel(self, receiver: _Receiver) -> None:
        channel, receiver.channel, receiver.ready = receiver.channel, None, False
        if channel is not None:
            with suppress(KeyError):
                self._selector.unregister(channel)
            channel.close()

    def _stop(self) -> None:
        """End all receivers, and wait for them only so long."""
        alive = [receiver for receiver in self._receivers if receiver.pid]
        for receiver in alive:
            signal.pidfd_send_signal(receiver.pid_fd, signal.SIGTERM)
        until = time.monotonic() + STOP_S
        for receiver in alive:
            with selectors.DefaultSelector() as ended:
                ended.register(receiver.pid_fd, selectors.EVENT_READ)
                if not ended.select(max(0.0, until - time.monotonic())):
                    log.warning("receiver did not end in time", ended=receiver.number)
                    signal.pidfd_send_signal(receiver.pid_fd, signal.SIGKILL)
            self._reap(receiver)

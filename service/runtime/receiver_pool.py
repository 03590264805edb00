"""The accepting process and its receivers: bytes are moved by several processes, each free of the others' GIL.

The accepting process stays in one thread and opens nothing, so that it can fork a receiver at any time; receivers share
its memory of imported modules. It counts the associations of all, hands each connection to the receiver that has the
fewest, and starts a receiver again that died. The peers of a dead one see their connections break; what they were
acknowledged is in the spool.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog

from dicom_nodes.connection_channel import HandedConnection, channel, hand_over, hear, is_end
from service.runtime.forked_processes import Ended, ForkedProcess, ForkedProcesses, Happened, Readable, Ready, Signalled

STOP_S: Final = 12.0  # how long receivers may take to end; a node's own end is bounded by less
REJECTED_AT_ONCE: Final = 64
BURST: Final = 32  # connections accepted before anything else is looked at
REFUSED_REST_S: Final = 0.2  # when a connection cannot be accepted

log = structlog.get_logger("annogate")

RunReceiver = Callable[[socket.socket, Callable[[], None]], None]
"""What a receiver process does with its end of a channel, from its start to SIGTERM; it calls when it can receive."""


class _Receiver(ForkedProcess):
    """One receiver's place, with the channel to the process that fills it."""

    def __init__(self, number: int, pool: ReceiverPool, run_receiver: RunReceiver) -> None:
        super().__init__(str(number))
        self._pool = pool
        self._run_receiver = run_receiver
        self.channel: socket.socket | None = None
        self._theirs: socket.socket | None = None
        self.open = {False: 0, True: 0}
        """Connections by whether they are over the limit."""

    def before_fork(self) -> None:
        if self.channel is not None:  # of a try that came to nothing
            self.channel.close()
        self.channel, self._theirs = channel()
        self.open = {False: 0, True: 0}

    def work(self, say_ready: Callable[[], None]) -> None:
        assert self._theirs is not None  # noqa: S101 (made before the fork)
        self._pool.let_go()
        self._run_receiver(self._theirs, say_ready)

    def after_fork(self) -> None:
        assert self._theirs is not None  # noqa: S101 (made before the fork)
        self._theirs.close()


class ReceiverPool:
    """Runs receivers behind one listening socket, or several.

    Parameters
    ----------
    on_ready : called once, when every receiver has been ready
    """

    def __init__(
        self,
        listening: Sequence[socket.socket],
        count: int,
        maximum_associations: int,
        run_receiver: RunReceiver,
        on_ready: Callable[[], None],
    ) -> None:
        self._listening = tuple(listening)
        self._maximum = maximum_associations
        self._on_ready = on_ready
        self._announced = False
        self._accepting = False
        self._receivers = [_Receiver(number, self, run_receiver) for number in range(count)]
        self._processes = ForkedProcesses("receiver", self._receivers, STOP_S)

    def run(self) -> None:
        """Stay until SIGTERM."""
        for listening in self._listening:
            listening.setblocking(False)
        with self._processes:
            while True:
                self._accept_when_possible()
                for happened in self._processes.next():
                    if isinstance(happened, Signalled):
                        return
                    self._meet(happened)

    def let_go(self) -> None:
        """In a receiver: leave accepting, and the channels of all, to the accepting process."""
        for held in [*self._listening, *(one.channel for one in self._receivers if one.channel)]:
            held.close()

    def _meet(self, happened: Happened) -> None:
        if isinstance(happened, Ended):
            self._close_channel(happened.process)
            self._processes.again(happened)
        elif isinstance(happened, Readable) and happened.what in self._listening:
            self._accept(happened.what)
        elif isinstance(happened, Readable):
            for receiver in self._receivers:
                if receiver.channel is happened.what:
                    self._hear(receiver)
        elif isinstance(happened, Ready) and happened.process.channel is not None:
            self._processes.selector.register(happened.process.channel, selectors.EVENT_READ)
            if not self._announced and self._processes.all_ready:
                self._announced = True
                self._on_ready()

    def _hear(self, receiver: _Receiver) -> None:
        if receiver.channel is None:
            return
        words = hear(receiver.channel)
        if words is None:  # that its process ended is told by its pid
            self._close_channel(receiver)
            return
        for word in words:
            for over_limit in (False, True):
                receiver.open[over_limit] -= is_end(word, over_limit=over_limit)

    def _accept_when_possible(self) -> None:
        """Leave connections in the backlog while nobody could serve them."""
        possible = any(receiver.ready for receiver in self._receivers)
        if possible and not self._accepting:
            for listening in self._listening:
                self._processes.selector.register(listening, selectors.EVENT_READ)
        elif self._accepting and not possible:
            for listening in self._listening:
                self._processes.selector.unregister(listening)
        self._accepting = possible

    def _accept(self, listening: Any) -> None:
        for _ in range(BURST):
            try:
                connection, peer = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                log.warning("a connection could not be accepted", reason=error.strerror)
                time.sleep(REFUSED_REST_S)  # out of descriptors: instead of spinning
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

    def _close_channel(self, receiver: _Receiver) -> None:
        channel, receiver.channel, receiver.ready = receiver.channel, None, False
        receiver.open = {False: 0, True: 0}
        if channel is not None:
            with suppress(KeyError):  # it never became ready
                self._processes.selector.unregister(channel)
            channel.close()

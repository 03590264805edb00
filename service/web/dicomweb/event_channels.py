"""Open event channels: WebSockets of subscribers, all served by one thread of the process (PS3.18 8.10, 11.13).

A channel takes no thread of the web server's: once the handshake is answered the server lets go of the connection. What
a subscriber has yet to be told stands in the index, so any process can tell it. Events go out in batches, each with a
ping behind it; the pong that answers it says that they arrived, and only then are they forgotten. What was not
confirmed goes out again over the next channel.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from flask import Response

from dicom_nodes.errors import GatewayError, StorageExhausted
from service.archive.workitem_events import PendingEvent
from service.core.fault_place import fault_place
from service.web.dicomweb.event_channel import Channel, ChannelEnded, handshake_answer
from service.web.problems import problem

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

_TURN_S: Final = 1.0
_BATCH: Final = 100
_LONGEST_END_S: Final = 5.0

_log = logging.getLogger(__name__)


class Events(Protocol):
    """What subscribers have yet to be told."""

    def pending(self, project: str, ae_title: str, limit: int) -> list[PendingEvent]:
        """The oldest that a subscriber has not confirmed."""

    def confirm(self, event_ids: list[int]) -> None:
        """Forget what a subscriber has received."""


class Subscribers(Protocol):
    """By which channel each subscriber listens."""

    def channels(self, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """The channel of each of some subscribers; one who left is not among them."""


class WakeUp(Protocol):
    """Something that tells that there may be events."""

    def fileno(self) -> int:
        """Readable when it rang."""

    def wait(self, timeout: float | None) -> bool:
        """Take the rings so far."""

    def close(self) -> None:
        """Hear no more."""


class EventChannels:
    """The channels of one process; the thread starts with the first.

    Parameters
    ----------
    listen : begins to hear whether there are events on this host
    most : channels at once
    look_s : between looks that nobody asked for, which find what other hosts wrote
    monotonic : seconds that never go back
    """

    def __init__(
        self,
        events: Events,
        subscribers: Subscribers,
        listen: Callable[[], WakeUp],
        *,
        most: int = 32,
        look_s: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._events = events
        self._subscribers = subscribers
        self._listen = listen
        self._most = most
        self._look_s = look_s
        self._monotonic = monotonic
        self._guard = threading.Lock()
        self._arrived: list[Channel] = []
        self._channels: set[Channel] = set()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._nudge: socket.socket | None = None

    def make_room(self) -> None:
        """Refuse one more channel where there are as many as there may be.

        Raises
        ------
        StorageExhausted : there are
        """
        with self._guard:
            if self._stopped or len(self._channels) + len(self._arrived) >= self._most:
                raise StorageExhausted("As many event channels are open here as there may be; try again later")

    def take(self, connection: socket.socket, project: str, ae_title: str, name: str, key: str) -> None:
        """Serve a connection from now on; the handshake's answer goes first.

        Parameters
        ----------
        name : of the channel, as the index has it
        key : Sec-WebSocket-Key of the handshake
        """
        channel = Channel(connection, project, ae_title, name, self._monotonic())
        channel.write(handshake_answer(key))
        with self._guard:
            self._arrived.append(channel)
            if self._thread is None:
                ours, theirs = socket.socketpair()
                ours.setblocking(False)
                self._nudge = ours
                self._thread = threading.Thread(
                    target=self._run, args=(theirs, self._listen()), name="event-channels", daemon=True
                )
                self._thread.start()
        self._wake()

    def close(self) -> None:
        """Say good-bye on every channel and end the thread."""
        with self._guard:
            self._stopped = True
            thread = self._thread
        self._wake()
        if thread is not None:
            thread.join(_LONGEST_END_S)
        with self._guard:
            nudge, self._nudge = self._nudge, None
        if nudge is not None:
            nudge.close()

    def _wake(self) -> None:
        nudge = self._nudge
        if nudge is not None:
            with contextlib.suppress(OSError):
                nudge.send(b"\1")

    def _run(self, nudged: socket.socket, bell: WakeUp) -> None:
        nudged.setblocking(False)
        with selectors.DefaultSelector() as selector, nudged, contextlib.closing(bell):
            selector.register(nudged, selectors.EVENT_READ)
            selector.register(bell, selectors.EVENT_READ)
            looked_at = float("-inf")
            while not self._stopped:
                rang = self._turn(selector, nudged, bell)
                now = self._monotonic()
                if rang or now - looked_at >= self._look_s:
                    looked_at = now
                    self._look()
                self._keep_alive(selector)
            for channel in list(self._channels):
                channel.say_goodbye(1001, "the gateway ends")
                self._drop(selector, channel)
            with self._guard:
                for channel in self._arrived:
                    channel.connection.close()
                self._arrived.clear()

    def _turn(self, selector: selectors.BaseSelector, nudged: socket.socket, bell: WakeUp) -> bool:
        """Wait for something to do, and read and write; whether to look for events at once."""
        for channel in self._channels:
            interest = selectors.EVENT_READ | (selectors.EVENT_WRITE if channel.has_output else 0)
            selector.modify(channel.connection, interest, channel)
        look = False
        for key, mask in selector.select(_TURN_S if self._channels else None):
            if key.data is None:
                look = True
                if key.fileobj is nudged:
                    with contextlib.suppress(BlockingIOError):
                        nudged.recv(4096)
                else:
                    bell.wait(0)
            else:
                look |= self._serve(selector, key.data, mask)
        with self._guard:
            arrived, self._arrived = self._arrived, []
            self._channels.update(arrived)
        for channel in arrived:
            selector.register(channel.connection, selectors.EVENT_READ | selectors.EVENT_WRITE, channel)
        return look or bool(arrived)

    def _serve(self, selector: selectors.BaseSelector, channel: Channel, mask: int) -> bool:
        """Read and write what can be; whether a batch was confirmed, so that the next can follow."""
        try:
            if mask & selectors.EVENT_WRITE:
                channel.flush()
            confirmed = channel.read(self._monotonic()) if mask & selectors.EVENT_READ else []
        except (ChannelEnded, OSError):
            self._drop(selector, channel)
            return False
        if not confirmed:
            return False
        try:
            self._events.confirm(confirmed)
        except GatewayError as error:
            # Not forgotten, so told again: late is better than never.
            _log.warning("events could not be confirmed: %s", type(error).__name__)
        return True

    def _look(self) -> None:
        """Send what is to be told on channels that have nothing out."""
        if not self._channels:
            return
        try:
            current = self._subscribers.channels([(one.project, one.ae_title) for one in self._channels])
            for channel in self._channels:
                if current.get((channel.project, channel.ae_title)) != channel.name:
                    channel.say_goodbye(1000, "another channel was opened, or the subscription has ended")
                elif channel.is_free:
                    channel.tell(self._events.pending(channel.project, channel.ae_title, _BATCH))
        except GatewayError as error:
            _log.warning("events could not be looked for: %s", type(error).__name__)
        except Exception as error:  # noqa: BLE001 - one look that fails must not end every channel
            _log.error("looking for events failed unexpectedly: %s", fault_place(error))

    def _keep_alive(self, selector: selectors.BaseSelector) -> None:
        now = self._monotonic()
        for channel in list(self._channels):
            try:
                channel.keep_alive(now)
            except (ChannelEnded, OSError):
                self._drop(selector, channel)

    def _drop(self, selector: selectors.BaseSelector, channel: Channel) -> None:
        with contextlib.suppress(KeyError, ValueError):
            selector.unregister(channel.connection)
        with self._guard:
            self._channels.discard(channel)
        channel.end()


class ChannelAnswer(Response):
    """The answer to a handshake: the connection goes to the channels, and the server writes nothing on it any more."""

    def __init__(self, channels: EventChannels, project: str, ae_title: str, name: str, key: str) -> None:
        super().__init__(status=101)
        self._hand_over: Callable[[socket.socket], None] = lambda connection: channels.take(
            connection, project, ae_title, name, key
        )

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Take the connection from gunicorn: its gthread worker takes StopIteration for "nothing to write"."""
        connection = environ.get("gunicorn.socket")
        if not isinstance(connection, socket.socket):
            refusal = cast("WSGIApplication", problem(501, "Event channels need the gateway's own web server"))
            return refusal(environ, start_response)
        self._hand_over(_taken(connection))
        raise StopIteration


def _taken(connection: socket.socket) -> socket.socket:
    """The connection under another descriptor; the server's own is left with one that leads nowhere.

    The server shuts its connection down when it is done with it, which would end the channel's as well.
    """
    taken = connection.dup()
    here, there = socket.socketpair()
    with here, there:
        os.dup2(here.fileno(), connection.fileno(), inheritable=False)
    taken.setblocking(False)
    return taken

"""One event channel: a WebSocket (RFC 6455) by which a subscriber is told events, in DICOM JSON."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
from collections.abc import Sequence
from typing import Final

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError, generate_accept_token

from service.archive.workitem_events import PendingEvent

PING_S: Final = 30.0
SILENT_S: Final = 90.0
"""A subscriber that answers nothing for so long has gone."""
LONGEST_S: Final = 4 * 3600.0
"""After which a subscriber has to come again, with credentials that still hold."""
_READ: Final = 16384
_MOST_WAITING: Final = 4 << 20
_MOST_HEARD: Final = 1 << 20
"""Bytes that a subscriber may send in all: it has nothing to say but pongs."""
_MESSAGE_IDS: Final = 65535


class ChannelEnded(Exception):
    """The channel is over."""


def handshake_answer(key: str) -> bytes:
    """The answer that makes the connection a WebSocket (RFC 6455 4.2.2)."""
    token = generate_accept_token(key.encode("latin-1", "replace")).decode("ascii")
    return (
        "HTTP/1.1 101 Switching Protocols\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {token}\r\n"
        "\r\n"
    ).encode("ascii")


class Channel:
    """A connection after its handshake; not for several threads.

    Parameters
    ----------
    connection : non-blocking
    name : as the index has it
    now : seconds that never go back
    """

    def __init__(self, connection: socket.socket, project: str, ae_title: str, name: str, now: float) -> None:
        self.connection = connection
        self.project = project
        self.ae_title = ae_title
        self.name = name
        self._protocol = Connection(ConnectionType.SERVER)
        self._output = bytearray()
        self._out: dict[bytes, list[int]] = {}
        self._message_id = 0
        self._opened_at = self._heard_at = self._pinged_at = now
        self._heard = 0
        self._is_closing = False

    @property
    def has_output(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._output)

    @property
    def is_free(self) -> bool:
        """Whether nothing is out that has yet to be confirmed."""
        return not self._out and not self._is_closing

    def write(self, content: bytes) -> None:
        """Have bytes written when the connection takes them."""
        self._output += content

    def tell(self, events: Sequence[PendingEvent]) -> None:
        """Send events, and a ping whose answer confirms them."""
        if not events:
            return
        for event in events:
            self._message_id = self._message_id % _MESSAGE_IDS + 1
            said = {"00000110": {"vr": "US", "Value": [self._message_id]}} | event.content
            text = json.dumps(dict(sorted(said.items())), ensure_ascii=False, separators=(",", ":"))
            self.write(self._protocol.send(TextMessage(data=text)))
        token = secrets.token_bytes(8)
        self._out[token] = [event.id for event in events]
        self.write(self._protocol.send(Ping(payload=token)))

    def read(self, now: float) -> list[int]:
        """Take what came; the ids of events that are confirmed by it.

        Raises
        ------
        ChannelEnded : the subscriber closed, went away, broke the protocol or talks too much
        """
        try:
            received = self.connection.recv(_READ)
        except (BlockingIOError, InterruptedError):
            return []
        if not received:
            raise ChannelEnded
        self._heard_at = now
        self._heard += len(received)
        if self._heard > _MOST_HEARD:
            self.say_goodbye(1009, "a subscriber has nothing to say")
            raise ChannelEnded
        return self._understood(received)

    def _understood(self, received: bytes) -> list[int]:
        confirmed: list[int] = []
        try:
            self._protocol.receive_data(received)
            for event in self._protocol.events():
                if isinstance(event, Pong):
                    confirmed += self._out.pop(bytes(event.payload), [])
                elif isinstance(event, Ping):
                    self.write(self._protocol.send(event.response()))
                elif isinstance(event, CloseConnection):
                    with contextlib.suppress(LocalProtocolError):
                        self.write(self._protocol.send(event.response()))
                    self._is_closing = True
                elif isinstance(event, (TextMessage, BytesMessage)):
                    continue  # nobody listens
        except RemoteProtocolError:
            raise ChannelEnded from None
        if self._is_closing and not confirmed:
            self._flush_what_goes()
            raise ChannelEnded
        return confirmed

    def flush(self) -> None:
        """Write what the connection takes now.

        Raises
        ------
        ChannelEnded : good-bye was said, or too much waits for a subscriber who reads nothing
        """
        self._flush_what_goes()
        if len(self._output) > _MOST_WAITING or (self._is_closing and not self._output):
            raise ChannelEnded

    def _flush_what_goes(self) -> None:
        while self._output:
            try:
                sent = self.connection.send(self._output[:65536])
            except (BlockingIOError, InterruptedError):
                return
            del self._output[:sent]

    def keep_alive(self, now: float) -> None:
        """Ping now and then.

        Raises
        ------
        ChannelEnded : good-bye was said, or the subscriber has been silent for too long
        """
        if now - self._heard_at > SILENT_S or (self._is_closing and not self._output):
            raise ChannelEnded
        if now - self._opened_at > LONGEST_S:
            self.say_goodbye(1001, "come again")
        if now - self._pinged_at > PING_S and not self._is_closing:
            self._pinged_at = now
            self.write(self._protocol.send(Ping()))

    def say_goodbye(self, code: int, words: str) -> None:
        """Close in words; what can still be written is."""
        if self._is_closing:
            return
        self._is_closing = True
        with contextlib.suppress(LocalProtocolError, OSError):
            self.write(self._protocol.send(CloseConnection(code=code, reason=words)))
            self._flush_what_goes()

    def end(self) -> None:
        """Let the connection go."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()

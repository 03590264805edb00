"""Event channels over a pair of sockets: what is told, confirmed, told again, and when a channel ends."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event, Ping, TextMessage

from dicom_nodes.errors import StorageExhausted
from service.archive.workitem_events import PendingEvent
from service.core.bell import Bell
from service.web.dicomweb.event_channels import EventChannels
from tests.patience import PATIENCE_S

KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 1.3


class Queue:
    """Events of one subscriber, and the channel that is its present one."""

    def __init__(self) -> None:
        self.waiting = {number: {"00741000": {"vr": "CS", "Value": [f"S{number}"]}} for number in (1, 2, 3)}
        self.current = "c1"
        self.confirmed = threading.Event()

    def pending(self, project: str, ae_title: str, limit: int) -> list[PendingEvent]:
        return [PendingEvent(number, content) for number, content in sorted(self.waiting.items())][:limit]

    def confirm(self, event_ids: list[int]) -> None:
        for number in event_ids:
            self.waiting.pop(number, None)
        self.confirmed.set()

    def channels(self, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        return dict.fromkeys(wanted, self.current)


class Subscriber:
    """The other end of a channel."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.settimeout(PATIENCE_S)
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1)
        self.head = head
        self._protocol = Connection(ConnectionType.CLIENT)

    def until(self, wanted: Callable[[Event], bool]) -> list[Event]:
        """What comes, to the first that is wanted."""
        heard: list[Event] = []
        while True:
            for event in self._protocol.events():
                heard.append(event)
                if wanted(event):
                    return heard
            self._protocol.receive_data(self.connection.recv(4096) or None)

    def answer(self, ping: Event) -> None:
        assert isinstance(ping, Ping)
        self.connection.sendall(self._protocol.send(ping.response()))

    def send(self, event: Event) -> None:
        self.connection.sendall(self._protocol.send(event))


def is_ping(event: Event) -> bool:
    return isinstance(event, Ping)


def states(heard: list[Event]) -> list[str]:
    documents: list[dict[str, Any]] = [json.loads(event.data) for event in heard if isinstance(event, TextMessage)]
    return [document["00741000"]["Value"][0] for document in documents]


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def bell(tmp_path: Path) -> Iterator[Bell]:
    bell = Bell(tmp_path / "bells")
    yield bell
    bell.close()


@pytest.fixture
def channels(queue: Queue, bell: Bell) -> Iterator[EventChannels]:
    channels = EventChannels(queue, queue, lambda: bell.listen("worklist"), most=2, look_s=3600)
    yield channels
    channels.close()


@pytest.fixture
def open_channel(channels: EventChannels) -> Iterator[Callable[..., Subscriber]]:
    ends: list[socket.socket] = []

    def opened(name: str = "c1") -> Subscriber:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        ends.append(theirs)
        channels.take(ours, "default", "WATCHER", name, KEY)
        return Subscriber(theirs)

    yield opened
    for end in ends:
        end.close()


def test_handshake_is_answered(open_channel: Callable[..., Subscriber]) -> None:
    head = open_channel().head
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n" in head


def test_events_come_in_order_and_are_forgotten_once_confirmed(
    open_channel: Callable[..., Subscriber], queue: Queue, bell: Bell
) -> None:
    subscriber = open_channel()
    heard = subscriber.until(is_ping)
    assert states(heard) == ["S1", "S2", "S3"]
    assert len(queue.waiting) == 3
    subscriber.answer(heard[-1])
    assert queue.confirmed.wait(PATIENCE_S)
    assert queue.waiting == {}
    queue.waiting[4] = {"00741000": {"vr": "CS", "Value": ["S4"]}}
    bell.ring("worklist")
    assert states(subscriber.until(is_ping)) == ["S4"]


def test_what_was_not_confirmed_comes_again_over_the_next_channel(
    open_channel: Callable[..., Subscriber], queue: Queue
) -> None:
    first = open_channel()
    first.until(is_ping)
    first.connection.close()
    assert states(open_channel().until(is_ping)) == ["S1", "S2", "S3"]


def test_answer_to_no_ping_of_ours_confirms_nothing(
    open_channel: Callable[..., Subscriber], queue: Queue, bell: Bell
) -> None:
    subscriber = open_channel()
    ping = subscriber.until(is_ping)[-1]
    subscriber.send(Ping(payload=b"ours").response())
    subscriber.answer(ping)
    assert queue.confirmed.wait(PATIENCE_S)
    assert queue.waiting == {}


def test_newer_channel_ends_the_older_one(open_channel: Callable[..., Subscriber], queue: Queue, bell: Bell) -> None:
    older = open_channel()
    older.until(is_ping)
    queue.current = "c2"
    newer = open_channel("c2")
    goodbye = older.until(lambda event: isinstance(event, CloseConnection))[-1]
    assert isinstance(goodbye, CloseConnection)
    assert goodbye.code == 1000
    assert states(newer.until(is_ping)) == ["S1", "S2", "S3"]


def test_subscriber_that_leaves_makes_room(
    open_channel: Callable[..., Subscriber], channels: EventChannels, bell: Bell
) -> None:
    subscribers = [open_channel(), open_channel()]
    for subscriber in subscribers:
        subscriber.until(is_ping)
    with pytest.raises(StorageExhausted):
        channels.make_room()
    subscribers[0].send(CloseConnection(code=1000))
    subscribers[0].until(lambda event: isinstance(event, CloseConnection))
    assert subscribers[0].connection.recv(1) == b""
    channels.make_room()


@pytest.mark.parametrize("noise", [b"\xff" * 100, b"\x81\x05hello"], ids=["no frame", "unmasked"])
def test_what_is_no_websocket_ends_the_channel(open_channel: Callable[..., Subscriber], noise: bytes) -> None:
    subscriber = open_channel()
    subscriber.until(is_ping)
    subscriber.connection.sendall(noise)
    while subscriber.connection.recv(4096):
        pass


def test_end_of_the_gateway_is_said(open_channel: Callable[..., Subscriber], channels: EventChannels) -> None:
    subscriber = open_channel()
    subscriber.until(is_ping)
    channels.close()
    goodbye = subscriber.until(lambda event: isinstance(event, CloseConnection))[-1]
    assert isinstance(goodbye, CloseConnection)
    assert goodbye.code == 1001
    with pytest.raises(StorageExhausted):
        channels.make_room()

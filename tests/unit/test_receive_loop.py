"""The loop that receives for many associations: each in its turn, and none at the cost of another."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from dicom_nodes.receive_loop import ReceiveLoop
from tests.patience import PATIENCE_S


class Connection:
    """A connection that may be lent, and its other end; it is given back after ``b"end"``."""

    unseen = False

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.descriptor = self.ours.fileno()
        self.received = b""
        self.seen = threading.Semaphore(0)
        self.back = threading.Event()
        self.hold: threading.Event | None = None

    def turn(self, buffer: memoryview) -> bool:
        count = self.ours.recv_into(buffer)
        self.received += buffer[:count]
        self.seen.release()
        if self.hold is not None:
            assert self.hold.wait(PATIENCE_S)
        if self.received.endswith(b"broken"):
            raise ZeroDivisionError
        return not self.received.endswith(b"end")

    def given_back(self) -> None:
        self.back.set()

    def send(self, data: bytes) -> None:
        self.theirs.send(data)
        assert self.seen.acquire(timeout=PATIENCE_S)

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def loop() -> Iterator[ReceiveLoop]:
    with closing(ReceiveLoop()) as loop:
        yield loop


@pytest.fixture
def pair(loop: ReceiveLoop) -> Iterator[tuple[Connection, Connection]]:
    with closing(Connection()) as one, closing(Connection()) as other:
        loop.lend(one)
        loop.lend(other)
        yield one, other


def test_each_connection_gets_what_was_sent_to_it(pair: tuple[Connection, Connection]) -> None:
    for number, connection in enumerate(pair * 3):
        connection.send(str(number).encode())
    assert [connection.received for connection in pair] == [b"024", b"135"]


@pytest.mark.parametrize("last_words", [b"end", b"broken"])
def test_a_connection_that_ends_is_given_back_and_the_other_goes_on(
    pair: tuple[Connection, Connection], last_words: bytes
) -> None:
    one, other = pair
    one.send(last_words)
    assert one.back.wait(PATIENCE_S)
    one.theirs.send(b"for somebody else")
    other.send(b"on")
    assert (one.received, other.received) == (last_words, b"on")


def test_what_is_taken_back_is_read_by_nobody_else(loop: ReceiveLoop, pair: tuple[Connection, Connection]) -> None:
    one, other = pair
    loop.take_back(one)
    one.theirs.send(b"mine")
    other.send(b"on")
    assert (one.ours.recv(10), one.received, other.received) == (b"mine", b"", b"on")


def test_taking_back_waits_for_a_turn_that_is_on(loop: ReceiveLoop, pair: tuple[Connection, Connection]) -> None:
    one, _ = pair
    one.hold = threading.Event()
    one.send(b"long")
    taken = threading.Event()
    taker = threading.Thread(target=lambda: (loop.take_back(one), taken.set()))
    taker.start()
    assert not taken.wait(0.05)
    one.hold.set()
    assert taken.wait(PATIENCE_S)
    taker.join()


def test_a_descriptor_that_is_another_connections_by_now_stays_with_it(loop: ReceiveLoop) -> None:
    with closing(Connection()) as one, closing(Connection()) as other:
        loop.lend(one)
        one.ours.close()
        reused = other.ours.fileno()
        one.descriptor, other.descriptor = reused, reused
        loop.lend(other)
        loop.take_back(one)
        other.send(b"still here")
        assert other.received == b"still here"


def test_a_closed_connection_is_not_taken(loop: ReceiveLoop) -> None:
    connection = Connection()
    connection.close()
    connection.descriptor = connection.ours.fileno()
    with pytest.raises(ValueError, match="descriptor"):
        loop.lend(connection)


def test_a_loop_that_has_ended_takes_nothing(loop: ReceiveLoop) -> None:
    with closing(Connection()) as connection:
        loop.lend(connection)
        loop.close()
        with closing(Connection()) as late, pytest.raises(OSError, match="has ended"):
            loop.lend(late)

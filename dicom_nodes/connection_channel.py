"""Accepted connections handed from the process that accepts to one that receives (SCM_RIGHTS, unix(7))."""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
from dataclasses import dataclass
from typing import Any, Final

_MESSAGE_BYTES: Final = 4096
_ROOM_FOR_ONE: Final = socket.CMSG_SPACE(array.array("i").itemsize)
_ENDED: Final = {False: b"ended", True: b"ended over limit"}


@dataclass(frozen=True, slots=True)
class HandedConnection:
    """A connection on its way to a receiver.

    Parameters
    ----------
    peer : its address, as ``accept`` gives it
    over_limit : whether the association is to be rejected for "local limit exceeded"
    """

    connection: socket.socket
    peer: Any
    over_limit: bool


def channel() -> tuple[socket.socket, socket.socket]:
    """Both ends of a channel: the acceptor's, which never blocks, and the receiver's."""
    acceptor, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    acceptor.setblocking(False)
    return acceptor, receiver


def hand_over(end: socket.socket, handed: HandedConnection) -> None:
    """Send a connection; ours can be closed then.

    Raises
    ------
    OSError : the receiver does not take it now, or has gone
    """
    words = json.dumps([handed.peer, handed.over_limit]).encode()
    socket.send_fds(end, [words], [handed.connection.fileno()])


def take_over(end: socket.socket) -> HandedConnection | None:
    """Wait for a connection; None when the acceptor has gone or the channel was shut down."""
    words, descriptors, _, _ = socket.recv_fds(end, _MESSAGE_BYTES, 1)
    if not words or not descriptors:
        for descriptor in descriptors:
            os.close(descriptor)
        return None
    peer, over_limit = json.loads(words)
    return HandedConnection(socket.socket(fileno=descriptors[0]), tuple(peer), bool(over_limit))


def say_ended(end: socket.socket, *, over_limit: bool) -> None:
    """Tell the acceptor that a connection is closed again; harmless when it has gone."""
    with contextlib.suppress(OSError):
        end.send(_ENDED[over_limit])


def hear(end: socket.socket) -> list[bytes] | None:
    """What a receiver has said since, which may be nothing; None when its end is closed."""
    said: list[bytes] = []
    try:
        while word := end.recv(_MESSAGE_BYTES):
            said.append(word)
    except BlockingIOError:
        return said
    except ConnectionError:
        pass
    return said or None


def is_end(word: bytes, *, over_limit: bool) -> bool:
    """Whether a receiver says that a connection of that kind is closed."""
    return word == _ENDED[over_limit]

"""Wakes other processes on this host: Unix datagrams into a run directory.

A bell only wakes. What is to be done stands in files and rows, and a sweep on a timer finds what nobody was woken
for; so a ring into a full queue, or to a listener that is just starting, may be lost without harm.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import select
import socket
from pathlib import Path
from types import TracebackType
from typing import Final

_SUFFIX: Final = ".bell"
_TOPIC: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


class Bell:
    """Rings and listens in one run directory.

    Parameters
    ----------
    directory : made with mode 0700 when missing; only processes of the same user can ring
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = _SocketDirectory(directory)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)

    def ring(self, topic: str) -> int:
        """Wake all who listen to ``topic``; how many there are. Never blocks."""
        _require_topic(topic)
        woken = 0
        for name in self._directory.names(f"{topic}."):
            try:
                self._socket.sendto(b"\1", self._directory.address(name))
            except (ConnectionRefusedError, FileNotFoundError):
                self._directory.remove(name)  # its process died
            except OSError:
                # EAGAIN or ENOBUFS: its queue is full, so it is woken as it is. Anything else is left to the sweep.
                woken += 1
            else:
                woken += 1
        return woken

    def listen(self, topic: str) -> Listener:
        """Hear ``topic`` from now on."""
        _require_topic(topic)
        return Listener(self._directory, f"{topic}.{os.getpid()}.{secrets.token_hex(4)}{_SUFFIX}")

    def close(self) -> None:
        """Give the descriptors back; listeners stay."""
        self._socket.close()


class Listener:
    """Hears one topic; use as a context manager or ``close``."""

    def __init__(self, directory: _SocketDirectory, name: str) -> None:
        self._directory = directory
        self._name = name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._socket.bind(directory.address(name))

    def fileno(self) -> int:
        """The descriptor, for ``select``; readable when it rang."""
        return self._socket.fileno()

    def wait(self, timeout: float | None) -> bool:
        """Wait for a ring, at most ``timeout`` seconds; whether it rang.

        Takes all rings so far: look for work after it, and a ring during that work is there at the next call.
        """
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        if not poll.poll(None if timeout is None else timeout * 1000):
            return False
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(1)
        return True

    def close(self) -> None:
        """Stop listening and remove the socket."""
        self._socket.close()
        self._directory.remove(self._name)

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _SocketDirectory:
    """Names of sockets in a directory whose own path may be longer than the 107 bytes of a socket's address."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            os.close(self._descriptor)

    def address(self, name: str) -> str:
        """The address of a socket, through the descriptor of its directory."""
        return f"/proc/self/fd/{self._descriptor}/{name}"

    def names(self, prefix: str) -> list[str]:
        """Sockets whose names begin so."""
        return [name for name in os.listdir(self._path) if name.startswith(prefix) and name.endswith(_SUFFIX)]  # noqa: PTH208 -- names alone

    def remove(self, name: str) -> None:
        """Remove a socket; harmless when it is gone."""
        (self._path / name).unlink(missing_ok=True)


def _require_topic(topic: str) -> None:
    if not _TOPIC.fullmatch(topic):
        raise ValueError(f"{topic!r} is not a topic: small letters, digits and hyphens")

"""Signals as something to select on."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterable


class SignalSocket:
    """A socket that becomes readable when one of the signals arrives; restores their handlers at the end."""

    def __init__(self, signals: Iterable[signal.Signals]) -> None:
        self._signals = tuple(signals)
        self.read, self._write = socket.socketpair()
        self._write.setblocking(False)

    def __enter__(self) -> socket.socket:
        self._handlers = {number: signal.signal(number, lambda *_: None) for number in self._signals}
        self._old_fd = signal.set_wakeup_fd(self._write.fileno())
        return self.read

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._old_fd)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self.close()

    def close(self) -> None:
        """Close it in a process to which the signals do not go."""
        self.read.close()
        self._write.close()

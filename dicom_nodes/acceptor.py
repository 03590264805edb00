"""Accepts connections in one thread and hands them on."""

from __future__ import annotations

import errno
import logging
import select
import socket
import threading
from collections.abc import Callable
from typing import Any, Final

from dicom_nodes.wakeable import WakeSignal

_LOGGER = logging.getLogger(__name__)
_REST_S: Final = 0.1
_OUT_OF_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Serve = Callable[[socket.socket, Any], None]


class Acceptor:
    """Takes connections from a listening socket until it is closed.

    Parameters
    ----------
    listening : several processes may accept from the same one; closing it here leaves theirs alone
    serve : takes a connection and the peer's address as ``accept`` gives it; must not block
    """

    def __init__(self, listening: socket.socket, serve: Serve) -> None:
        self._listening = listening
        self._listening.setblocking(False)  # another process may have been faster
        self._serve = serve
        self._wake = WakeSignal()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="dicom-node", daemon=True)

    def start(self) -> None:
        """Accept from now on; returns at once."""
        self._thread.start()

    def close(self, patience_s: float) -> None:
        """Accept nothing more."""
        self._closed = True
        self._wake.set()
        self._thread.join(patience_s)
        self._listening.close()
        self._wake.close()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._listening, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while not self._closed:
            poll.poll()
            if not self._closed:
                self._accept()

    def _accept(self) -> None:
        try:
            connection, address = self._listening.accept()
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in _OUT_OF_DESCRIPTORS:
                _LOGGER.warning("a connection waits: %s", error.strerror)
                threading.Event().wait(_REST_S)  # instead of spinning
            return
        try:
            self._serve(connection, address)
        except Exception as error:  # noqa: BLE001 -- one connection must not end the others
            _LOGGER.error("a connection could not be served: %s", type(error).__name__)  # noqa: TRY400
            connection.close()

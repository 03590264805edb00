"""A receiver process: serves the connections that the accepting process hands it, until SIGTERM."""

from __future__ import annotations

import importlib
import socket
from typing import Final

from dicom_nodes.connection_channel import HandedConnection, say_ended, say_ready, take_over
from dicom_nodes.listener import DicomNode

# What a receiver uses: imported before the fork, its pages are shared by all of them.
_USED: Final = ("service.bootstrap.gateway", "service.ingest.spool", "sqlalchemy.dialects.sqlite", "pydicom.dataset")


def import_early() -> None:
    """Import what every receiver will need; starts and opens nothing."""
    for name in _USED:
        importlib.import_module(name)


def receive(node: DicomNode, channel: socket.socket) -> None:
    """Serve until the channel is shut down or the accepting process is gone, then end what is open."""
    say_ready(channel)
    while (handed := take_over(channel)) is not None:
        _serve(node, channel, handed)
    node.stop()


def _serve(node: DicomNode, channel: socket.socket, handed: HandedConnection) -> None:
    def ended() -> None:
        say_ended(channel, over_limit=handed.over_limit)

    try:
        node.serve(handed.connection, handed.peer, over_limit=handed.over_limit, on_end=ended)
    except OSError:  # it broke before it could be looked at
        handed.connection.close()
        ended()

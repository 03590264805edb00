"""A receiver process: serves the connections that the accepting process hands it, until SIGTERM."""

from __future__ import annotations

import socket
from collections.abc import Callable

from dicom_nodes.connection_channel import HandedConnection, say_ended, take_over
from dicom_nodes.listener import DicomNode


def receive(node: DicomNode, channel: socket.socket, say_ready: Callable[[], None]) -> None:
    """Serve until the channel is shut down or the accepting process is gone, then end what is open."""
    say_ready()
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

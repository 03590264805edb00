"""Listening sockets, bound once by the supervisor and inherited by the processes that serve them.

A role that is started again finds its socket still listening: a caller waits in the backlog instead of being refused.
"""

from __future__ import annotations

import socket

from service.errors import SettingsInvalid
from service.settings import Settings

BACKLOG = 512


def listen(host: str, port: int, setting: str) -> socket.socket:
    """Bind and listen on ``host:port`` (port 0: any free one).

    Raises
    ------
    SettingsInvalid : the address is taken or not ours; names the ``setting``
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise SettingsInvalid(f"{setting}: {host}:{port}: {error.strerror or error}") from error
    return listening


def with_tls_port(settings: Settings, secured: socket.socket) -> Settings:
    """The settings with the TLS port that was bound, which may have been any free one."""
    tls = settings.dicom.tls.model_copy(update={"port": secured.getsockname()[1]})
    return settings.model_copy(update={"dicom": settings.dicom.model_copy(update={"tls": tls})})


def address_of(listening: socket.socket) -> str:
    """``host:port`` as others write it, brackets round an IPv6 address."""
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

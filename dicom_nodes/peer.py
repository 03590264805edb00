"""The other side of an association that we open."""

from __future__ import annotations

from dataclasses import dataclass

from dicom_nodes.errors import GatewayError


class PeerUnavailable(GatewayError):
    """The peer could not be reached, turned us away or broke off; the message says which."""

    http_status = 502


class ContextsRefused(PeerUnavailable):
    """The peer is there and takes none of what was proposed."""


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where a DIMSE peer listens and under which title."""

    ae_title: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.ae_title}@{self.host}:{self.port}"

"""What is asked of a caller before its association is accepted, besides its titles and its address."""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass, field
from typing import Any

from dicom_nodes.caller_limits import CallerGate
from dicom_nodes.callers import Rejection
from dicom_nodes.service_port import Caller
from dicom_nodes.tls import TlsAcceptor
from dicom_nodes.user_identity import AnyIdentity, IdentityPolicy, offered_identity

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Admission:
    """The doors of a node.

    Parameters
    ----------
    identities : decides over user identities
    gate : counts what each caller opens; None where nobody has a limit of its own
    tls : secures connections; None where all of them are plain
    tls_port : connections to this port of ours are secured; None secures those to every port
    """

    identities: IdentityPolicy = field(default_factory=AnyIdentity)
    gate: CallerGate | None = None
    tls: TlsAcceptor | None = None
    tls_port: int | None = None

    def secures(self, connection: socket.socket) -> TlsAcceptor | None:
        """What secures an accepted connection; None for a plain one."""
        if self.tls_port is not None and connection.getsockname()[1] != self.tls_port:
            return None
        return self.tls

    def verify(self, caller: Caller, negotiated: Any) -> Rejection | bool:
        """Decide over the user identity that pynetdicom negotiated: a rejection, or whether it was confirmed."""
        try:
            return self.identities.verify(caller, offered_identity(negotiated))
        except Exception as error:  # noqa: BLE001 -- the edge to the peer: a broken policy admits nobody
            _LOGGER.error("user identities cannot be verified: %s", type(error).__name__)  # noqa: TRY400
            return Rejection.USER_NOT_KNOWN

    def enter(self, calling_ae_title: str) -> Rejection | None:
        """Count an association, unless it is one too many."""
        return None if self.gate is None else self.gate.enter(calling_ae_title)

    def leave(self, calling_ae_title: str) -> None:
        """An association that was counted is over."""
        if self.gate is not None:
            self.gate.leave(calling_ae_title)

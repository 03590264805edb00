"""Requests that a peer makes on an association that we opened: C-STORE during C-GET, reports of storage commitment."""

from __future__ import annotations

from typing import Protocol

from dicom_nodes.command_set import CommandSet
from dicom_nodes.service_port import AcceptedContext


class PeerRequest(Protocol):
    """One request on its way in; used by the thread of the upper layer."""

    def write(self, data: memoryview) -> None:
        """Take the next bytes of its data set.

        Raises
        ------
        GatewayError : it is not taken; the error is the answer, and the rest is read and dropped
        """

    def finish(self) -> int:
        """All has come; the status to answer with.

        Raises
        ------
        GatewayError : it is not taken; the error is the answer
        """

    def abandon(self) -> None:
        """The connection ended, or it was not taken."""


class PeerRequests(Protocol):
    """Takes what a peer asks on an association of ours."""

    def begin(self, context: AcceptedContext, command: CommandSet) -> PeerRequest | None:
        """Take a request; None leaves it to pynetdicom.

        Raises
        ------
        GatewayError : it is not taken; the error is the answer
        """

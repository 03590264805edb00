"""What a node answers besides Verification and Storage: services plugged in by whoever builds the node.

``DicomNode(..., services=(query, commitment))`` takes any object of the shape of `DimseService`. The node accepts the
presentation contexts that a service names, for callers that the service admits, and hands it each message that comes
on one of them: C-FIND, C-MOVE, C-GET, N-ACTION, N-EVENT-REPORT, N-CREATE… The service answers through its `Exchange`;
a `GatewayError` that it raises is the answer (DIMSE status and Error Comment), so no request stays unanswered.

A service runs in the association's own thread: while it works, releases wait, and C-CANCEL is seen in
``exchange.cancelled``. It is used by the threads of all associations at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dicom_nodes.command_set import CommandSet

Buffer = bytes | memoryview


@dataclass(frozen=True, slots=True)
class Caller:
    """Who opened the association, and which of our titles they called."""

    calling_ae_title: str
    called_ae_title: str
    address: str


@dataclass(frozen=True, slots=True)
class AcceptedContext:
    """An accepted presentation context; ``as_scu`` and ``as_scp`` are the roles that are ours in it."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    as_scu: bool = False
    as_scp: bool = True


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """One DIMSE request as it came.

    Parameters
    ----------
    command : Command Field (0000,0100), such as ``command_set.C_FIND_RQ``
    sop_class_uid, sop_instance_uid : Affected or Requested, whichever the message has
    data_set : encoded in the context's transfer syntax; None where the message has none
    type_id : Action Type ID or Event Type ID
    application_information : what SOP Class Extended Negotiation came to for this class (PS3.7 D.3.3.5); b"" without
    """

    caller: Caller
    context: AcceptedContext
    command: int
    message_id: int
    sop_class_uid: str
    sop_instance_uid: str = ""
    data_set: bytes | None = field(default=None, repr=False)
    move_destination: str = ""
    type_id: int = 0
    application_information: bytes = b""


class Exchange(Protocol):
    """One request's conversation with the peer."""

    @property
    def cancelled(self) -> bool:
        """Whether the peer has asked by C-CANCEL to stop."""

    @property
    def is_quiet(self) -> bool:
        """Whether the peer has sent nothing since this request: no message, no release; False once it is gone."""

    @property
    def contexts(self) -> Sequence[AcceptedContext]:
        """All accepted contexts of the association."""

    def respond(
        self, status: int, elements: Mapping[int, int | str] | None = None, data_set: bytes | None = None
    ) -> None:
        """Send one response; pending ones may be followed by others.

        Command Field, Message ID Being Responded To, the Affected SOP Class and Instance UID and the Command Data Set
        Type are filled in.

        Raises
        ------
        PeerUnavailable : the peer is gone
        """

    def request(
        self, context_id: int, elements: Mapping[int, int | str], data_set: bytes | Iterable[Buffer] | None = None
    ) -> CommandSet:
        """Send a request of ours on the same association, and wait for its response; the Message ID is filled in.

        Raises
        ------
        PeerUnavailable : the peer is gone, or did not answer in time
        """


class DimseService(Protocol):
    """One service of a node."""

    @property
    def abstract_syntaxes(self) -> frozenset[str]:
        """The SOP classes whose contexts and messages are this service's."""

    @property
    def scu_of(self) -> frozenset[str]:
        """Classes in whose contexts we may be SCU while a caller uses the service (PS3.7 D.3.3.4).

        Storage for C-GET; storage commitment for reports that come on associations of the peer.
        """

    def admits(self, caller: Caller) -> bool:
        """Whether this caller is offered the service at all; asked at association."""

    def negotiate(self, abstract_syntax: str, proposed: bytes) -> bytes | None:
        """Answer SOP Class Extended Negotiation; None answers nothing."""

    def answer(self, request: ServiceRequest, exchange: Exchange) -> None:
        """Answer one message; each request gets a final response, by ``exchange`` or by a `GatewayError`."""

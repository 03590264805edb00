"""What happens at a node, for logs, metrics and the audit trail; no UIDs of instances, no patient's values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class NodeEventKind(StrEnum):
    """What happened."""

    ASSOCIATION_ACCEPTED = "association.accepted"
    ASSOCIATION_REJECTED = "association.rejected"
    ASSOCIATION_CLOSED = "association.closed"
    OBJECT_STORED = "object.stored"
    OBJECT_REFUSED = "object.refused"
    OBJECT_CUT = "object.cut"
    """The connection ended in the middle of an object."""
    NODE_FAILED = "node.failed"
    """Something of ours went wrong; the node goes on."""


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """One thing that happened.

    ``status`` is the DIMSE status of a store, ``size`` its data set's bytes, ``reason`` the words of a refusal.
    """

    kind: NodeEventKind
    calling_ae_title: str = ""
    called_ae_title: str = ""
    peer_address: str = ""
    sop_class_uid: str = ""
    status: int = 0
    size: int = 0
    reason: str = ""


NodeEventHandler = Callable[[NodeEvent], None]

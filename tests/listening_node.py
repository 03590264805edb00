"""A node on a free port of this host, and requests that no well-behaved sender makes."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from dicom_nodes.admission import Admission
from dicom_nodes.callers import CallerPolicy, KnownCallers
from dicom_nodes.command_set import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    C_STORE_RQ,
    COMMAND_FIELD,
    DATA_SET_PRESENT,
    DATA_SET_TYPE,
    ERROR_COMMENT,
    MEDIUM_PRIORITY,
    NO_DATA_SET,
    PRIORITY,
    STATUS,
)
from dicom_nodes.listener import DicomNode, NodeSettings
from dicom_nodes.node_event import NodeEvent, NodeEventKind
from dicom_nodes.object_sink import ObjectSink
from dicom_nodes.peer import PeerAddress
from dicom_nodes.requestor import Requestor
from dicom_nodes.service_port import DimseService
from tests.patience import PATIENCE_S

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
TITLE = "ANNOGATE"

# What every node of a test listens with, unless it says otherwise; see the fixture ``receive_path``.
SETTINGS: dict[str, object] = {}


@dataclass
class Listening:
    """A running node and what it has told so far."""

    node: DicomNode
    events: queue.Queue[NodeEvent] = field(default_factory=queue.Queue)

    @property
    def peer(self) -> PeerAddress:
        return self.called(TITLE)

    def called(self, ae_title: str) -> PeerAddress:
        return PeerAddress(ae_title, *self.node.address)

    def event(self, kind: NodeEventKind) -> NodeEvent:
        """Wait for the next event of a kind."""
        while True:
            event = self.events.get(timeout=PATIENCE_S)
            if event.kind is kind:
                return event


@contextlib.contextmanager
def listening(
    sink: ObjectSink,
    callers: CallerPolicy | None = None,
    services: Iterable[DimseService] = (),
    admission: Admission | None = None,
    **settings: object,
) -> Iterator[Listening]:
    """Run a node for the length of a test."""
    events: queue.Queue[NodeEvent] = queue.Queue()
    node = DicomNode(
        NodeSettings(**{"port": 0, **SETTINGS, **settings}),  # type: ignore[arg-type]
        sink,
        callers or KnownCallers([TITLE]),
        events.put,
        services=services,
        admission=admission,
    )
    node.start()
    try:
        yield Listening(node, events)
    finally:
        node.stop()


def c_store(
    association: Requestor,
    context_id: int,
    *,
    sop_class_uid: str = CT,
    sop_instance_uid: str = "1.2.3.4",
    data_set: bytes | None = b"\x08\x00\x60\x00CS\x02\x00CT",
    priority: int = MEDIUM_PRIORITY,
) -> tuple[int, str]:
    """Send whatever is asked for; Status and Error Comment."""
    elements: dict[int, int | str] = {
        AFFECTED_SOP_CLASS_UID: sop_class_uid,
        COMMAND_FIELD: C_STORE_RQ,
        PRIORITY: priority,
        DATA_SET_TYPE: NO_DATA_SET if data_set is None else DATA_SET_PRESENT,
        AFFECTED_SOP_INSTANCE_UID: sop_instance_uid,
    }
    answer = association.request(context_id, elements, data_set)
    return answer.number(STATUS, 0xFFFF), answer.text(ERROR_COMMENT)

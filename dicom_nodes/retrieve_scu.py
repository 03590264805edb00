"""C-MOVE and C-GET as SCU (PS3.4 C.4.2, C.4.3): a peer's objects sent to somebody, or back on our association."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pydicom.dataset import Dataset

from dicom_nodes.command_set import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    C_GET_RQ,
    C_MOVE_RQ,
    C_STORE_RQ,
    COMMAND_FIELD,
    COMPLETED_SUB_OPERATIONS,
    DATA_SET_PRESENT,
    DATA_SET_TYPE,
    FAILED_SUB_OPERATIONS,
    MEDIUM_PRIORITY,
    MOVE_DESTINATION,
    PRIORITY,
    REMAINING_SUB_OPERATIONS,
    STATUS,
    WARNING_SUB_OPERATIONS,
    CommandSet,
)
from dicom_nodes.errors import InstanceUnreadable, SopClassMismatch
from dicom_nodes.identifier import decode_identifier, encode_identifier
from dicom_nodes.object_sink import ObjectHeader, ObjectSink, ObjectWriter
from dicom_nodes.peer import PeerAddress, PeerUnavailable
from dicom_nodes.peer_requests import PeerRequest
from dicom_nodes.query_model import SUCCESS, Model, QueryLevel, is_pending, status_words
from dicom_nodes.query_scu import UNCOMPRESSED, completed
from dicom_nodes.requestor import MAXIMUM_CONTEXTS, Requestor, RequestorSettings
from dicom_nodes.responses import Response
from dicom_nodes.service_port import AcceptedContext
from dicom_nodes.storage_classes import VERIFICATION, is_uid

# What archives keep images in, besides uncompressed: the likely first, since contexts are few.
COMPRESSED: Final = tuple(
    f"1.2.840.10008.1.2.{suffix}"
    for suffix in (
        *("4.70", "4.90", "4.80", "5", "4.50", "4.91", "4.51", "4.81", "4.57", "1.99", "4.201", "4.202", "4.203"),
        *("4.100", "4.102", "4.103", "4.104", "4.105", "4.106", "4.107", "4.108", "4.92", "4.93", "2"),
    )
)
# Asked for where nobody says which classes a study has.
COMMON_CLASSES: Final = tuple(
    f"1.2.840.10008.5.1.4.1.1.{suffix}"
    for suffix in (
        *("1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "2", "2.1", "2.2", "3.1", "4", "4.1", "4.2", "4.3", "4.4", "6.1"),
        *("6.2", "7", "7.1", "7.2", "7.3", "7.4", "9.1.1", "9.1.2", "9.1.3", "11.1", "11.2", "11.3", "12.1", "12.1.1"),
        *("12.2", "12.2.1", "13.1.1", "13.1.2", "13.1.3", "20", "30", "66", "66.1", "66.4", "66.7", "77.1.1", "77.1.4"),
        *("77.1.5.1", "77.1.6", "88.11", "88.22", "88.33", "88.34", "88.40", "88.50", "88.59", "88.67", "104.1", "128"),
        *("130", "481.1", "481.2", "481.3", "481.5"),
    )
)


class RetrievalNotTaken(PeerUnavailable):
    """The peer accepts no context of this C-MOVE or C-GET."""


@dataclass(frozen=True, slots=True)
class SubOperations:
    """How far a retrieval is, by the peer's own count; None where it does not say."""

    remaining: int | None = None
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None


@dataclass(frozen=True, slots=True)
class RetrieveOutcome:
    """How a retrieval ended.

    Parameters
    ----------
    failed_uids : Failed SOP Instance UID List (0008,0058), as the peer gave it
    received : objects that our side took, for C-GET; 0 for C-MOVE
    """

    status: int
    operations: SubOperations
    failed_uids: tuple[str, ...] = ()
    received: int = 0

    @property
    def succeeded(self) -> bool:
        """Whether the peer says that every object went."""
        return self.status == SUCCESS and not self.operations.failed

    @property
    def words(self) -> str:
        """The status for people."""
        return status_words(self.status)


ProgressHandler = Callable[[SubOperations], None]


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a retrieval is watched and stopped.

    Parameters
    ----------
    on_progress : told of each pending response
    stop : asked again and again; once it says yes the peer is asked by C-CANCEL to stop
    """

    on_progress: ProgressHandler | None = None
    stop: Callable[[], bool] | None = None


def move(
    peer: PeerAddress,
    model: Model,
    level: QueryLevel,
    identifier: Dataset,
    destination: str,
    *,
    settings: RequestorSettings | None = None,
    conduct: Conduct | None = None,
) -> RetrieveOutcome:
    """Have a peer send objects to a destination that it knows by AE title.

    ``settings.answer_timeout_s`` is the longest silence between two responses.

    Raises
    ------
    PeerUnavailable : it cannot be reached, does not take the model, breaks off or falls silent
    """
    elements: dict[int, int | str] = {COMMAND_FIELD: C_MOVE_RQ, MOVE_DESTINATION: destination}
    with Requestor(peer, [(model.move, UNCOMPRESSED)], settings) as association:
        return _retrieve(association, model.move, elements, completed(identifier, level), conduct or Conduct())


def get(
    peer: PeerAddress,
    model: Model,
    level: QueryLevel,
    identifier: Dataset,
    sink: ObjectSink,
    *,
    called_ae_title: str,
    sop_classes: Sequence[str] = COMMON_CLASSES,
    settings: RequestorSettings | None = None,
    conduct: Conduct | None = None,
    clock: Callable[[], float] = time.time,
) -> RetrieveOutcome:
    """Fetch objects over our own association into a sink; each is answered when the sink has made it durable.

    Parameters
    ----------
    called_ae_title : the title of ours that the objects count as sent to; the calling one is the peer's
    sop_classes : the storage classes to take; the fewer, the more transfer syntaxes can be offered for each, within
        the 128 presentation contexts of an association

    Raises
    ------
    PeerUnavailable : it cannot be reached, does not take the model, breaks off or falls silent
    """
    taking = _Taking(sink, peer, called_ae_title, clock)
    contexts = [(model.get, UNCOMPRESSED), *storage_contexts(sop_classes, MAXIMUM_CONTEXTS - 1)]
    roles = {uid: (False, True) for uid, _ in contexts[1:]}
    with Requestor(peer, contexts, settings, roles=roles, peer_requests=taking) as association:
        elements: dict[int, int | str] = {COMMAND_FIELD: C_GET_RQ}
        outcome = _retrieve(association, model.get, elements, completed(identifier, level), conduct or Conduct())
    return replace(outcome, received=taking.received)


def storage_contexts(sop_classes: Sequence[str], room: int) -> list[tuple[str, tuple[str, ...]]]:
    """Contexts to take objects in: every class uncompressed, then each compressed syntax for all as far as room goes.

    A peer chooses one transfer syntax a context, so that a compressed object stays as it is only in a context that
    has its syntax alone.
    """
    classes = list(dict.fromkeys(sop_classes))[:room]
    contexts: list[tuple[str, tuple[str, ...]]] = [(uid, UNCOMPRESSED) for uid in classes]
    for syntax in COMPRESSED:
        if len(contexts) + len(classes) > room:
            break
        contexts += [(uid, (syntax,)) for uid in classes]
    return contexts


def _retrieve(
    association: Requestor, sop_class_uid: str, elements: dict[int, int | str], identifier: Dataset, conduct: Conduct
) -> RetrieveOutcome:
    context = next((known for known in association.contexts if known.abstract_syntax == sop_class_uid), None)
    if context is None:
        raise RetrievalNotTaken(f"{association.peer} takes no such retrieval")
    elements |= {
        AFFECTED_SOP_CLASS_UID: sop_class_uid,
        PRIORITY: MEDIUM_PRIORITY,
        DATA_SET_TYPE: DATA_SET_PRESENT,
    }
    encoded = encode_identifier(identifier, context.transfer_syntax)
    for response in association.responses(context.context_id, elements, encoded, conduct.stop):
        operations = _operations(response.command)
        if not is_pending(status := response.command.number(STATUS)):
            return RetrieveOutcome(status, operations, _failed_uids(response, context.transfer_syntax))
        if conduct.on_progress is not None:
            conduct.on_progress(operations)
    raise PeerUnavailable(f"{association.peer} gave no final answer")


def _operations(command: CommandSet) -> SubOperations:
    fields = (REMAINING_SUB_OPERATIONS, COMPLETED_SUB_OPERATIONS, FAILED_SUB_OPERATIONS, WARNING_SUB_OPERATIONS)
    return SubOperations(*(command.number(field) if field in command.elements else None for field in fields))


def _failed_uids(response: Response, transfer_syntax_uid: str) -> tuple[str, ...]:
    if response.data_set is None:
        return ()
    try:
        value = decode_identifier(response.data_set, transfer_syntax_uid).get("FailedSOPInstanceUIDList") or ()
    except InstanceUnreadable:
        return ()
    return (str(value),) if isinstance(value, str) else tuple(str(uid) for uid in value)


class _Taking:
    """Takes the objects that come back on our association; fills ``peer_requests.PeerRequests``."""

    def __init__(self, sink: ObjectSink, peer: PeerAddress, called_ae_title: str, clock: Callable[[], float]) -> None:
        self._sink = sink
        self._peer = peer
        self._called_ae_title = called_ae_title
        self._clock = clock
        self.received = 0

    def begin(self, context: AcceptedContext, command: CommandSet) -> PeerRequest | None:
        """Take a C-STORE on a context in which we are SCP."""
        if command.command != C_STORE_RQ or context.abstract_syntax == VERIFICATION:
            return None
        sop_class_uid, sop_instance_uid = command.text(AFFECTED_SOP_CLASS_UID), command.text(AFFECTED_SOP_INSTANCE_UID)
        if sop_class_uid != context.abstract_syntax:
            raise SopClassMismatch("Affected SOP Class UID is not the presentation context's")
        if not is_uid(sop_instance_uid) or not command.has_data_set:
            raise InstanceUnreadable("there is no data set, or Affected SOP Instance UID is not a UID")
        header = ObjectHeader(
            calling_ae_title=self._peer.ae_title,
            called_ae_title=self._called_ae_title,
            peer_address=self._peer.host,
            sop_class_uid=sop_class_uid,
            sop_instance_uid=sop_instance_uid,
            transfer_syntax_uid=context.transfer_syntax,
            received_at=self._clock(),
        )
        return _TakenObject(self._sink.begin(header), self)


class _TakenObject:
    """One object on its way into the sink."""

    def __init__(self, writer: ObjectWriter, taking: _Taking) -> None:
        self._writer = writer
        self._taking = taking
        self._size = 0

    def write(self, data: memoryview) -> None:
        """Take the next bytes."""
        self._size += len(data)
        self._writer.write(data)

    def finish(self) -> int:
        """Make it durable."""
        if not self._size:
            raise InstanceUnreadable("the data set is empty")
        self._writer.commit()
        self._taking.received += 1
        return SUCCESS

    def abandon(self) -> None:
        """Forget it."""
        self._writer.abandon()

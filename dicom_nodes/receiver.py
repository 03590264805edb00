"""C-STORE as SCP (PS3.4 Annex B, PS3.7 9.1.1): fragments go straight into the sink, the answer follows the commit.

Decided here is only what command set, presentation context and sink can tell; the data set itself is not parsed.
Every C-STORE is answered, and a failing object ends neither the association nor the process.
"""

from __future__ import annotations

import errno
import logging
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from dicom_nodes.callers import CallerPolicy
from dicom_nodes.command_set import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    C_STORE_RQ,
    C_STORE_RSP,
    COMMAND_FIELD,
    DATA_SET_TYPE,
    ERROR_COMMENT,
    MESSAGE_ID,
    MESSAGE_ID_RESPONDED_TO,
    NO_DATA_SET,
    STATUS,
    CommandSet,
    encode_command_set,
)
from dicom_nodes.commit_lane import CommitLane
from dicom_nodes.dimse_stream import DimseStream
from dicom_nodes.errors import (
    CallerNotAllowed,
    GatewayError,
    InstanceUnreadable,
    SopClassMismatch,
    SopClassNotSupported,
    StorageExhausted,
)
from dicom_nodes.node_event import NodeEvent, NodeEventHandler, NodeEventKind
from dicom_nodes.object_sink import ObjectHeader, ObjectSink, ObjectWriter
from dicom_nodes.receive_loop import ReceiveLoop
from dicom_nodes.storage_classes import is_uid
from dicom_nodes.upper_layer import NodeAssociation

_LOGGER = logging.getLogger(__name__)
_SUCCESS = 0x0000
_ENDED_AT_ONCE = 64
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class ObjectsUnderWay:
    """Counts the objects of all associations from their command to their answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def begin(self) -> None:
        """One more."""
        with self._lock:
            self._count += 1

    def end(self) -> None:
        """One less."""
        with self._lock:
            self._count -= 1

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return self._count > 1


@dataclass(frozen=True, slots=True)
class Reception:
    """What all receivers of one node share.

    Parameters
    ----------
    objects : of all of them; a thread that many share does not wait for the disk while there are others
    loop : reads for associations that send objects
    commits : commits what the loop has received
    storage_classes : UIDs of the SOP classes that are taken
    callers : asked again at each object, since a right may be withdrawn while an association lasts
    """

    sink: ObjectSink
    callers: CallerPolicy
    storage_classes: frozenset[str]
    on_event: NodeEventHandler
    clock: Callable[[], float] = time.time
    objects: ObjectsUnderWay = field(default_factory=ObjectsUnderWay)
    loop: ReceiveLoop = field(default_factory=ReceiveLoop)
    commits: CommitLane = field(default_factory=lambda: CommitLane(_ENDED_AT_ONCE, lambda end: end()))

    def close(self) -> None:
        """End the threads that receivers share."""
        self.loop.close()
        self.commits.close()


@dataclass(slots=True)
class _Request:
    """A C-STORE in progress; after a failure the rest of its data set is read and dropped."""

    context_id: int
    command: CommandSet
    writer: ObjectWriter | None = None
    failure: GatewayError | None = None
    size: int = 0

    def fail(self, error: Exception) -> None:
        """Keep the first failure and nothing of the object."""
        if self.failure is None:
            self.failure = as_gateway_error(error)
        writer, self.writer = self.writer, None
        if writer is not None:
            writer.abandon()


def as_gateway_error(error: Exception) -> GatewayError:
    """An error of a sink as one with a DIMSE status: a full disk is A700, what we did not foresee 0110."""
    if isinstance(error, GatewayError):
        return error
    if isinstance(error, OSError) and error.errno in _FULL:
        return StorageExhausted("the disk is full")
    # Where, and not what: the words of a foreign error may carry a patient's values.
    place = traceback.extract_tb(error.__traceback__)[-1]
    _LOGGER.error("an object could not be taken: %s at %s:%s", type(error).__name__, place.filename, place.lineno)
    return GatewayError("processing failure")


class StoreReceiver(DimseStream):
    """The C-STORE SCP of one association; every other service is pynetdicom's."""

    def __init__(self, assoc: NodeAssociation, reception: Reception) -> None:
        super().__init__(assoc)
        self._reception = reception
        self._request: _Request | None = None
        self._lane: CommitLane | None = None
        self._answers = threading.Condition()
        self._due = 0
        """Answers that another thread gives."""

    @property
    def in_data_set(self) -> bool:
        """Whether an object is on its way."""
        return self._request is not None

    def takes(self, context_id: int, command: CommandSet) -> bool:
        """Take C-STORE requests and nothing else."""
        if command.command != C_STORE_RQ:
            return False
        self._request = request = _Request(context_id, command)
        self._reception.objects.begin()
        try:
            request.writer = self._begin(context_id, command)
        except Exception as error:  # noqa: BLE001 -- the edge to the peer: every C-STORE gets a response
            request.fail(error)
        if not command.has_data_set:
            self._request = None
            self._end(request)
        return True

    def fragment(self, data: memoryview, *, last: bool) -> None:
        """Hand the next bytes to the sink, and answer after the last."""
        request = self._request
        if request is None:
            return
        request.size += len(data)
        try:
            if request.writer is not None:
                request.writer.write(data)
        except Exception as error:  # noqa: BLE001 -- the edge to the peer: every C-STORE gets a response
            request.fail(error)
        if last:
            self._request = None
            self._end(request)

    def pipeline(self, window: int) -> None:
        """Let the peer send up to ``window`` objects without waiting for answers (PS3.7 D.3.3.3)."""
        self._lane = CommitLane(window, self._commit)

    def drain(self, timeout_s: float | None) -> None:
        """Wait for the answers that are due: after a release none could be given any more."""
        with self._answers:
            answered = self._answers.wait_for(lambda: not self._due, timeout_s)
        if not answered or (self._lane is not None and not self._lane.drain(timeout_s)):
            _LOGGER.warning("an association ends before its last objects are on the disk")

    def connection_ended(self) -> None:
        """Forget an object whose end will not come any more."""
        if self._lane is not None:
            self._lane.close()
        request, self._request = self._request, None
        if request is not None:
            request.fail(GatewayError("the connection ended in the middle of an object"))
            self._reception.objects.end()
            self._tell(NodeEventKind.OBJECT_CUT, request)

    def _end(self, request: _Request) -> None:
        """Commit the object and answer: here; for a peer that does not wait, behind its objects before.

        Lent to the loop of all associations, the object is committed by another thread if others are under way, and
        behind one that is there already, whoever reads by now: objects of an association keep their order.
        """
        lent = self._aside is not None and self._reception.objects.several
        shared = self._lane is None and (lent or self._due > 0)
        if self._lane is None and not shared:
            self._commit(request)
            return
        try:
            if request.writer is not None and request.size:
                request.writer.finish()
        except Exception as error:  # noqa: BLE001 -- the edge to the peer: every C-STORE gets a response
            request.fail(error)
        if self._lane is not None:
            self._lane.put(request)
            return
        with self._answers:
            self._due += 1
        self._reception.commits.put(partial(self._commit_due, request))

    def _commit_due(self, request: _Request) -> None:
        try:
            self._commit(request, wait=False)
        finally:
            with self._answers:
                self._due -= 1
                self._answers.notify_all()

    def _commit(self, request: _Request, *, wait: bool = True) -> None:
        try:
            if request.writer is not None:
                if not request.size:
                    raise InstanceUnreadable("the data set is empty")  # noqa: TRY301 -- one edge
                request.writer.commit()
        except Exception as error:  # noqa: BLE001 -- the edge to the peer: every C-STORE gets a response
            request.fail(error)
        self._answer(request, wait=wait)

    def _begin(self, context_id: int, command: CommandSet) -> ObjectWriter:
        sop_class_uid = command.text(AFFECTED_SOP_CLASS_UID)
        sop_instance_uid = command.text(AFFECTED_SOP_INSTANCE_UID)
        context = self.assoc._accepted_cx.get(context_id)
        if context is None or not self._stores(str(context.abstract_syntax)):
            raise SopClassNotSupported("no presentation context of a storage class was accepted")
        if not is_uid(sop_class_uid):
            raise InstanceUnreadable("Affected SOP Class UID is not a UID")
        if not is_uid(sop_instance_uid):
            raise InstanceUnreadable("Affected SOP Instance UID is not a UID")
        if sop_class_uid != context.abstract_syntax:
            raise SopClassMismatch("Affected SOP Class UID is not the presentation context's")
        if not command.has_data_set:
            raise InstanceUnreadable("there is no data set")
        self._authorise()
        header = ObjectHeader(
            calling_ae_title=self.assoc.requestor.primitive.calling_ae_title,
            called_ae_title=self.assoc.requestor.primitive.called_ae_title,
            peer_address=self.assoc.requestor.address,
            sop_class_uid=sop_class_uid,
            sop_instance_uid=sop_instance_uid,
            transfer_syntax_uid=str(context.transfer_syntax[0]),
            received_at=self._reception.clock(),
            priority=command.priority,
        )
        return self._reception.sink.begin(header)

    def _stores(self, abstract_syntax: str) -> bool:
        """Whether objects of a class are taken, of all callers or of this one."""
        return abstract_syntax in self._reception.storage_classes or abstract_syntax in self.assoc.offer.stored

    def _authorise(self) -> None:
        caller = self.assoc.requestor
        rejection = self._reception.callers.admit(
            caller.primitive.calling_ae_title, caller.primitive.called_ae_title, caller.address
        )
        if rejection is not None:
            raise CallerNotAllowed(f"not authorised: {rejection.words}")

    def _answer(self, request: _Request, *, wait: bool) -> None:
        failure = request.failure
        elements: dict[int, int | str] = {
            COMMAND_FIELD: C_STORE_RSP,
            MESSAGE_ID_RESPONDED_TO: request.command.number(MESSAGE_ID),
            DATA_SET_TYPE: NO_DATA_SET,
            STATUS: failure.dimse_status if failure else _SUCCESS,
        }
        if failure:
            elements[ERROR_COMMENT] = failure.comment
        for element in (AFFECTED_SOP_CLASS_UID, AFFECTED_SOP_INSTANCE_UID):
            value = request.command.text(element)
            if is_uid(value):
                elements[element] = value
        self._reception.objects.end()
        self.send_command(request.context_id, encode_command_set(elements), wait=wait)
        self._tell(NodeEventKind.OBJECT_REFUSED if failure else NodeEventKind.OBJECT_STORED, request)

    def _tell(self, kind: NodeEventKind, request: _Request) -> None:
        caller = self.assoc.requestor
        sop_class_uid = request.command.text(AFFECTED_SOP_CLASS_UID)
        self._reception.on_event(
            NodeEvent(
                kind=kind,
                calling_ae_title=caller.primitive.calling_ae_title,
                called_ae_title=caller.primitive.called_ae_title,
                peer_address=caller.address,
                sop_class_uid=sop_class_uid if is_uid(sop_class_uid) else "",
                status=request.failure.dimse_status if request.failure else _SUCCESS,
                size=request.size,
                reason=request.failure.comment if request.failure else "",
            )
        )

"""C-ECHO and C-STORE as SCU: objects go in their own transfer syntax, one answer comes back for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dicom_nodes.command_set import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    C_ECHO_RQ,
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
from dicom_nodes.errors import GatewayError
from dicom_nodes.outgoing_object import OutgoingObject
from dicom_nodes.peer import PeerAddress, PeerUnavailable
from dicom_nodes.requestor import MAXIMUM_CONTEXTS, Requestor, RequestorSettings
from dicom_nodes.storage_classes import VERIFICATION
from dicom_nodes.transfer_syntaxes import IMPLICIT_VR_LITTLE_ENDIAN

# Success and the warnings of PS3.4 Table B.2-1: in each of them the object was stored.
_STORED: Final = frozenset({0x0000, 0xB000, 0xB006, 0xB007})
_NO_STATUS: Final = 0x0110


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What became of one object.

    ``status`` is the peer's answer, None where there is none; ``comment`` its Error Comment, or why there is none.
    """

    sent: OutgoingObject
    status: int | None
    comment: str = ""

    @property
    def stored(self) -> bool:
        """Whether the peer says that it has the object."""
        return self.status in _STORED


def echo(peer: PeerAddress, settings: RequestorSettings | None = None) -> None:
    """Ask a peer whether it is there (PS3.4 Annex A).

    Raises
    ------
    PeerUnavailable : it is not, or it does not answer with success
    """
    with Requestor(peer, [(VERIFICATION, IMPLICIT_VR_LITTLE_ENDIAN)], settings) as association:
        elements: dict[int, int | str] = {
            AFFECTED_SOP_CLASS_UID: VERIFICATION,
            COMMAND_FIELD: C_ECHO_RQ,
            DATA_SET_TYPE: NO_DATA_SET,
        }
        status = association.request(association.any_context_id(), elements).number(STATUS, _NO_STATUS)
        if status:
            raise PeerUnavailable(f"{peer} answered C-ECHO with status {status:04X}")


def store(
    peer: PeerAddress, objects: Iterable[OutgoingObject], settings: RequestorSettings | None = None
) -> Iterator[StoreResult]:
    """Send objects in their order and yield the answer to each as it comes.

    Over one association as long as 128 presentation contexts suffice, over several one after the other otherwise.
    When the peer breaks off, the rest is yielded without a status.

    Raises
    ------
    PeerUnavailable : no association could be opened; none of the objects not yet yielded was sent
    """
    for batch in _batches(objects):
        yield from _store_batch(peer, batch, settings)


def _batches(objects: Iterable[OutgoingObject]) -> Iterator[list[OutgoingObject]]:
    """Cut where one more pair of class and transfer syntax would be one too many for an association."""
    batch: list[OutgoingObject] = []
    pairs: set[tuple[str, str]] = set()
    for outgoing in objects:
        pair = (outgoing.sop_class_uid, outgoing.transfer_syntax_uid)
        if pair not in pairs and len(pairs) == MAXIMUM_CONTEXTS:
            yield batch
            batch, pairs = [], set()
        pairs.add(pair)
        batch.append(outgoing)
    if batch:
        yield batch


def _store_batch(
    peer: PeerAddress, batch: Sequence[OutgoingObject], settings: RequestorSettings | None
) -> Iterator[StoreResult]:
    pairs = list(dict.fromkeys((outgoing.sop_class_uid, outgoing.transfer_syntax_uid) for outgoing in batch))
    answered = 0
    opened = False
    try:
        with Requestor(peer, pairs, settings) as association:
            opened = True
            for outgoing in batch:
                result = store_one(association, outgoing)
                answered += 1
                yield result
    except PeerUnavailable as error:
        if not opened:
            raise
        for outgoing in batch[answered:]:
            yield StoreResult(outgoing, None, str(error))


def store_one(association: Requestor, outgoing: OutgoingObject) -> StoreResult:
    """Send one object over an open association, in its own transfer syntax.

    Raises
    ------
    PeerUnavailable : the peer broke off or did not answer in time
    """
    context_id = association.context_id(outgoing.sop_class_uid, outgoing.transfer_syntax_uid)
    if context_id is None:
        return StoreResult(outgoing, None, "the peer takes no such SOP class in this transfer syntax")
    try:
        data_set = outgoing.load()
    except (GatewayError, OSError) as error:
        return StoreResult(outgoing, None, f"not sent: {type(error).__name__}")
    elements: dict[int, int | str] = {
        AFFECTED_SOP_CLASS_UID: outgoing.sop_class_uid,
        COMMAND_FIELD: C_STORE_RQ,
        PRIORITY: MEDIUM_PRIORITY,
        DATA_SET_TYPE: DATA_SET_PRESENT,
        AFFECTED_SOP_INSTANCE_UID: outgoing.sop_instance_uid,
    }
    answer = association.request(context_id, elements, data_set)
    return StoreResult(outgoing, answer.number(STATUS, _NO_STATUS), answer.text(ERROR_COMMENT))

"""C-STORE sub-operations of a C-MOVE or C-GET: each sent, answered and counted (PS3.4 C.4.2.1.6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from pydicom.dataset import Dataset

from dicom_nodes.command_set import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    C_STORE_RQ,
    COMMAND_FIELD,
    COMPLETED_SUB_OPERATIONS,
    DATA_SET_PRESENT,
    DATA_SET_TYPE,
    ERROR_COMMENT,
    FAILED_SUB_OPERATIONS,
    MEDIUM_PRIORITY,
    MOVE_ORIGINATOR_AE_TITLE,
    MOVE_ORIGINATOR_MESSAGE_ID,
    PRIORITY,
    REMAINING_SUB_OPERATIONS,
    STATUS,
    WARNING_SUB_OPERATIONS,
    CommandSet,
)
from dicom_nodes.identifier import encode_identifier
from dicom_nodes.query_model import CANNOT_PERFORM_SUB_OPERATIONS, SUB_OPERATIONS_FAILED, SUCCESS
from dicom_nodes.service_port import Buffer
from service.core.archived import InstanceRow
from service.dimse.served_objects import Carriage

# A count is a US; the list of UIDs stays below the 64 KiB of a UI in explicit VR.
_LARGEST_COUNT: Final = 0xFFFF
_MOST_UIDS: Final = 1000
_WARNINGS: Final = frozenset({0xB000, 0xB006, 0xB007})
_MOST_STUDIES: Final = 20
_NO_STATUS: Final = 0x0110


class Carrier(Protocol):
    """An association that objects go over: one of ours to a destination, or the caller's own."""

    def request(
        self, context_id: int, elements: Mapping[int, int | str], data_set: bytes | Iterable[Buffer] | None = None
    ) -> CommandSet:
        """Send a request and wait for its response; the Message ID is filled in."""


@dataclass(slots=True)
class Tally:
    """How far a retrieval is.

    Parameters
    ----------
    total : sub-operations to do
    """

    total: int
    completed: int = 0
    failed: int = 0
    warning: int = 0
    failed_uids: list[str] = field(default_factory=list, repr=False)
    studies: dict[str, None] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Sub-operations that are over."""
        return self.completed + self.failed + self.warning

    @property
    def final_status(self) -> int:
        """The status when all is over: of nothing sent, of failures or warnings among it, of success."""
        if self.failed and not self.completed + self.warning:
            return CANNOT_PERFORM_SUB_OPERATIONS
        return SUB_OPERATIONS_FAILED if self.failed or self.warning else SUCCESS

    def count(self, row: InstanceRow, status: int | None) -> None:
        """Note what became of one object; None where it could not be sent."""
        if len(self.studies) < _MOST_STUDIES:
            self.studies[row.study_uid] = None
        if status == SUCCESS:
            self.completed += 1
        elif status in _WARNINGS:
            self.warning += 1
        else:
            self.failed += 1
            if len(self.failed_uids) < _MOST_UIDS:
                self.failed_uids.append(row.sop_instance_uid)

    def counts(self, *, remaining: bool) -> dict[int, int | str]:
        """The elements of a response; what remains belongs into pending and cancel responses alone."""
        elements: dict[int, int | str] = {
            COMPLETED_SUB_OPERATIONS: min(self.completed, _LARGEST_COUNT),
            FAILED_SUB_OPERATIONS: min(self.failed, _LARGEST_COUNT),
            WARNING_SUB_OPERATIONS: min(self.warning, _LARGEST_COUNT),
        }
        if remaining:
            elements[REMAINING_SUB_OPERATIONS] = min(self.total - self.done, _LARGEST_COUNT)
        return elements

    def end(self, *, finished: bool) -> dict[int, int | str]:
        """The elements of the final response; it says so where the list of failures is shorter than their count."""
        elements = self.counts(remaining=not finished)
        if self.failed > len(self.failed_uids):
            elements[ERROR_COMMENT] = f"{len(self.failed_uids)} of {self.failed} failed objects are listed"
        return elements

    def failures(self, transfer_syntax_uid: str) -> bytes | None:
        """Failed SOP Instance UID List (0008,0058) as the identifier of a response; None without failures."""
        if not self.failed_uids:
            return None
        identifier = Dataset()
        identifier.FailedSOPInstanceUIDList = self.failed_uids
        return encode_identifier(identifier, transfer_syntax_uid)


def send(carrier: Carrier, carriage: Carriage, row: InstanceRow, originator: tuple[str, int] | None = None) -> int:
    """Send one object; the status of its answer.

    Parameters
    ----------
    originator : AE title and Message ID of the C-MOVE behind it

    Raises
    ------
    GatewayError : it could not be made, or the peer is gone (then it is a ``PeerUnavailable``)
    """
    elements: dict[int, int | str] = {
        AFFECTED_SOP_CLASS_UID: row.sop_class_uid,
        COMMAND_FIELD: C_STORE_RQ,
        PRIORITY: MEDIUM_PRIORITY,
        DATA_SET_TYPE: DATA_SET_PRESENT,
        AFFECTED_SOP_INSTANCE_UID: row.sop_instance_uid,
    }
    if originator is not None:
        elements[MOVE_ORIGINATOR_AE_TITLE], elements[MOVE_ORIGINATOR_MESSAGE_ID] = originator
    return carrier.request(carriage.context_id, elements, carriage.open()).number(STATUS, _NO_STATUS)

"""Storage commitment, push model (PS3.4 Annex J): what is asked and what is answered, as values and as data sets.

The Transaction UID ties an answer to its request: it may come on another association, days later (PS3.4 J.3.3).
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.dsutils import decode, encode

from dicom_nodes.errors import GatewayError
from dicom_nodes.storage_classes import is_uid

STORAGE_COMMITMENT: Final = "1.2.840.10008.1.20.1"
WELL_KNOWN_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
REQUEST_COMMITMENT: Final = 1  # Action Type ID (PS3.4 Table J.3-1)
ALL_COMMITTED: Final = 1  # Event Type IDs (PS3.4 Table J.3-2)
SOME_FAILED: Final = 2


class ArgumentInvalid(GatewayError):
    """A data set of a normalized service that lacks what it must have, or says what cannot be (PS3.7 C.5.2)."""

    http_status = 400
    dimse_status = 0x0115


class FailureReason(IntEnum):
    """Failure Reason (0008,1197) of an instance that is not committed (PS3.3 C.14.1.1)."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119
    CLASS_NOT_SUPPORTED = 0x0122
    DUPLICATE_TRANSACTION = 0x0131
    RESOURCE_LIMITATION = 0x0213


@dataclass(frozen=True, slots=True)
class Reference:
    """One instance by class and UID; the UID is identity where it is an original one."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class CommitmentRequest:
    """Safekeeping asked for some instances."""

    transaction_uid: str
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """Which instances are kept, and which are not with their Failure Reason."""

    transaction_uid: str
    committed: tuple[Reference, ...]
    failed: tuple[tuple[Reference, int], ...] = ()

    @property
    def event_type_id(self) -> int:
        """1 where every instance is committed, otherwise 2."""
        return SOME_FAILED if self.failed else ALL_COMMITTED


def encode_request(request: CommitmentRequest, transfer_syntax_uid: str) -> bytes:
    """The Action Information of an N-ACTION (PS3.4 Table J.3-1)."""
    data_set = Dataset()
    data_set.TransactionUID = request.transaction_uid
    data_set.ReferencedSOPSequence = [_item(reference) for reference in request.references]
    return encode_data_set(data_set, transfer_syntax_uid)


def decode_request(encoded: bytes, transfer_syntax_uid: str) -> CommitmentRequest:
    """Read the Action Information of an N-ACTION.

    Raises
    ------
    ArgumentInvalid : the Transaction UID or the instances are missing or malformed; says which
    """
    data_set = decode_data_set(encoded, transfer_syntax_uid)
    references = tuple(dict.fromkeys(_references(data_set, "ReferencedSOPSequence")))
    if not references:
        raise ArgumentInvalid("Referenced SOP Sequence (0008,1199) names no instance")
    return CommitmentRequest(_transaction_uid(data_set), references)


def encode_report(report: CommitmentReport, transfer_syntax_uid: str) -> bytes:
    """The Event Information of an N-EVENT-REPORT (PS3.4 Table J.3-2)."""
    data_set = Dataset()
    data_set.TransactionUID = report.transaction_uid
    if report.committed:
        data_set.ReferencedSOPSequence = [_item(reference) for reference in report.committed]
    if report.failed:
        data_set.FailedSOPSequence = [_item(reference, reason) for reference, reason in report.failed]
    return encode_data_set(data_set, transfer_syntax_uid)


def decode_report(encoded: bytes, transfer_syntax_uid: str) -> CommitmentReport:
    """Read the Event Information of an N-EVENT-REPORT.

    Raises
    ------
    ArgumentInvalid : the Transaction UID or an instance is missing or malformed; says which
    """
    data_set = decode_data_set(encoded, transfer_syntax_uid)
    failed = tuple(
        (reference, _failure_reason(item))
        for reference, item in zip(
            _references(data_set, "FailedSOPSequence"), data_set.get("FailedSOPSequence") or (), strict=True
        )
    )
    committed = tuple(_references(data_set, "ReferencedSOPSequence"))
    return CommitmentReport(_transaction_uid(data_set), committed, failed)


def encode_data_set(data_set: Dataset, transfer_syntax_uid: str) -> bytes:
    """A data set of UIDs, codes and numbers in a negotiated transfer syntax."""
    syntax = UID(transfer_syntax_uid)
    encoded = encode(data_set, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
    if encoded is None:
        raise GatewayError("the data set cannot be encoded")
    return bytes(encoded)


def decode_data_set(encoded: bytes, transfer_syntax_uid: str) -> Dataset:
    """A data set of a normalized service, read as a whole.

    Raises
    ------
    ArgumentInvalid : the bytes are none
    """
    syntax = UID(transfer_syntax_uid)
    try:
        data_set: Dataset = decode(
            io.BytesIO(encoded), syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated
        )
        data_set.decode()
        for _ in data_set.iterall():  # converts every element, so that nothing breaks later
            pass
    except Exception as error:
        raise ArgumentInvalid("the data set cannot be read") from error
    return data_set


def uid_in(data_set: Dataset, keyword: str, words: str) -> str:
    """A UID of a data set.

    Raises
    ------
    ArgumentInvalid : it is missing or none; calls it by ``words``
    """
    value = str(data_set.get(keyword) or "")
    if not is_uid(value):
        raise ArgumentInvalid(f"{words} is missing or not a UID")
    return value


def _transaction_uid(data_set: Dataset) -> str:
    return uid_in(data_set, "TransactionUID", "Transaction UID (0008,1195)")


def _references(data_set: Dataset, keyword: str) -> Iterable[Reference]:
    for item in data_set.get(keyword) or ():
        yield Reference(
            uid_in(item, "ReferencedSOPClassUID", "Referenced SOP Class UID (0008,1150)"),
            uid_in(item, "ReferencedSOPInstanceUID", "Referenced SOP Instance UID (0008,1155)"),
        )


def _failure_reason(item: Dataset) -> int:
    reason = item.get("FailureReason")
    return int(reason) if isinstance(reason, int) else int(FailureReason.PROCESSING_FAILURE)


def _item(reference: Reference, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_instance_uid
    if reason is not None:
        item.FailureReason = int(reason)
    return item

"""Instance Availability Notification (PS3.4 Annex R), as SCP and as SCU: somebody tells which instances can be had.

One N-CREATE tells of one study: its series, their instances, where each can be retrieved, and how soon.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from pydicom.dataset import Dataset

from dicom_nodes.command_set import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    COMMAND_FIELD,
    DATA_SET_PRESENT,
    DATA_SET_TYPE,
    N_CREATE_RQ,
    STATUS,
)
from dicom_nodes.commitment import ArgumentInvalid, Reference, decode_data_set, encode_data_set, uid_in
from dicom_nodes.commitment_service import OperationNotRecognised
from dicom_nodes.errors import GatewayError
from dicom_nodes.peer import PeerAddress, PeerUnavailable
from dicom_nodes.requestor import Requestor, RequestorSettings
from dicom_nodes.service_port import Caller, Exchange, ServiceRequest
from dicom_nodes.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

INSTANCE_AVAILABILITY: Final = "1.2.840.10008.5.1.4.33"
_NO_STATUS: Final = 0x0110


class Availability(StrEnum):
    """Instance Availability (0008,0056)."""

    ONLINE = "ONLINE"
    NEARLINE = "NEARLINE"
    OFFLINE = "OFFLINE"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class AvailableInstance:
    """One instance, and how soon it can be had from where."""

    reference: Reference
    availability: str
    retrieve_ae_title: str


@dataclass(frozen=True, slots=True)
class AvailabilityNotice:
    """What can be had of one study, by series."""

    study_uid: str
    series: tuple[tuple[str, tuple[AvailableInstance, ...]], ...] = field(repr=False)

    @property
    def instances(self) -> Iterator[AvailableInstance]:
        """Every instance that is named."""
        for _, instances in self.series:
            yield from instances


class NoticeDesk(Protocol):
    """Where notices are taken."""

    def admits(self, caller: Caller) -> bool:
        """Whether a caller may tell us at all."""

    def noticed(self, caller: Caller, notice: AvailabilityNotice) -> None:
        """Take a notice; durable when this returns.

        Raises
        ------
        GatewayError : it cannot be taken; its DIMSE status is the answer
        """


class AvailabilityService:
    """The service of a node as SCP; fills ``service_port.DimseService``."""

    scu_of: frozenset[str] = frozenset()
    abstract_syntaxes: frozenset[str] = frozenset({INSTANCE_AVAILABILITY})

    def __init__(self, desk: NoticeDesk) -> None:
        self._desk = desk

    def admits(self, caller: Caller) -> bool:
        """Whether a caller may tell us at all."""
        return self._desk.admits(caller)

    def negotiate(self, abstract_syntax: str, proposed: bytes) -> bytes | None:  # noqa: ARG002 -- the class has none
        """Answer nothing: the class has no extended negotiation."""
        return None

    def answer(self, request: ServiceRequest, exchange: Exchange) -> None:
        """Answer one N-CREATE.

        Raises
        ------
        GatewayError : it cannot be served; its DIMSE status is the answer
        """
        if request.command != N_CREATE_RQ:
            raise OperationNotRecognised("instance availability has no such operation")
        if request.data_set is None:
            raise ArgumentInvalid("there is no data set")
        self._desk.noticed(request.caller, decode_notice(request.data_set, request.context.transfer_syntax))
        exchange.respond(0)


def notify(
    peer: PeerAddress, notice: AvailabilityNotice, instance_uid: str, settings: RequestorSettings | None = None
) -> None:
    """Tell a peer.

    Parameters
    ----------
    instance_uid : SOP Instance UID of the notification itself; nobody had it before

    Raises
    ------
    PeerUnavailable : it cannot be reached, does not want to know, or broke off
    GatewayError : it answered with a failure
    """
    syntaxes = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
    with Requestor(peer, [(INSTANCE_AVAILABILITY, syntax) for syntax in syntaxes], settings) as association:
        for syntax in syntaxes:
            context_id = association.context_id(INSTANCE_AVAILABILITY, syntax)
            if context_id is not None:
                break
        else:
            raise PeerUnavailable(f"{peer} takes no Instance Availability Notification")
        elements: dict[int, int | str] = {
            AFFECTED_SOP_CLASS_UID: INSTANCE_AVAILABILITY,
            COMMAND_FIELD: N_CREATE_RQ,
            DATA_SET_TYPE: DATA_SET_PRESENT,
            AFFECTED_SOP_INSTANCE_UID: instance_uid,
        }
        status = association.request(context_id, elements, encode_notice(notice, syntax)).number(STATUS, _NO_STATUS)
        if status:
            raise GatewayError(f"{peer} answered with status {status:04X}")


def encode_notice(notice: AvailabilityNotice, transfer_syntax_uid: str) -> bytes:
    """The Attribute List of an N-CREATE (PS3.4 Table R.3.2-1)."""
    data_set = Dataset()
    data_set.ReferencedPerformedProcedureStepSequence = []
    data_set.StudyInstanceUID = notice.study_uid
    data_set.ReferencedSeriesSequence = [_series_item(uid, instances) for uid, instances in notice.series]
    return encode_data_set(data_set, transfer_syntax_uid)


def decode_notice(encoded: bytes, transfer_syntax_uid: str) -> AvailabilityNotice:
    """Read the Attribute List of an N-CREATE.

    Raises
    ------
    ArgumentInvalid : what it must have is missing or malformed; says which
    """
    data_set = decode_data_set(encoded, transfer_syntax_uid)
    study_uid = uid_in(data_set, "StudyInstanceUID", "Study Instance UID (0020,000D)")
    series = tuple(
        (
            uid_in(item, "SeriesInstanceUID", "Series Instance UID (0020,000E)"),
            tuple(_instance(one) for one in item.get("ReferencedSOPSequence") or ()),
        )
        for item in data_set.get("ReferencedSeriesSequence") or ()
    )
    if not series:
        raise ArgumentInvalid("Referenced Series Sequence (0008,1115) names no series")
    return AvailabilityNotice(study_uid, series)


def _instance(item: Dataset) -> AvailableInstance:
    return AvailableInstance(
        Reference(
            uid_in(item, "ReferencedSOPClassUID", "Referenced SOP Class UID (0008,1150)"),
            uid_in(item, "ReferencedSOPInstanceUID", "Referenced SOP Instance UID (0008,1155)"),
        ),
        str(item.get("InstanceAvailability") or "").strip(),
        str(item.get("RetrieveAETitle") or "").strip(),
    )


def _series_item(series_uid: str, instances: tuple[AvailableInstance, ...]) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = series_uid
    item.ReferencedSOPSequence = [_instance_item(instance) for instance in instances]
    return item


def _instance_item(instance: AvailableInstance) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = instance.reference.sop_class_uid
    item.ReferencedSOPInstanceUID = instance.reference.sop_instance_uid
    item.InstanceAvailability = instance.availability
    item.RetrieveAETitle = instance.retrieve_ae_title
    return item

"""A peer that speaks DIMSE: C-STORE brings it objects, C-FIND asks it what it knows (PS3.4 Annexes B and C)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from pydicom.dataset import Dataset

from dicom_nodes.outgoing_object import OutgoingObject
from dicom_nodes.peer import ContextsRefused, PeerAddress, PeerUnavailable
from dicom_nodes.query_model import Model, QueryLevel
from dicom_nodes.query_scu import QueryFailed, find
from dicom_nodes.requestor import MAXIMUM_CONTEXTS, Requestor, RequestorSettings
from dicom_nodes.sender import store_one
from dicom_nodes.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from service.delivery.answers import Answer
from service.delivery.parcel import Parcel

_SYNTAXES: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
_OUT_OF_RESOURCES: Final = 0xA7
IDENTITY_KEYS: Final = (
    *("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    "AccessionNumber",
)


class DimseTarget:
    """A peer by its DIMSE address.

    Parameters
    ----------
    settings : how it is called
    """

    def __init__(self, peer: PeerAddress, settings: RequestorSettings) -> None:
        self._peer = peer
        self._settings = settings

    @contextmanager
    def open(self, sop_class_uids: Sequence[str]) -> Iterator[OpenPeer | NothingTaken]:
        """One association for objects of these classes, in either uncompressed transfer syntax.

        Raises
        ------
        PeerUnavailable : it is not there
        """
        pairs = [(uid, syntax) for uid in dict.fromkeys(sop_class_uids) for syntax in _SYNTAXES]
        try:
            association = Requestor(self._peer, pairs[:MAXIMUM_CONTEXTS], self._settings)
        except ContextsRefused:
            yield NothingTaken()
            return
        with association:
            yield OpenPeer(association)

    def studies(self, study_uid: str) -> list[Dataset] | None:
        """What it says of a study; None if it offers no C-FIND.

        Raises
        ------
        PeerUnavailable : it is not there
        """
        query = Dataset()
        query.StudyInstanceUID = study_uid
        for keyword in IDENTITY_KEYS:
            setattr(query, keyword, "")
        return self._found(QueryLevel.STUDY, query)

    def has(self, study_uid: str, series_uid: str, sop_instance_uid: str) -> bool | None:
        """Whether it has an object; None if it offers no C-FIND.

        Raises
        ------
        PeerUnavailable : it is not there
        """
        query = Dataset()
        query.StudyInstanceUID = study_uid
        query.SeriesInstanceUID = series_uid
        query.SOPInstanceUID = sop_instance_uid
        found = self._found(QueryLevel.IMAGE, query)
        return None if found is None else any(one.get("SOPInstanceUID") == sop_instance_uid for one in found)

    def _found(self, level: QueryLevel, query: Dataset) -> list[Dataset] | None:
        """Every answer; None where the peer takes no queries, or not this one."""
        try:
            return list(find(self._peer, Model.STUDY_ROOT, level, query, settings=self._settings))
        except ContextsRefused:
            return None
        except QueryFailed as error:
            if error.status >> 8 == _OUT_OF_RESOURCES:
                raise PeerUnavailable(str(error)) from error
            return None


class OpenPeer:
    """An association that is open."""

    def __init__(self, association: Requestor) -> None:
        self._association = association

    def takes(self, sop_class_uid: str) -> bool:
        """Whether it accepted a context for the class."""
        return any(self._association.context_id(sop_class_uid, syntax) is not None for syntax in _SYNTAXES)

    def store(self, parcel: Parcel) -> Answer:
        """Send one object, in the transfer syntax that was accepted.

        Raises
        ------
        PeerUnavailable : it broke off or did not answer
        """
        if not self.takes(parcel.sop_class_uid):
            return Answer.class_not_taken(parcel.sop_class_uid)
        if self._association.context_id(parcel.sop_class_uid, parcel.transfer_syntax_uid) is None:
            parcel = parcel.in_implicit_vr()
        outgoing = OutgoingObject.from_bytes(
            parcel.sop_class_uid, parcel.sop_instance_uid, parcel.transfer_syntax_uid, parcel.data_set
        )
        result = store_one(self._association, outgoing)
        return (
            Answer.class_not_taken(parcel.sop_class_uid) if result.status is None else Answer.of_status(result.status)
        )


class NothingTaken:
    """A peer that is there and takes none of what was proposed."""

    def takes(self, sop_class_uid: str) -> bool:  # noqa: ARG002 -- none of them
        """It does not."""
        return False

    def store(self, parcel: Parcel) -> Answer:
        """Say so."""
        return Answer.class_not_taken(parcel.sop_class_uid)

"""The UIDs without which an object belongs nowhere."""

from __future__ import annotations

from pydicom.dataset import Dataset

from dicom_nodes.errors import InstanceUnreadable
from service.deident.element_values import ascii_at
from service.deident.patient_study import STUDY_INSTANCE_UID
from service.deident.uid_map import is_uid

SOP_CLASS_UID, SOP_INSTANCE_UID, SERIES_INSTANCE_UID = 0x00080016, 0x00080018, 0x0020000E
REQUIRED_UIDS = {
    SOP_CLASS_UID: "SOP Class UID",
    SOP_INSTANCE_UID: "SOP Instance UID",
    STUDY_INSTANCE_UID: "Study Instance UID",
    SERIES_INSTANCE_UID: "Series Instance UID",
}


def required_uids(header: Dataset) -> dict[int, str]:
    """Return the UIDs that an object must have, by tag (PS3.3 C.12.1, C.7.2.1, C.7.3.1).

    Raises
    ------
    InstanceUnreadable : one is missing, or is not a UID
    """
    uids = {}
    for tag, keyword in REQUIRED_UIDS.items():
        uid = ascii_at(header, tag)
        if not uid:
            raise InstanceUnreadable(f"{keyword} ({tag >> 16:04X},{tag & 0xFFFF:04X}) is missing")
        if not is_uid(uid):
            raise InstanceUnreadable(f"{keyword} ({tag >> 16:04X},{tag & 0xFFFF:04X}) is not a UID")
        uids[tag] = uid
    return uids

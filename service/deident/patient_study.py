"""Which attributes belong to the patient and to the study, not to the object itself (PS3.3 C.7.1 and C.7.2)."""

from __future__ import annotations

STUDY_INSTANCE_UID = 0x0020000D
STUDY_TAGS = frozenset(
    {
        STUDY_INSTANCE_UID,
        0x00080020,  # Study Date
        0x00080030,  # Study Time
        0x00080050,  # Accession Number
        0x00080051,  # Issuer of Accession Number Sequence
        0x00080090,  # Referring Physician's Name
        0x00080092,  # its address
        0x00080094,  # its telephone numbers
        0x00080096,  # Referring Physician Identification Sequence
        0x0008009C,  # Consulting Physician's Name
        0x0008009D,  # Consulting Physician Identification Sequence
        0x00081030,  # Study Description
        0x00081032,  # Procedure Code Sequence
        0x00081048,  # Physician(s) of Record
        0x00081049,  # their identification
        0x00081060,  # Name of Physician(s) Reading Study
        0x00081062,  # their identification
        0x00081080,  # Admitting Diagnoses Description
        0x00081084,  # Admitting Diagnoses Code Sequence
        0x00081110,  # Referenced Study Sequence
        0x00081120,  # Referenced Patient Sequence
        0x00120010,  # Clinical Trial Sponsor Name
        0x00120020,  # Clinical Trial Protocol ID
        0x00120021,  # Clinical Trial Protocol Name
        0x00120022,  # Issuer of Clinical Trial Protocol ID
        0x00120023,  # Other Clinical Trial Protocol IDs Sequence
        0x00120030,  # Clinical Trial Site ID
        0x00120031,  # Clinical Trial Site Name
        0x00120032,  # Issuer of Clinical Trial Site ID
        0x00120040,  # Clinical Trial Subject ID
        0x00120041,  # Issuer of Clinical Trial Subject ID
        0x00120042,  # Clinical Trial Subject Reading ID
        0x00120043,  # Issuer of Clinical Trial Subject Reading ID
        0x00120050,  # Clinical Trial Time Point ID
        0x00120051,  # Clinical Trial Time Point Description
        0x00120052,  # Longitudinal Temporal Offset from Event
        0x00120053,  # Longitudinal Temporal Event Type
        0x00120054,  # Clinical Trial Time Point Type Code Sequence
        0x00120055,  # Issuer of Clinical Trial Time Point ID
        0x00120081,  # Clinical Trial Protocol Ethics Committee Name
        0x00120082,  # Clinical Trial Protocol Ethics Committee Approval Number
        0x00120083,  # Consent for Clinical Trial Use Sequence
        0x00200010,  # Study ID
        0x00320012,  # Study ID Issuer
        0x00321032,  # Requesting Physician
        0x00321033,  # Requesting Service
        0x00321034,  # Requesting Service Code Sequence
        0x00321066,  # Reason for Visit
        0x00321067,  # Reason for Visit Code Sequence
        0x00380010,  # Admission ID
        0x00380011,  # Issuer of Admission ID
        0x00380014,  # Issuer of Admission ID Sequence
        0x00380060,  # Service Episode ID
        0x00380062,  # Service Episode Description
        0x00380064,  # Issuer of Service Episode ID Sequence
        0x00380500,  # Patient State
        0x00401012,  # Reason for Performed Procedure Code Sequence
    }
)

STAMP_TAGS = frozenset({0x00120062, 0x00120063, 0x00120064, 0x00280303})
"""Patient Identity Removed, De-identification Method with its codes, Longitudinal Temporal Information Modified."""
TIME_ZONE = 0x00080201
WAY_BACK_TAGS = STUDY_TAGS | STAMP_TAGS | {TIME_ZONE}
"""What the vault keeps of a header beside the patient's group: what results take over from it."""


def is_patient_attribute(tag: int) -> bool:
    """Whether a tag is of the patient's group."""
    return tag >> 16 == 0x0010


def is_patient_or_study_attribute(tag: int) -> bool:
    """Whether a tag says something about the patient or the study, the same in every object of the study."""
    return tag >> 16 == 0x0010 or tag in STUDY_TAGS

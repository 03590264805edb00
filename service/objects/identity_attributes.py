"""What a result shares with the study that it is about: patient and study attributes, and de-identification stamps."""

from __future__ import annotations

from copy import deepcopy

from pydicom.dataset import Dataset

from service.objects.iod_tables import PATIENT_AND_STUDY_MODULES, root_keywords

_TYPE_2 = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyID",
)
_OF_SOP_COMMON = ("LongitudinalTemporalInformationModified", "TimezoneOffsetFromUTC")


def patient_and_study_of(source: Dataset) -> Dataset:
    """Patient and study attributes of a source image, decoded, so that they can be written in UTF-8.

    Type 2 attributes that the source lacks are there, empty: a result is to be conformant whatever a scanner sent.
    """
    header = Dataset()
    if "SpecificCharacterSet" in source:
        header.SpecificCharacterSet = source.SpecificCharacterSet
    for keyword in sorted(root_keywords(PATIENT_AND_STUDY_MODULES)) + list(_OF_SOP_COMMON):
        if keyword in source:
            header[keyword] = deepcopy(source[keyword])
    header.decode()
    header.SpecificCharacterSet = "ISO_IR 192"
    for keyword in _TYPE_2:
        if keyword not in header:
            setattr(header, keyword, None)
    return header

"""What a result shares with the study that it is about: patient and study attributes, and de-identification stamps."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import validate_value

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
_LONGEST: Final = {"SH": 16, "CS": 16, "LO": 64, "ST": 1024}
_IDENTIFIERS: Final = frozenset(
    {"PatientName", "PatientID", "IssuerOfPatientID", "AccessionNumber", "StudyInstanceUID"}
)
"""What a PACS knows the study by; kept as it is, right or wrong, so that the result lands in its study."""
_OF_SOP_COMMON = ("LongitudinalTemporalInformationModified", "TimezoneOffsetFromUTC")


def patient_and_study_of(source: Dataset) -> Dataset:
    """Patient and study attributes of a source image, decoded, so that they can be written in UTF-8.

    Type 2 attributes that the source lacks are there, empty, and values that break their VR are cut or left out: a
    result is to be conformant whatever a scanner sent. Identifiers alone stay as they came.
    """
    header = Dataset()
    if "SpecificCharacterSet" in source:
        header.SpecificCharacterSet = source.SpecificCharacterSet
    for keyword in sorted(root_keywords(PATIENT_AND_STUDY_MODULES)) + list(_OF_SOP_COMMON):
        if keyword in source:
            header[keyword] = deepcopy(source[keyword])
    header.decode()
    _mend(header)
    header.SpecificCharacterSet = "ISO_IR 192"
    for keyword in _TYPE_2:
        if keyword not in header:
            setattr(header, keyword, None)
    return header


def _mend(data_set: Dataset) -> None:
    """Make every value fit its VR (PS3.5 6.2), at every depth."""
    for element in data_set:
        if element.VR == "SQ":
            for item in element.value:
                _mend(item)
        elif element.keyword not in _IDENTIFIERS and not _fits(element):
            limit = _LONGEST.get(element.VR)
            element.value = None if limit is None else _cut(element.value, limit)
            if not _fits(element):
                element.value = None


def _fits(element: DataElement) -> bool:
    values = element.value if isinstance(element.value, MultiValue | list) else [element.value]
    try:
        for value in values:
            if isinstance(value, str):
                validate_value(element.VR, value, config.RAISE)
    except ValueError:
        return False
    return True


def _cut(value: Any, limit: int) -> Any:
    return (
        [str(one)[:limit].rstrip() for one in value] if isinstance(value, MultiValue) else str(value)[:limit].rstrip()
    )

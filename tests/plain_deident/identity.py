"""What a header says of its patient and of persons, wherever it says so, by the keyword that says it at the top."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from tests.plain_deident.reading import Level, first_code, items, octets, text_at


def _keywords(words: str) -> list[str]:
    return words.split()


NEWER = {"NameToUse": 0x00100012, "PersonNamesToUseSequence": 0x00100011}
"""What the data dictionary at hand does not know yet."""
NAMES = _keywords("PatientName NameToUse OtherPatientNames PatientBirthName PatientMotherBirthName ResponsiblePerson")
IDENTIFIERS = _keywords(
    "PatientID OtherPatientIDs MedicalRecordLocator AccessionNumber AdmissionID InsurancePlanIdentification "
    "PatientTelephoneNumbers PatientAddress PatientTelecomInformation ClinicalTrialSubjectID "
    "ClinicalTrialSubjectReadingID PatientBirthDateInAlternativeCalendar PatientDeathDateInAlternativeCalendar "
    "BreedRegistrationNumber"
)
ORDERS = _keywords(
    "StudyID ServiceEpisodeID ScheduledProcedureStepID RequestedProcedureID PlacerOrderNumberProcedure "
    "FillerOrderNumberProcedure PlacerOrderNumberImagingServiceRequestRetired "
    "FillerOrderNumberImagingServiceRequestRetired PlacerOrderNumberImagingServiceRequest "
    "FillerOrderNumberImagingServiceRequest"
)
STAFF = _keywords(
    "ReferringPhysicianName ConsultingPhysicianName PhysiciansOfRecord PerformingPhysicianName "
    "NameOfPhysiciansReadingStudy OperatorsName RequestingPhysician ScheduledPerformingPhysicianName "
    "NamesOfIntendedRecipientsOfResults HumanPerformerName VerifyingObserverName PersonName ContentCreatorName "
    "ROIInterpreter ReviewerName SecondaryReviewerName EvaluatorName OrderEnteredBy DocumentAuthorTrial "
    "CurrentObserverTrial VerbalSourceTrial InterpretationRecorder InterpretationTranscriber InterpretationAuthor "
    "PhysicianApprovingInterpretation DistributionName"
)
DATES = _keywords("PatientBirthDate InstanceCreationDate StudyDate SeriesDate AcquisitionDate ContentDate")
PERSON_CODES = _keywords("PersonIdentificationCodeSequence VerifyingObserverIdentificationCodeSequence")
SEQUENCES = [
    *PERSON_CODES,
    *_keywords(
        "ReferringPhysicianIdentificationSequence ConsultingPhysicianIdentificationSequence "
        "PhysiciansOfRecordIdentificationSequence PerformingPhysicianIdentificationSequence "
        "PhysiciansReadingStudyIdentificationSequence OperatorIdentificationSequence ReferencedPatientSequence "
        "SourcePatientGroupIdentificationSequence GroupOfPatientsIdentificationSequence OtherPatientIDsSequence "
        "ScheduledStepAttributesSequence RequestAttributesSequence VerifyingObserverSequence AuthorObserverSequence "
        "ParticipantSequence ReferencedRequestSequence ModifiedAttributesSequence OriginalAttributesSequence "
        "PersonNamesToUseSequence BreedRegistrationSequence"
    ),
]
CONTENT_VALUES = {"PNAME": 0x0040A123, "TEXT": 0x0040A160, "DATE": 0x0040A121}
OF_SUBJECT = {
    ("PNAME", "121029"): "PatientName",
    ("PNAME", "121036"): "PatientName",
    ("TEXT", "121030"): "PatientID",
    ("TEXT", "121022"): "AccessionNumber",
    ("TEXT", "121020"): "PlacerOrderNumberImagingServiceRequest",
    ("TEXT", "121021"): "FillerOrderNumberImagingServiceRequest",
    ("DATE", "121031"): "PatientBirthDate",
}
MOST = 512


class Said(NamedTuple):
    """One value that somebody may be called by, and how its bytes are read."""

    keyword: str
    value: bytes
    codecs: tuple[str, ...]


def tag_of(keyword: str) -> int:
    """Return the tag of a keyword."""
    tag = tag_for_keyword(keyword) or NEWER.get(keyword)
    assert tag is not None, keyword
    return tag


def said_in(header: Dataset, level: Level) -> set[Said] | None:
    """Return what a header says; None where it says more than one patient can be called."""
    found = list(_at(header, level))
    sequences = [keyword for keyword in SEQUENCES if tag_of(keyword) in header]
    for keyword in sequences:
        found += _in_items(header, keyword, level, 1)
    if 0x0040A730 in header:
        found += _in_content(header, level, 0)
    repeated = bool(sequences) or 0x0040A730 in header
    return None if len(set(found) if repeated else found) > MOST else set(found)


def _at(data_set: Dataset, level: Level) -> Iterator[Said]:
    for keyword in (*NAMES, *IDENTIFIERS, *ORDERS, *STAFF, *DATES):
        element = data_set.get_item(tag_of(keyword), keep_deferred=True)
        if element is not None:
            yield Said(keyword, octets(element), level.codecs)


def _in_items(holder: Dataset, keyword: str, outer: Level, depth: int) -> Iterator[Said]:
    for item in items(holder, tag_of(keyword)) or []:
        level = outer.within(item)
        yield from _at(item, level)
        meaning = item.get_item(0x00080104, keep_deferred=True)
        if keyword in PERSON_CODES and meaning is not None:
            yield Said("ReferringPhysicianName", octets(meaning), level.codecs)
        if depth < 8:
            for inner in SEQUENCES:
                yield from _in_items(item, inner, level, depth + 1)


def _in_content(parent: Dataset, outer: Level, depth: int) -> Iterator[Said]:
    for item in items(parent, 0x0040A730) or []:
        level = outer.within(item)
        kind = text_at(item, 0x0040A040)
        element = item.get_item(CONTENT_VALUES.get(kind, 0), keep_deferred=True)
        scheme, code = first_code(item, 0x0040A043)
        keyword = OF_SUBJECT.get((kind, code)) if scheme == "DCM" else None
        if keyword is None and kind == "PNAME":
            keyword = "ReferringPhysicianName"
        if element is not None and keyword is not None:
            yield Said(keyword, octets(element), level.codecs)
        if depth < 64:
            yield from _in_content(item, level, depth + 1)

"""Rejection notes, read and written: Key Object Selection with a title of IHE IOCM (PS3.16 TID 2010)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, KeyObjectSelectionDocumentStorage

from service.core.codes import Code
from service.core.rejection import TITLES, RejectionNote
from service.objects.content_items import CONTAINS, container, image_reference, text
from service.objects.content_tree import name_of
from service.objects.identity_attributes import patient_and_study_of

_DESCRIPTION: Final = Code("113012", "DCM", "Key Object Description")
_SR_ROOT: Final = "1.2.840.10008.5.1.4.1.1.88."


@dataclass(frozen=True, slots=True)
class NamedInstance:
    """An instance that a note names, with its class and series."""

    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str


def rejection_notes_in(data_set: Dataset) -> list[RejectionNote]:
    """What a key object rejects, study by study; nothing where it is no rejection note."""
    if str(data_set.get("SOPClassUID", "")) != KeyObjectSelectionDocumentStorage:
        return []
    title = name_of(data_set)
    if title is None or title.scheme != "DCM" or title.value not in TITLES:
        return []
    named: dict[str, list[str]] = defaultdict(list)
    for study in data_set.get("CurrentRequestedProcedureEvidenceSequence") or ():
        for series in study.get("ReferencedSeriesSequence") or ():
            for reference in series.get("ReferencedSOPSequence") or ():
                if uid := reference.get("ReferencedSOPInstanceUID"):
                    named[str(study.get("StudyInstanceUID", ""))].append(str(uid))
    note_uid = str(data_set.get("SOPInstanceUID", ""))
    return [RejectionNote(study_uid, note_uid, title.value, tuple(uids)) for study_uid, uids in named.items()]


def write_rejection_note(
    of: Dataset,
    instances: Sequence[NamedInstance],
    *,
    code: str,
    words: str,
    uids: tuple[str, str],
    series_number: int,
    created_at: datetime,
    version: str,
) -> Dataset:
    """A note that takes instances of one study back.

    Parameters
    ----------
    of : one of them: patient and study are taken over
    code : of the title, one of ``TITLES``
    words : why, without identity
    uids : of the note's series and of the note
    created_at : shifted like the patient's dates
    """
    items = [_reference(one) for one in instances]
    description = [text(_DESCRIPTION, words, relationship=CONTAINS)] if words else []
    note = patient_and_study_of(of)
    note.update(container(TITLES[code], [*description, *items], relationship=None, template="2010"))
    note.StudyInstanceUID = of.StudyInstanceUID
    note.SOPClassUID = KeyObjectSelectionDocumentStorage
    note.SeriesInstanceUID, note.SOPInstanceUID = uids
    note.Modality = "KO"
    note.SeriesNumber, note.InstanceNumber = series_number, 1
    note.SeriesDescription = TITLES[code].meaning
    note.ContentDate = note.SeriesDate = note.InstanceCreationDate = created_at.strftime("%Y%m%d")
    note.ContentTime = note.SeriesTime = note.InstanceCreationTime = created_at.strftime("%H%M%S")
    note.ReferencedPerformedProcedureStepSequence = []
    note.Manufacturer, note.ManufacturerModelName = "Annogate", "Annogate"
    note.SoftwareVersions = f"Annogate {version}"[:64]
    note.CurrentRequestedProcedureEvidenceSequence = [_evidence(str(of.StudyInstanceUID), instances)]
    note.file_meta = FileMetaDataset()
    note.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    note.file_meta.MediaStorageSOPClassUID = note.SOPClassUID
    note.file_meta.MediaStorageSOPInstanceUID = note.SOPInstanceUID
    return note


def _reference(one: NamedInstance) -> Dataset:
    item = Dataset()
    item.RelationshipType = CONTAINS
    # A report is no image: TID 2010 refers to it as a composite (row 9).
    item.ValueType = "COMPOSITE" if one.sop_class_uid.startswith(_SR_ROOT) else "IMAGE"
    item.ReferencedSOPSequence = [image_reference(one.sop_class_uid, one.sop_instance_uid)]
    return item


def _evidence(study_uid: str, instances: Iterable[NamedInstance]) -> Dataset:
    by_series: dict[str, list[Dataset]] = defaultdict(list)
    for one in instances:
        by_series[one.series_uid].append(image_reference(one.sop_class_uid, one.sop_instance_uid))
    evidence = Dataset()
    evidence.StudyInstanceUID = study_uid
    evidence.ReferencedSeriesSequence = []
    for series_uid, references in by_series.items():
        item = Dataset()
        item.SeriesInstanceUID = series_uid
        item.ReferencedSOPSequence = references
        evidence.ReferencedSeriesSequence.append(item)
    return evidence

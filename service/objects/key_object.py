"""Key Object Selection: the images on which findings lie, and what tells of them (PS3.3 A.35.4, PS3.16 TID 2010)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, KeyObjectSelectionDocumentStorage

from service.core.annotations import AnnotationSet
from service.core.codes import Code
from service.core.geometry import ImagePlace
from service.errors import ObjectInvalid
from service.objects import concepts
from service.objects.content_items import (
    CONTAINS,
    HAS_CONCEPT_MOD,
    code,
    container,
    image_at,
    image_reference,
    text,
)
from service.objects.content_tree import children, first_code, name_of, text_child
from service.objects.equipment import describe_equipment, series_description
from service.objects.identity_attributes import patient_and_study_of
from service.objects.image_marks import main_place, marks_of, places_of
from service.objects.observer_context import observer_rows
from service.objects.result_context import ResultContext
from service.objects.shape_items import image_place
from service.objects.source_images import SourceImages

OF_INTEREST: Final = Code("113000", "DCM", "Of Interest")
BEST_IN_SET: Final = Code("113013", "DCM", "Best In Set")
_MODIFIER: Final = Code("113011", "DCM", "Document Title Modifier")
_DESCRIPTION: Final = Code("113012", "DCM", "Key Object Description")
_SR_ROOT: Final = "1.2.840.10008.5.1.4.1.1.88."


@dataclass(frozen=True, slots=True)
class KeyObjectTitle:
    """Why objects were selected.

    Parameters
    ----------
    title : of CID 7010
    modifiers : for which reason; Best In Set needs one that says of what (CID 7012), others may have some

    Raises
    ------
    ObjectInvalid : no such title, or Best In Set without saying of what
    """

    title: Code = OF_INTEREST
    modifiers: tuple[Code, ...] = ()

    def __post_init__(self) -> None:
        if not _is_of(self.title, codes.cid7010.concepts.values()):
            raise ObjectInvalid(f"{self.title.meaning}: no title of a key object; choose one of CID 7010")
        sets = [one for one in self.modifiers if _is_of(one, codes.cid7012.concepts.values())]
        if concepts.same(self.title, BEST_IN_SET) and len(sets) != 1:
            raise ObjectInvalid("Best In Set: say of what, by one code of CID 7012 (study, series, ...)")


def _is_of(one: Code, known: Iterable[Any]) -> bool:
    return any((one.value, one.scheme) == (code.value, code.scheme_designator) for code in known)


@dataclass(frozen=True, slots=True)
class KeyObjects:
    """What a key object selection says.

    Parameters
    ----------
    images : with their frames, segmentations among them, in the order of the document
    documents : SOP class and instance of reports and other composites
    """

    title: Code
    modifiers: tuple[Code, ...]
    description: str
    images: tuple[ImagePlace, ...]
    documents: tuple[tuple[str, str], ...]


def write_key_object(
    annotations: AnnotationSet,
    sources: SourceImages,
    results: Sequence[Dataset],
    context: ResultContext,
    *,
    selected_for: KeyObjectTitle = KeyObjectTitle(),
    description: str = "",
    one_image_a_finding: bool = False,
) -> Dataset:
    """A selection of the images on which findings lie, or that were answered about, and of the results about them.

    Parameters
    ----------
    results : the segmentation, the report and such that belong to the findings, of the same study
    context : its series number is that of the selection
    description : words for people; the summary where it is empty
    one_image_a_finding : only where most of each finding shows, and not every slice of a mask

    Raises
    ------
    ObjectInvalid : nothing is marked on any image, or a result is of another study
    """
    places = _whole(_marked(annotations, sources, one_image_a_finding=one_image_a_finding))
    if not places:
        raise ObjectInvalid("nothing is marked on an image, so there is no key image; write a report instead")
    if any(str(one.StudyInstanceUID) != sources.study_uid for one in results):
        raise ObjectInvalid("a result is of another study than the images; write a key object for each study")
    words = description or annotations.summary
    root = container(
        selected_for.title,
        [
            *(code(_MODIFIER, one, relationship=HAS_CONCEPT_MOD) for one in selected_for.modifiers),
            code(concepts.LANGUAGE, concepts.ENGLISH, relationship=HAS_CONCEPT_MOD),
            *observer_rows(annotations.author),
            *([text(_DESCRIPTION, words)] if words else []),
            *(image_at(place, relationship=CONTAINS) for place in places),
            *(_reference(one) for one in results),
        ],
        relationship=None,
        template="2010",
    )
    key_object = patient_and_study_of(sources.headers[0])
    key_object.update(root)
    key_object.StudyInstanceUID = sources.study_uid
    _describe_document(key_object, selected_for, annotations, context)
    evidence = [*((sources.series_uid, one.sop_class_uid, one.sop_instance_uid) for one in places)]
    evidence += [(str(one.SeriesInstanceUID), str(one.SOPClassUID), str(one.SOPInstanceUID)) for one in results]
    key_object.CurrentRequestedProcedureEvidenceSequence = [_evidence(sources.study_uid, evidence)]
    return key_object


def key_objects_in(data_set: Dataset) -> KeyObjects:
    """What a key object selection says.

    Raises
    ------
    ObjectInvalid : it is none, or has no title
    """
    title = name_of(data_set)
    if str(data_set.get("SOPClassUID", "")) != KeyObjectSelectionDocumentStorage or title is None:
        raise ObjectInvalid("no Key Object Selection with a title; hand over one that follows TID 2010")
    images, documents = [], []
    for item in children(data_set):
        references = item.get("ReferencedSOPSequence") or ()
        if item.get("ValueType") == "IMAGE":
            images += [image_place(reference) for reference in references]
        elif item.get("ValueType") == "COMPOSITE":
            documents += [(str(one.ReferencedSOPClassUID), str(one.ReferencedSOPInstanceUID)) for one in references]
    modifiers = [first_code(item, "ConceptCodeSequence") for item in children(data_set, _MODIFIER)]
    return KeyObjects(
        title,
        tuple(one for one in modifiers if one is not None),
        text_child(data_set, _DESCRIPTION),
        tuple(images),
        tuple(documents),
    )


def _marked(annotations: AnnotationSet, sources: SourceImages, *, one_image_a_finding: bool) -> list[ImagePlace]:
    places: list[ImagePlace] = []
    for finding in annotations.findings:
        marks = marks_of(finding, sources)
        if marks:
            places += [main_place(marks)] if one_image_a_finding else places_of(marks)
    for answer in annotations.answers:
        if isinstance(answer.target, ImagePlace):
            sources.header_of(answer.target)
            places.append(answer.target)
    return places


def _whole(places: Iterable[ImagePlace]) -> list[ImagePlace]:
    """Each image once, with all of its frames that are meant; without any where the image as a whole is."""
    frames: dict[tuple[str, str], set[int]] = defaultdict(set)
    entire = set()
    for place in places:
        image = (place.sop_class_uid, place.sop_instance_uid)
        frames[image].update(place.frames)
        if not place.frames:
            entire.add(image)
    return [ImagePlace(*image, () if image in entire else tuple(sorted(frames[image]))) for image in frames]


def _reference(result: Dataset) -> Dataset:
    """A result; a report is no image, so TID 2010 refers to it as a composite (row 10)."""
    item = Dataset()
    item.RelationshipType = CONTAINS
    sop_class_uid = str(result.SOPClassUID)
    item.ValueType = "COMPOSITE" if sop_class_uid.startswith(_SR_ROOT) else "IMAGE"
    item.ReferencedSOPSequence = [image_reference(sop_class_uid, str(result.SOPInstanceUID))]
    return item


def _describe_document(
    key_object: Dataset, selected_for: KeyObjectTitle, annotations: AnnotationSet, context: ResultContext
) -> None:
    """Key Object Document Series and Key Object Document (PS3.3 C.17.6.1, C.17.6.2)."""
    key_object.SOPClassUID = KeyObjectSelectionDocumentStorage
    key_object.SeriesInstanceUID, key_object.SOPInstanceUID = context.uid(), context.uid()
    key_object.Modality = "KO"
    key_object.SeriesNumber, key_object.InstanceNumber = context.series_number_base, 1
    key_object.SeriesDescription = series_description(selected_for.title.meaning, annotations.author)
    key_object.ContentDate = key_object.SeriesDate = key_object.InstanceCreationDate = context.date
    key_object.ContentTime = key_object.SeriesTime = key_object.InstanceCreationTime = context.time
    key_object.ReferencedPerformedProcedureStepSequence = []
    describe_equipment(key_object, annotations.author, context)
    key_object.file_meta = FileMetaDataset()
    key_object.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    key_object.file_meta.MediaStorageSOPClassUID = key_object.SOPClassUID
    key_object.file_meta.MediaStorageSOPInstanceUID = key_object.SOPInstanceUID


def _evidence(study_uid: str, instances: Iterable[tuple[str, str, str]]) -> Dataset:
    """Series, SOP class and instance of everything that is named, by series (PS3.3 C.17.6.2)."""
    by_series: dict[str, list[Dataset]] = defaultdict(list)
    for series_uid, *instance in instances:
        by_series[series_uid].append(image_reference(*instance))
    study = Dataset()
    study.StudyInstanceUID = study_uid
    study.ReferencedSeriesSequence = []
    for series_uid, references in by_series.items():
        series = Dataset()
        series.SeriesInstanceUID = series_uid
        series.ReferencedSOPSequence = references
        study.ReferencedSeriesSequence.append(series)
    return study

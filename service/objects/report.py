"""Findings written as a Comprehensive 3D SR after TID 1500, Measurement Report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import Comprehensive3DSRStorage, ExplicitVRLittleEndian

from service.core.annotations import AnnotationSet
from service.core.annotator import AnnotatorResult
from service.core.codes import Code
from service.core.volume import Volume
from service.objects import concepts, own_concepts
from service.objects.content_items import (
    HAS_ACQ_CONTEXT,
    HAS_CONCEPT_MOD,
    code,
    container,
    image,
    image_reference,
    num,
    uidref,
)
from service.objects.content_tree import descendants, name_of
from service.objects.equipment import describe_equipment, series_description
from service.objects.identity_attributes import patient_and_study_of
from service.objects.measurement_groups import GroupSurroundings, groups_of
from service.objects.observer_context import algorithm_rows, describe_verification, observer_rows
from service.objects.qualitative_rows import qualitative_evaluations
from service.objects.result_context import ResultContext
from service.objects.source_images import SourceImages


def write_report(
    result: AnnotatorResult, title: str, volume: Volume, segmentation: Dataset | None, context: ResultContext
) -> Dataset:
    """The report of one run of an annotator over one volume; one without findings says so and measures nothing.

    Raises
    ------
    ObjectInvalid : a finding has no place, or a value that is no number
    """
    annotations = AnnotationSet(result.algorithm, tuple(result.findings), summary=result.summary)
    return write_annotation_report(annotations, title, SourceImages.of_volume(volume), segmentation, context)


def write_annotation_report(
    annotations: AnnotationSet, title: str, sources: SourceImages, segmentation: Dataset | None, context: ResultContext
) -> Dataset:
    """The report of what one author says of the images of one series.

    It is COMPLETE; UNVERIFIED when a program made it and nobody has looked at it, VERIFIED by the person who did.

    Parameters
    ----------
    title : what the author is called in Series Description
    segmentation : has a segment for each finding with a mask, in their order

    Raises
    ------
    ObjectInvalid : a finding has no place, or lies on an image that is none of these, or a value that is no number
    """
    root = container(
        concepts.IMAGING_MEASUREMENT_REPORT,
        _content(annotations, sources, segmentation),
        relationship=None,
        template="1500",
    )
    report = patient_and_study_of(sources.headers[0])
    report.update(root)
    _describe_document(report, title, annotations, context)
    report.StudyInstanceUID = sources.study_uid
    report.CurrentRequestedProcedureEvidenceSequence = [_evidence(sources, segmentation)]
    if context.predecessor is not None:
        report.PredecessorDocumentsSequence = [_hierarchy(context.predecessor)]
    return report


def _describe_document(report: Dataset, title: str, annotations: AnnotationSet, context: ResultContext) -> None:
    """SR Document Series, SR Document General and SOP Common (PS3.3 C.17.1, C.17.2, C.12.1)."""
    report.SOPClassUID = Comprehensive3DSRStorage
    report.SeriesInstanceUID = context.uid()
    report.SOPInstanceUID = context.uid()
    report.Modality = "SR"
    report.SeriesNumber = context.series_number_base + 1
    report.InstanceNumber = 1
    report.SeriesDescription = series_description(title, annotations.author, found=bool(annotations.findings))
    report.ContentDate = report.SeriesDate = report.InstanceCreationDate = context.date
    report.ContentTime = report.SeriesTime = report.InstanceCreationTime = context.time
    report.ReferencedPerformedProcedureStepSequence = []
    report.PerformedProcedureCodeSequence = []
    describe_verification(report, annotations.author, context)
    describe_equipment(report, annotations.author, context)
    if any(name.scheme == own_concepts.SCHEME for _, item in descendants(report) if (name := name_of(item))):
        own_concepts.describe_scheme(report)
    report.file_meta = FileMetaDataset()
    report.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    report.file_meta.MediaStorageSOPClassUID = report.SOPClassUID
    report.file_meta.MediaStorageSOPInstanceUID = report.SOPInstanceUID


def _content(annotations: AnnotationSet, sources: SourceImages, segmentation: Dataset | None) -> Iterator[Dataset]:
    """The rows of TID 1500 in their order."""
    yield code(concepts.LANGUAGE, concepts.ENGLISH, relationship=HAS_CONCEPT_MOD)
    yield from observer_rows(annotations.author)
    for procedure in _procedures(sources):
        yield code(concepts.PROCEDURE_REPORTED, procedure, relationship=HAS_CONCEPT_MOD)
    yield _image_library(sources)
    # Also where nothing was found: OHIF looks into this container when it is told to hydrate a report.
    yield _measurements(annotations, sources, segmentation)
    yield qualitative_evaluations(annotations)


def _procedures(sources: SourceImages) -> list[Code]:
    """The imaging procedure that was analysed (IHE AIR): the study's own codes, or its modality's."""
    items = sources.headers[0].get("ProcedureCodeSequence") or ()
    coded = [
        Code(str(item.CodeValue), str(item.CodingSchemeDesignator), str(item.CodeMeaning))
        for item in items
        if item.get("CodeValue") and item.get("CodingSchemeDesignator") and item.get("CodeMeaning")
    ]
    return coded or [concepts.PROCEDURES.get(sources.modality, concepts.IMAGING_PROCEDURE)]


def _image_library(sources: SourceImages) -> Dataset:
    """Every source image once, with what they share said once (TID 1600, 1602 and 1604)."""
    shared: list[Dataset] = []
    if sources.modality in concepts.MODALITY_CODES:
        shared.append(code(concepts.MODALITY, concepts.MODALITY_CODES[sources.modality], relationship=HAS_ACQ_CONTEXT))
    if sources.frame_of_reference_uid:
        reference = sources.frame_of_reference_uid
        shared.append(uidref(concepts.FRAME_OF_REFERENCE_UID, reference, relationship=HAS_ACQ_CONTEXT))
    shared += [num(name, value, unit, relationship=HAS_ACQ_CONTEXT) for name, value, unit in _shared_numbers(sources)]
    entries = [image(image_reference(*pair)) for pair in sources.instances]
    return container(concepts.IMAGE_LIBRARY, [container(concepts.IMAGE_LIBRARY_GROUP, [*shared, *entries])])


def _shared_numbers(sources: SourceImages) -> Iterator[tuple[Code, float, Code]]:
    """Rows, columns and distances, where all images have the same."""
    sizes = {(int(header.Rows), int(header.Columns)) for header in sources.headers}
    if len(sizes) == 1:
        rows, columns = next(iter(sizes))
        yield concepts.PIXEL_DATA_ROWS, float(rows), concepts.PIXELS
        yield concepts.PIXEL_DATA_COLUMNS, float(columns), concepts.PIXELS
    if not sources.planes:
        return
    # A volume has one spacing; each slice's own, rounded in its header, may differ in the last digit.
    spacings = {plane.spacing_mm for plane in sources.planes}
    if len(spacings) == 1 or sources.volume is not None:
        yield concepts.HORIZONTAL_PIXEL_SPACING, sources.planes[0].spacing_mm[1], concepts.MILLIMETRE
        yield concepts.VERTICAL_PIXEL_SPACING, sources.planes[0].spacing_mm[0], concepts.MILLIMETRE
    if len(sources.planes) > 1 and sources.volume is not None:
        yield concepts.SPACING_BETWEEN_SLICES, sources.slice_distance_mm, concepts.MILLIMETRE


def _measurements(annotations: AnnotationSet, sources: SourceImages, segmentation: Dataset | None) -> Dataset:
    surroundings = GroupSurroundings(sources, segmentation)
    groups: list[Dataset] = []
    segment_number = 0
    for finding in annotations.findings:
        if finding.mask is not None:
            segment_number += 1
        groups += groups_of(finding, segment_number if finding.mask is not None else None, surroundings)
    return container(concepts.IMAGING_MEASUREMENTS, [*algorithm_rows(annotations.author), *groups])


def _evidence(sources: SourceImages, segmentation: Dataset | None) -> Dataset:
    """The study's instances that the report is about or refers to (PS3.3 C.17.2.3)."""
    series = [_series_item(sources.series_uid, sources.instances)]
    if segmentation is not None:
        pair = (str(segmentation.SOPClassUID), str(segmentation.SOPInstanceUID))
        series.append(_series_item(str(segmentation.SeriesInstanceUID), [pair]))
    return _study_item(sources.study_uid, series)


def evidence_of(instances: Sequence[Dataset]) -> Dataset:
    """Instances of one study, each named with its series (PS3.3 C.17.2.1)."""
    series = [
        _series_item(str(one.SeriesInstanceUID), [(str(one.SOPClassUID), str(one.SOPInstanceUID))]) for one in instances
    ]
    return _study_item(str(instances[0].StudyInstanceUID), series)


def _hierarchy(instance: Dataset) -> Dataset:
    """One instance named with its study and series."""
    pair = (str(instance.SOPClassUID), str(instance.SOPInstanceUID))
    return _study_item(str(instance.StudyInstanceUID), [_series_item(str(instance.SeriesInstanceUID), [pair])])


def _study_item(study_uid: str, series: Sequence[Dataset]) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = study_uid
    item.ReferencedSeriesSequence = list(series)
    return item


def _series_item(series_uid: str, instances: Iterable[tuple[str, str]]) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = series_uid
    item.ReferencedSOPSequence = [image_reference(*pair) for pair in instances]
    return item

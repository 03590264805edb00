"""Findings written as a Comprehensive 3D SR after TID 1500, Measurement Report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import Comprehensive3DSRStorage, ExplicitVRLittleEndian

from service.core.annotator import AnnotatorResult
from service.core.codes import Code
from service.core.findings import AlgorithmIdentification
from service.core.volume import Volume
from service.objects import concepts
from service.objects.content_items import (
    HAS_ACQ_CONTEXT,
    HAS_CONCEPT_MOD,
    HAS_OBS_CONTEXT,
    code,
    container,
    image,
    image_reference,
    num,
    text,
    uidref,
)
from service.objects.equipment import describe_equipment, series_description
from service.objects.identity_attributes import patient_and_study_of
from service.objects.image_plane import planes_of, slice_distance_mm
from service.objects.measurement_groups import GroupSurroundings, groups_of
from service.objects.result_context import NOT_FOR_DIAGNOSIS, ResultContext

_WARNING: Final = f"{NOT_FOR_DIAGNOSIS}. Made by a demonstrator; no statement about the patient may rest on it."


def write_report(
    result: AnnotatorResult, title: str, volume: Volume, segmentation: Dataset | None, context: ResultContext
) -> Dataset:
    """The report of one run; one without findings says so and measures nothing.

    It is COMPLETE and UNVERIFIED: a program made it, and no person has looked at it.

    Raises
    ------
    ObjectInvalid : a finding has no place, or a value that is no number
    """
    root = container(
        concepts.IMAGING_MEASUREMENT_REPORT,
        _content(result, volume, segmentation),
        relationship=None,
        template="1500",
    )
    report = patient_and_study_of(volume.sources[0])
    report.update(root)
    _describe_document(report, title, result, context)
    report.StudyInstanceUID = volume.study_uid
    report.CurrentRequestedProcedureEvidenceSequence = [_evidence(volume, segmentation)]
    if context.predecessor is not None:
        report.PredecessorDocumentsSequence = [_hierarchy(context.predecessor)]
    return report


def _describe_document(report: Dataset, title: str, result: AnnotatorResult, context: ResultContext) -> None:
    """SR Document Series, SR Document General and SOP Common (PS3.3 C.17.1, C.17.2, C.12.1)."""
    report.SOPClassUID = Comprehensive3DSRStorage
    report.SeriesInstanceUID = context.uid()
    report.SOPInstanceUID = context.uid()
    report.Modality = "SR"
    report.SeriesNumber = context.series_number_base + 1
    report.InstanceNumber = 1
    report.SeriesDescription = series_description(title, result.algorithm, found=bool(result.findings))
    report.ContentDate = report.SeriesDate = report.InstanceCreationDate = context.date
    report.ContentTime = report.SeriesTime = report.InstanceCreationTime = context.time
    report.CompletionFlag = "COMPLETE"
    report.VerificationFlag = "UNVERIFIED"
    report.ReferencedPerformedProcedureStepSequence = []
    report.PerformedProcedureCodeSequence = []
    describe_equipment(report, result.algorithm, context)
    report.file_meta = FileMetaDataset()
    report.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    report.file_meta.MediaStorageSOPClassUID = report.SOPClassUID
    report.file_meta.MediaStorageSOPInstanceUID = report.SOPInstanceUID


def _content(result: AnnotatorResult, volume: Volume, segmentation: Dataset | None) -> Iterator[Dataset]:
    """The rows of TID 1500 in their order."""
    yield code(concepts.LANGUAGE, concepts.ENGLISH, relationship=HAS_CONCEPT_MOD)
    yield from _observer(result.algorithm)
    for procedure in _procedures(volume):
        yield code(concepts.PROCEDURE_REPORTED, procedure, relationship=HAS_CONCEPT_MOD)
    yield _image_library(volume)
    # Also where nothing was found: OHIF looks into this container when it is told to hydrate a report.
    yield _measurements(result, volume, segmentation)
    yield _evaluations(result)


def _observer(algorithm: AlgorithmIdentification) -> Iterator[Dataset]:
    """A device as observer (TID 1002, TID 1004)."""
    yield code(concepts.OBSERVER_TYPE, concepts.DEVICE, relationship=HAS_OBS_CONTEXT)
    yield uidref(concepts.DEVICE_OBSERVER_UID, algorithm.device_uid, relationship=HAS_OBS_CONTEXT)
    for name, value in (
        (concepts.DEVICE_OBSERVER_NAME, algorithm.name),
        (concepts.DEVICE_OBSERVER_MANUFACTURER, algorithm.manufacturer),
        (concepts.DEVICE_OBSERVER_MODEL, algorithm.name),
    ):
        yield text(name, value, relationship=HAS_OBS_CONTEXT)


def _procedures(volume: Volume) -> list[Code]:
    """The imaging procedure that was analysed (IHE AIR): the study's own codes, or its modality's."""
    items = volume.sources[0].get("ProcedureCodeSequence") or ()
    coded = [
        Code(str(item.CodeValue), str(item.CodingSchemeDesignator), str(item.CodeMeaning))
        for item in items
        if item.get("CodeValue") and item.get("CodingSchemeDesignator") and item.get("CodeMeaning")
    ]
    return coded or [concepts.PROCEDURES.get(volume.modality, concepts.IMAGING_PROCEDURE)]


def _image_library(volume: Volume) -> Dataset:
    """Every source image once, with what they share said once (TID 1600, 1602 and 1604)."""
    rows, columns = volume.shape[1:]
    plane = planes_of(volume)[0]
    shared: list[Dataset] = []
    if volume.modality in concepts.MODALITY_CODES:
        shared.append(code(concepts.MODALITY, concepts.MODALITY_CODES[volume.modality], relationship=HAS_ACQ_CONTEXT))
    shared.append(uidref(concepts.FRAME_OF_REFERENCE_UID, volume.frame_of_reference_uid, relationship=HAS_ACQ_CONTEXT))
    numbers = [
        (concepts.PIXEL_DATA_ROWS, float(rows), concepts.PIXELS),
        (concepts.PIXEL_DATA_COLUMNS, float(columns), concepts.PIXELS),
        (concepts.HORIZONTAL_PIXEL_SPACING, plane.spacing_mm[1], concepts.MILLIMETRE),
        (concepts.VERTICAL_PIXEL_SPACING, plane.spacing_mm[0], concepts.MILLIMETRE),
    ]
    if volume.shape[0] > 1:
        numbers.append((concepts.SPACING_BETWEEN_SLICES, slice_distance_mm(volume), concepts.MILLIMETRE))
    shared += [num(name, value, unit, relationship=HAS_ACQ_CONTEXT) for name, value, unit in numbers]
    entries = [image(image_reference(*pair)) for pair in _source_instances(volume)]
    return container(concepts.IMAGE_LIBRARY, [container(concepts.IMAGE_LIBRARY_GROUP, [*shared, *entries])])


def _measurements(result: AnnotatorResult, volume: Volume, segmentation: Dataset | None) -> Dataset:
    surroundings = GroupSurroundings.around(volume, segmentation)
    groups: list[Dataset] = []
    segment_number = 0
    for finding in result.findings:
        if finding.mask is not None:
            segment_number += 1
        groups += groups_of(finding, segment_number if finding.mask is not None else None, surroundings)
    return container(concepts.IMAGING_MEASUREMENTS, [*_algorithm(result.algorithm), *groups])


def _algorithm(algorithm: AlgorithmIdentification) -> Iterator[Dataset]:
    """TID 4019, for everything below its container."""
    parameters = [f"{name}={value}" for name, value in algorithm.parameters.items()]
    rows = [
        (concepts.ALGORITHM_NAME, algorithm.name),
        (concepts.ALGORITHM_VERSION, algorithm.version),
        (concepts.ALGORITHM_MANUFACTURER, algorithm.manufacturer),
        *((concepts.ALGORITHM_PARAMETERS, parameter) for parameter in parameters),
    ]
    for name, value in rows:
        yield text(name, value, relationship=HAS_CONCEPT_MOD)
    yield code(concepts.ALGORITHM_FAMILY, algorithm.family, relationship=HAS_CONCEPT_MOD)


def _evaluations(result: AnnotatorResult) -> Dataset:
    """Whether anything was found, in a code and in words, and the demonstrator's warning (rows 12 to 14)."""
    outcome = concepts.WITH_FINDINGS if result.findings else concepts.WITHOUT_FINDINGS
    rows = [*_algorithm(result.algorithm), code(concepts.FINDINGS_SUMMARY, outcome)]
    rows.append(text(concepts.COMMENT, result.summary or outcome.meaning))
    if result.algorithm.demonstrator:
        rows.append(text(concepts.COMMENT, _WARNING))
    return container(concepts.QUALITATIVE_EVALUATIONS, rows)


def _source_instances(volume: Volume) -> list[tuple[str, str]]:
    """SOP class and instance of each source image, once."""
    pairs = ((str(source.SOPClassUID), str(source.SOPInstanceUID)) for source in volume.sources)
    return list(dict.fromkeys(pairs))


def _evidence(volume: Volume, segmentation: Dataset | None) -> Dataset:
    """The study's instances that the report is about or refers to (PS3.3 C.17.2.3)."""
    series = [_series_item(volume.series_uid, _source_instances(volume))]
    if segmentation is not None:
        pair = (str(segmentation.SOPClassUID), str(segmentation.SOPInstanceUID))
        series.append(_series_item(str(segmentation.SeriesInstanceUID), [pair]))
    return _study_item(volume.study_uid, series)


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

"""Findings written as an RT Structure Set (PS3.3 A.19)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pydicom.charset import default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RTStructureSetStorage
from pydicom.valuerep import format_number_as_ds

from service.core.annotations import AnnotationSet, Author, PersonObserver
from service.core.findings import AlgorithmIdentification, Finding
from service.errors import ObjectInvalid
from service.objects.content_items import code_item, image_reference
from service.objects.equipment import describe_equipment, series_description
from service.objects.identity_attributes import patient_and_study_of
from service.objects.image_plane import ImagePlane
from service.objects.result_context import ResultContext
from service.objects.source_images import SourceImages
from service.objects.structure_set_contours import (
    CLOSED_PLANAR,
    POINT,
    DrawnContour,
    region_contours,
    shape_contours,
)
from service.objects.tracking import tracking_identifier

_STUDY_MANAGEMENT: Final = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management: retired, and the class by which every maker refers to the study here."""
_ANATOMICAL_STRUCTURE: Final = ("123037004", "SCT")
_CONTOUR_DATA: Final = Tag("ContourData")
_LONGEST_EXPLICIT: Final = 0xFFFE
"""Bytes that a DS can have in explicit VR (PS3.5 7.1.2)."""
_COARSE: Final = "{:.4f}"
"""Millimetres where the last digits decide nothing, pixels being far greater."""
_SMALLEST_PIXEL_MM: Final = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class WrittenStructureSet:
    """The object, and in words what of the findings no contour can be."""

    data_set: Dataset
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Roi:
    name: str
    finding: Finding
    contours: Sequence[DrawnContour]


def write_structure_set(
    annotations: AnnotationSet, title: str, sources: SourceImages, context: ResultContext
) -> WrittenStructureSet:
    """The regions, contours, lines and points of an author's findings as ROIs, in a series of its own.

    A finding is one ROI; where it has a mask, closed contours, lines and points beside one another, it is one of each,
    with the same tracking UID, since readers fill all closed contours of an ROI together. Measurements, answers,
    confidence, names of keypoints and parametric maps are not written: they are the report's.

    Raises
    ------
    ObjectInvalid : the images have no Frame of Reference, nothing can be written as a contour, a mask lies outside the
        volume, a shape on an image that is none of these or in another Frame of Reference
    """
    if not sources.frame_of_reference_uid:
        raise ObjectInvalid("a structure set lies in the patient, these images do not: write a report instead")
    left_out: list[str] = []
    rois = [roi for finding in annotations.findings for roi in _rois(finding, sources, left_out)]
    if not rois:
        raise ObjectInvalid("; ".join(["nothing of this can be a contour: write a report instead", *left_out]))
    data_set = patient_and_study_of(sources.headers[0])
    _describe_series(data_set, title, annotations.author, sources, context)
    _describe_set(data_set, title, sources, context)
    data_set.StructureSetROISequence = [
        _roi_item(number, roi, annotations.author, sources) for number, roi in enumerate(rois, 1)
    ]
    contours = [_contours_item(number, roi) for number, roi in enumerate(rois, 1)]
    data_set.ROIContourSequence = contours
    data_set.RTROIObservationsSequence = [
        _observation(number, roi, annotations.author) for number, roi in enumerate(rois, 1)
    ]
    _describe_file(data_set, contours)
    return WrittenStructureSet(data_set, tuple(left_out))


def _rois(finding: Finding, sources: SourceImages, left_out: list[str]) -> Iterator[_Roi]:
    """The ROIs of a finding: its region, its closed contours, its lines, its points; those that it has."""
    drawn: dict[str, list[DrawnContour]] = {"": [], " (drawn)": [], " (lines)": [], " (points)": []}
    if finding.mask is not None:
        if sources.volume is None:
            raise ObjectInvalid(f"{finding.label}: a mask needs the volume that it is in")
        drawn[""] = region_contours(finding, finding.mask, sources.volume)
    for shape in finding.shapes:
        contours = shape_contours(shape, sources)
        if not contours:
            left_out.append(f"{finding.label}: {shape.kind}")
        for contour in contours:
            kind = {CLOSED_PLANAR: " (drawn)", POINT: " (points)"}.get(contour.type, " (lines)")
            drawn[kind].append(contour)
    present = [(suffix, contours) for suffix, contours in drawn.items() if contours]
    for place, (suffix, contours) in enumerate(present):
        yield _Roi(finding.label if place == 0 else f"{finding.label}{suffix}", finding, contours)


def _describe_series(
    data_set: Dataset, title: str, author: Author, sources: SourceImages, context: ResultContext
) -> None:
    """RT Series, General Equipment, Frame of Reference, SOP Common (PS3.3 C.8.8.1, C.7.5.1, C.7.4.1, C.12.1)."""
    data_set.SOPClassUID = RTStructureSetStorage
    data_set.SOPInstanceUID = context.uid()
    data_set.StudyInstanceUID = sources.study_uid
    data_set.SeriesInstanceUID = context.uid()
    data_set.Modality = "RTSTRUCT"
    data_set.SeriesNumber = context.series_number_base + 2
    data_set.InstanceNumber = 1
    data_set.SeriesDescription = series_description(title, author)
    data_set.OperatorsName = author.name if isinstance(author, PersonObserver) else None
    data_set.SeriesDate = data_set.InstanceCreationDate = context.date
    data_set.SeriesTime = data_set.InstanceCreationTime = context.time
    data_set.FrameOfReferenceUID = sources.frame_of_reference_uid
    data_set.PositionReferenceIndicator = None
    describe_equipment(data_set, author, context)
    _describe_approval(data_set, context)


def _describe_approval(data_set: Dataset, context: ResultContext) -> None:
    """Approval (PS3.3 C.8.8.16): by the person who looked at it, if anybody did."""
    data_set.ApprovalStatus = "UNAPPROVED" if context.verified_by is None else "APPROVED"
    if context.verified_by is not None:
        data_set.ReviewerName = context.verified_by.name
        data_set.ReviewDate, data_set.ReviewTime = context.date, context.time


def _describe_set(data_set: Dataset, title: str, sources: SourceImages, context: ResultContext) -> None:
    """Structure Set (PS3.3 C.8.8.5), without its ROIs."""
    data_set.StructureSetLabel = title[:16].strip() or "Annotations"
    data_set.StructureSetName = title[:64]
    data_set.StructureSetDate, data_set.StructureSetTime = context.date, context.time
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = sources.series_uid
    series.ContourImageSequence = [image_reference(*pair) for pair in sources.instances]
    study.ReferencedSOPClassUID = _STUDY_MANAGEMENT
    study.ReferencedSOPInstanceUID = sources.study_uid
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID = sources.frame_of_reference_uid
    frame.RTReferencedStudySequence = [study]
    data_set.ReferencedFrameOfReferenceSequence = [frame]


def _roi_item(number: int, roi: _Roi, author: Author, sources: SourceImages) -> Dataset:
    item = Dataset()
    item.ROINumber = number
    item.ReferencedFrameOfReferenceUID = sources.frame_of_reference_uid
    item.ROIName = roi.name[:64]
    if roi.finding.comment:
        item.ROIDescription = roi.finding.comment[:1024]
    item.ROIGenerationAlgorithm = "MANUAL" if isinstance(author, PersonObserver) else "AUTOMATIC"
    if isinstance(author, AlgorithmIdentification):
        item.ROIDerivationAlgorithmIdentificationSequence = [_algorithm_item(author)]
    return item


def _algorithm_item(algorithm: AlgorithmIdentification) -> Dataset:
    item = Dataset()
    item.AlgorithmFamilyCodeSequence = [code_item(algorithm.family)]
    item.AlgorithmName = algorithm.name[:64]
    item.AlgorithmVersion = algorithm.version[:64]
    item.AlgorithmSource = algorithm.manufacturer[:64]
    if algorithm.parameters:
        item.AlgorithmParameters = ",".join(f"{name}={value}" for name, value in algorithm.parameters.items())
    return item


def _observation(number: int, roi: _Roi, author: Author) -> Dataset:
    """What the ROI is (PS3.3 C.8.8.8); Tracking ID and UID are those of segments, beyond the module.

    Conceptual Volume UID would say the same within the standard; dciodvfy of 2022 takes it for an error.
    """
    finding = roi.finding
    item = Dataset()
    item.ObservationNumber = item.ReferencedROINumber = number
    kind = code_item(finding.type)
    item.RTROIIdentificationCodeSequence = [kind]
    item.SegmentedPropertyCategoryCodeSequence = [code_item(finding.category)]
    side = [] if finding.laterality is None else [code_item(finding.laterality)]
    if finding.site is not None:
        site = code_item(finding.site)
        if side:
            site.AnatomicRegionModifierSequence = side
        item.AnatomicRegionSequence = [site]
    elif side:
        kind.SegmentedPropertyTypeModifierCodeSequence = side
    anatomical = (finding.category.value, finding.category.scheme) == _ANATOMICAL_STRUCTURE
    item.RTROIInterpretedType = "ORGAN" if anatomical else None
    item.ROIInterpreter = author.name if isinstance(author, PersonObserver) else None
    item.TrackingID = tracking_identifier(replace(finding, label=roi.name))
    item.TrackingUID = finding.tracking_uid
    return item


def _contours_item(number: int, roi: _Roi) -> Dataset:
    item = Dataset()
    item.ROIDisplayColor = list(roi.finding.colour)
    item.ReferencedROINumber = number
    item.ContourSequence = [_contour_item(place, contour) for place, contour in enumerate(roi.contours, 1)]
    return item


def _contour_item(number: int, contour: DrawnContour) -> Dataset:
    item = Dataset()
    item.ContourNumber = number
    item.ContourGeometricType = contour.type
    item.NumberOfContourPoints = len(contour.points)
    if contour.plane is not None:
        item.ContourImageSequence = [_image_item(contour.plane)]
    # Raw, as if it had been read: a region has some hundred thousand coordinates, which pydicom would parse each.
    text = "\\".join(_decimals(contour)).encode("ascii")
    text += b" " * (len(text) % 2)
    item[_CONTOUR_DATA] = RawDataElement(_CONTOUR_DATA, "DS", len(text), text, 0, False, True)
    return item


def _decimals(contour: DrawnContour) -> Iterable[str]:
    values = contour.points.ravel().tolist()
    coarse = contour.plane is not None and min(contour.plane.spacing_mm) >= _SMALLEST_PIXEL_MM
    if contour.between_pixels and coarse:
        return map(_COARSE.format, values)
    return map(format_number_as_ds, values)


def _image_item(plane: ImagePlane) -> Dataset:
    item = image_reference(plane.sop_class_uid, plane.sop_instance_uid)
    if plane.frame_number is not None:
        item.ReferencedFrameNumber = plane.frame_number
    return item


def _describe_file(data_set: Dataset, contours: Sequence[Dataset]) -> None:
    """Explicit VR, unless a contour has more coordinates than it can hold: then implicit, as other makers write."""
    longest = max(item.get_item(_CONTOUR_DATA).length for roi in contours for item in roi.ContourSequence)
    explicit = longest <= _LONGEST_EXPLICIT
    for item in (item for roi in contours for item in roi.ContourSequence):
        # As if it had been read so: pydicom then writes the coordinates as they stand, and parses none.
        item.set_original_encoding(not explicit, True, default_encoding)
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian
    data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID

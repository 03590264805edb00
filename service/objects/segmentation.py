"""Masks written as a DICOM Segmentation (PS3.3 A.51), BINARY or Label Map, frames on the source's own slices."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Final

import highdicom as hd
import numpy as np
import numpy.typing as npt
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pydicom.valuerep import DSfloat, format_number_as_ds

from service.core.annotator import AnnotatorResult
from service.core.codes import Code
from service.core.findings import AlgorithmIdentification, Finding, Mask
from service.core.volume import Volume
from service.errors import ObjectInvalid
from service.objects.content_items import code_item, image_reference
from service.objects.display_colour import cielab_of
from service.objects.equipment import describe_equipment, series_description
from service.objects.identity_attributes import patient_and_study_of
from service.objects.image_plane import ImagePlane, planes_of, slice_distance_mm
from service.objects.result_context import ResultContext
from service.objects.tracking import tracking_identifier

_LABELS: Final = 3
"""Axes of pixels that hold numbers of segments: slices, rows, columns; where segments overlap there is one more."""
_STAND_IN: Final = "2.25.0"
"""Root of the UIDs that frames of a multi-frame source have while highdicom works; none of them is kept."""


def write_segmentation(
    result: AnnotatorResult, title: str, volume: Volume, context: ResultContext, *, label_map: bool = False
) -> Dataset | None:
    """One segment for each finding that has a mask, in their order; None where none has.

    Frames without a voxel are left out, and segments may overlap (SegmentsOverlap says whether they do).

    Parameters
    ----------
    label_map : write a Label Map Segmentation (PS3.3 A.51 since 2024d); None also where segments overlap, which it
        cannot say

    Raises
    ------
    ObjectInvalid : a mask is empty or lies outside the volume
    """
    marked = [(finding, finding.mask) for finding in result.findings if finding.mask is not None]
    if not marked:
        return None
    for finding, mask in marked:
        _check(finding, mask, volume)
    touched = _touched_slices([mask for _, mask in marked], volume.shape[0])
    planes = planes_of(volume)
    pixels = _pixels([mask for _, mask in marked], touched, volume.shape)
    if label_map and pixels.ndim > _LABELS:
        return None
    segmentation = _build(
        [finding for finding, _ in marked],
        pixels,
        hd.seg.SegmentationTypeValues.LABELMAP if label_map else hd.seg.SegmentationTypeValues.BINARY,
        _stand_ins(volume, [planes[number] for number in touched]),
        result.algorithm,
        context,
    )
    for keyword in ("ContentDescription", "SeriesDescription"):
        setattr(segmentation, keyword, series_description(title, result.algorithm))
    segmentation.ContentLabel = _content_label(title)
    describe_equipment(segmentation, result.algorithm, context)
    _name_source_frames(segmentation, [planes[number] for number in touched])
    _name_segment_in_each_frame(segmentation)
    _take_identity(segmentation, volume.sources[0], context)
    return segmentation


def _check(finding: Finding, mask: Mask, volume: Volume) -> None:
    if not mask.voxels.any():
        raise ObjectInvalid(f"{finding.label}: the mask has no voxel")
    ends = np.add(mask.origin, mask.voxels.shape)
    if min(mask.origin) < 0 or np.any(ends > volume.shape):
        raise ObjectInvalid(f"{finding.label}: the mask lies outside its volume")


def _touched_slices(masks: Sequence[Mask], slices: int) -> list[int]:
    """Numbers of the slices on which any mask has a voxel, ascending."""
    touched = np.zeros(slices, dtype=bool)
    for mask in masks:
        touched[mask.origin[0] : mask.origin[0] + len(mask.voxels)] |= mask.voxels.any(axis=(1, 2))
    return [int(number) for number in np.flatnonzero(touched)]


def _pixels(masks: Sequence[Mask], touched: Sequence[int], shape: tuple[int, int, int]) -> npt.NDArray[np.generic]:
    """The masks on the touched slices: segment numbers, or one plane a segment (last axis) where they overlap."""
    numbers = np.zeros((len(touched), *shape[1:]), dtype=np.uint16)
    for number, mask in enumerate(masks, start=1):
        rows, columns, place, voxels = _box(mask, touched)
        box = numbers[np.ix_(place, range(*rows), range(*columns))]
        if np.any(box[voxels]):
            return _stacked(masks, touched, shape)
        box[voxels] = number
        numbers[np.ix_(place, range(*rows), range(*columns))] = box
    return numbers.astype(np.uint8) if len(masks) < 256 else numbers


def _stacked(masks: Sequence[Mask], touched: Sequence[int], shape: tuple[int, int, int]) -> npt.NDArray[np.generic]:
    stack = np.zeros((len(touched), *shape[1:], len(masks)), dtype=bool)
    for number, mask in enumerate(masks):
        rows, columns, place, voxels = _box(mask, touched)
        stack[np.ix_(place, range(*rows), range(*columns), [number])] = voxels[..., None]
    return stack


def _box(
    mask: Mask, touched: Sequence[int]
) -> tuple[tuple[int, int], tuple[int, int], list[int], npt.NDArray[np.bool_]]:
    """Where a mask lies on the touched slices: row range, column range, places among them, and its voxels there."""
    first, row, column = mask.origin
    _, height, width = mask.voxels.shape
    inside = [(place, number - first) for place, number in enumerate(touched) if 0 <= number - first < len(mask.voxels)]
    places = [place for place, _ in inside]
    return (row, row + height), (column, column + width), places, mask.voxels[[own for _, own in inside]]


def _stand_ins(volume: Volume, planes: Sequence[ImagePlane]) -> list[Dataset]:
    """Single-frame images with nothing but the place of a slice each, for highdicom to read its geometry from.

    One form for single-frame sources and for frames of an enhanced one, whose orientation may be given per frame (which
    highdicom refuses); all carry the first slice's orientation, since rounding differs between slices.
    """
    common = _common_attributes(volume, planes[0])
    images = []
    for number, plane in enumerate(planes):
        image = Dataset()
        image.update(common)
        single = plane.frame_number is None
        # highdicom takes several images only of a single-frame class; _name_source_frames puts the true names back.
        image.SOPClassUID = plane.sop_class_uid if single else CTImageStorage
        image.SOPInstanceUID = plane.sop_instance_uid if single else f"{_STAND_IN}.{number}"
        image.ImagePositionPatient = _decimals(plane.position)
        images.append(image)
    return images


def _common_attributes(volume: Volume, plane: ImagePlane) -> Dataset:
    source = volume.sources[0]
    common = Dataset()
    common.StudyInstanceUID = volume.study_uid
    common.SeriesInstanceUID = volume.series_uid
    common.FrameOfReferenceUID = volume.frame_of_reference_uid
    common.Modality = volume.modality
    common.Rows, common.Columns = volume.shape[1:]
    common.ImageOrientationPatient = _decimals(plane.orientation)
    common.PixelSpacing = _decimals(plane.spacing_mm)
    between = slice_distance_mm(volume) if volume.shape[0] > 1 else None
    common.SliceThickness = _decimals([_slice_thickness(source, volume.frame_numbers[0]) or between or 1.0])[0]
    if between is not None:
        common.SpacingBetweenSlices = _decimals([between])[0]
    if source.get("LossyImageCompression") == "01":
        for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            if keyword in source:
                common[keyword] = deepcopy(source[keyword])
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(common, keyword, "")
    common.StudyDate = common.StudyTime = None
    return common


def _slice_thickness(source: Dataset, frame_number: int) -> float | None:
    holders = [source]
    if "PerFrameFunctionalGroupsSequence" in source:
        groups = [source.PerFrameFunctionalGroupsSequence[frame_number - 1], *source.SharedFunctionalGroupsSequence]
        holders = [item for group in groups for item in group.get("PixelMeasuresSequence") or ()]
    for holder in holders:
        thickness = holder.get("SliceThickness")
        if thickness is not None and float(thickness) > 0:
            return float(thickness)
    return None


def _decimals(values: Iterable[float]) -> list[DSfloat]:
    return [DSfloat(format_number_as_ds(float(value))) for value in values]


def _build(
    findings: Sequence[Finding],
    pixels: npt.NDArray[np.generic],
    kind: hd.seg.SegmentationTypeValues,
    sources: Sequence[Dataset],
    algorithm: AlgorithmIdentification,
    context: ResultContext,
) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom warns of what its stand-ins lack on purpose
        segmentation: Dataset = hd.seg.Segmentation(
            source_images=sources,
            pixel_array=pixels,
            segmentation_type=kind,
            segment_descriptions=[
                _description(number, finding, algorithm) for number, finding in enumerate(findings, start=1)
            ],
            series_instance_uid=context.uid(),
            series_number=context.series_number_base,
            sop_instance_uid=context.uid(),
            instance_number=1,
            manufacturer=algorithm.manufacturer[:64],
            manufacturer_model_name=algorithm.name[:64],
            software_versions=algorithm.version[:64],
            device_serial_number=algorithm.device_uid,
            specific_character_set="ISO_IR 192",
        )
    plain = Dataset()
    plain.update(segmentation)
    plain.file_meta = FileMetaDataset()
    plain.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    plain.file_meta.MediaStorageSOPClassUID = segmentation.SOPClassUID
    plain.file_meta.MediaStorageSOPInstanceUID = segmentation.SOPInstanceUID
    return plain


def _description(number: int, finding: Finding, algorithm: AlgorithmIdentification) -> Dataset:
    description: Dataset = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=finding.label[:64],
        segmented_property_category=_concept(finding.category),
        segmented_property_type=_concept(finding.type),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=algorithm.name[:64],
            family=_concept(algorithm.family),
            version=algorithm.version[:64],
            source=algorithm.manufacturer[:64],
            parameters=dict(algorithm.parameters) or None,
        ),
        tracking_uid=finding.tracking_uid,
        tracking_id=tracking_identifier(finding),
        anatomic_regions=[_concept(finding.site)] if finding.site is not None else None,
    )
    description.RecommendedDisplayCIELabValue = cielab_of(finding.colour)
    if finding.laterality is not None:
        side = [code_item(finding.laterality)]
        if finding.site is None:
            description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = side
        else:
            description.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = side
    return description


def _concept(code: Code) -> CodedConcept:
    return CodedConcept(code.value, code.scheme, code.meaning[:64])


def _content_label(title: str) -> str:
    """The title as a CS of at most 16 characters."""
    return re.sub(r"[^A-Z0-9]+", "_", title.upper()).strip("_")[:16] or "SEGMENTATION"


def _name_source_frames(segmentation: Dataset, planes: Sequence[ImagePlane]) -> None:
    """Name the image and frame behind each stand-in of a multi-frame source (PS3.3 C.7.6.16.2.6)."""
    if planes[0].frame_number is None:
        return
    for item in segmentation.PerFrameFunctionalGroupsSequence:
        reference = item.DerivationImageSequence[0].SourceImageSequence[0]
        plane = planes[int(reference.ReferencedSOPInstanceUID.rpartition(".")[2])]
        reference.ReferencedSOPClassUID = plane.sop_class_uid
        reference.ReferencedSOPInstanceUID = plane.sop_instance_uid
        reference.ReferencedFrameNumber = plane.frame_number
    whole = image_reference(planes[0].sop_class_uid, planes[0].sop_instance_uid)
    segmentation.SourceImageSequence = [whole]
    segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence = [deepcopy(whole)]


def _name_segment_in_each_frame(segmentation: Dataset) -> None:
    """Move the segment number of a single segment from the shared group to each frame, where viewers look for it."""
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    if "SegmentIdentificationSequence" not in shared:
        return
    identification = shared.SegmentIdentificationSequence
    del shared.SegmentIdentificationSequence
    for item in segmentation.PerFrameFunctionalGroupsSequence:
        item.SegmentIdentificationSequence = deepcopy(identification)


def _take_identity(segmentation: Dataset, source: Dataset, context: ResultContext) -> None:
    """Patient and study of the source, the result's own dates, and no UID that is not the context's."""
    segmentation.update(patient_and_study_of(source))
    segmentation.ContentDate = segmentation.SeriesDate = segmentation.InstanceCreationDate = context.date
    segmentation.ContentTime = segmentation.SeriesTime = segmentation.InstanceCreationTime = context.time
    organization = context.uid()
    for item in (*segmentation.DimensionOrganizationSequence, *segmentation.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization

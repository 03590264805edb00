"""Masks with their descriptions built into a Segmentation or Label Map Segmentation (PS3.3 A.51, C.8.20).

Frames lie on the source's own; those in which a segment has nothing are left out. Memory is that of the masks' boxes
and of the pixels that are written, never that of all segments on the whole grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import numpy.typing as npt
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from service.core.findings import Mask
from service.core.frame_streams import DEFLATED_FRAMES
from service.core.source_frames import SourceFrames, Space
from service.errors import ObjectInvalid
from service.objects.content_items import image_reference
from service.objects.frame_compression import (
    RLE_FRAMES,
    deflated_frames,
    encapsulated,
    rle_frames,
)
from service.objects.frame_dimensions import FrameDimensions
from service.objects.frame_groups import FrameGroups
from service.objects.identity_attributes import patient_and_study_of
from service.objects.iod_tables import root_keywords
from service.objects.mask_patches import FULL_FRACTION, FrameCutter, MaskPatch, any_overlap
from service.objects.packed_frames import fraction_frames, label_frames, label_type, packed_bits
from service.objects.result_context import ResultContext
from service.objects.segmentation_form import NATIVE, SegmentationForm, SegmentationKind

MOST_SEGMENTS: Final = 65535
"""What Segment Number (0062,0004), a US, can count."""
_PIXEL_PADDING_VALUE: Final = 0x00280120
_PIXEL_DATA: Final = 0x7FE00010


@dataclass(frozen=True, slots=True, eq=False)
class SegmentMask:
    """A segment as it is to be written: its item of Segment Sequence, not yet numbered, and where it is.

    One that is nowhere, ``mask`` None, is described and has no frame.
    """

    item: Dataset
    mask: Mask | None

    @property
    def label(self) -> str:
        """What messages call it."""
        return str(self.item.get("SegmentLabel") or "a segment")


def build_segmentation(
    segments: Sequence[SegmentMask], source: SourceFrames, form: SegmentationForm, context: ResultContext
) -> Dataset:
    """Everything of a segmentation but who made it and what it is called.

    Segments are numbered from 1 in their order; their items become part of the result.

    Raises
    ------
    ObjectInvalid : there is no segment with a mask, or there are too many; a mask is empty, lies outside the source or
        has fractions that are none; segments of a label map overlap
    """
    masks = [one.mask for one in segments if one.mask is not None]
    if not masks:
        raise ObjectInvalid("a segmentation has at least one segment that is somewhere")
    if len(segments) > MOST_SEGMENTS:
        raise ObjectInvalid(f"{len(segments)} segments are more than a segmentation can number ({MOST_SEGMENTS})")
    fractional = form.kind.is_fractional
    cutter = FrameCutter(source)
    patches = [[] if one.mask is None else cutter.cut(one.mask, one.label, fractions=fractional) for one in segments]
    overlap = any_overlap(masks, fractions=fractional)
    labelled = form.kind is SegmentationKind.LABELMAP
    if labelled and overlap:
        raise ObjectInvalid("segments overlap, which a label map cannot say: write them as BINARY")
    shown = sorted({patch.frame for some in patches for patch in some})
    segmentation = patient_and_study_of(source.header)
    _describe_instance(segmentation, source, form, context)
    _describe_source(segmentation, source, shown)
    _describe_segments(segmentation, [one.item for one in segments], form.kind)
    segmentation.SegmentsOverlap = "YES" if overlap else "NO"
    dimensions = FrameDimensions.of(source, shown, None if labelled else len(segments))
    groups = FrameGroups(source, shown, dimensions)
    organization_uid = context.uid()
    _describe_dimensions(segmentation, dimensions, organization_uid)
    segmentation.SharedFunctionalGroupsSequence = [groups.shared()]
    if labelled:
        segmentation.PerFrameFunctionalGroupsSequence = [groups.of_frame(frame, 1, None) for frame in shown]
    else:
        segmentation.PerFrameFunctionalGroupsSequence = [
            groups.of_frame(patch.frame, number, number)
            for number, some in enumerate(patches, start=1)
            for patch in some
        ]
    segmentation.NumberOfFrames = len(segmentation.PerFrameFunctionalGroupsSequence)
    _set_pixels(segmentation, patches, shown, form)
    return segmentation


def _describe_instance(
    segmentation: Dataset, source: SourceFrames, form: SegmentationForm, context: ResultContext
) -> None:
    """General Series, SOP Common, General Image and Segmentation Image, as far as pixels do not matter."""
    segmentation.SOPClassUID = form.kind.sop_class_uid
    segmentation.StudyInstanceUID = source.study_uid
    segmentation.SeriesInstanceUID = context.uid()
    segmentation.SOPInstanceUID = context.uid()
    segmentation.Modality = "SEG"
    segmentation.Rows, segmentation.Columns = source.rows, source.columns
    segmentation.SeriesNumber = context.series_number_base
    segmentation.InstanceNumber = 1
    segmentation.ImageType = ["DERIVED", "PRIMARY"]
    segmentation.ContentDate = segmentation.SeriesDate = segmentation.InstanceCreationDate = context.date
    segmentation.ContentTime = segmentation.SeriesTime = segmentation.InstanceCreationTime = context.time
    segmentation.PresentationLUTShape = "IDENTITY"
    if source.space is not Space.PATIENT:
        # Where no Image Orientation (Patient) says it (PS3.3 C.7.6.1.1.1).
        segmentation.PatientOrientation = source.header.get("PatientOrientation")
    segmentation.LossyImageCompression = "00"
    if source.header.get("LossyImageCompression") == "01":
        for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            if keyword in source.header:
                segmentation[keyword] = deepcopy(source.header[keyword])
    segmentation.file_meta = FileMetaDataset()
    segmentation.file_meta.TransferSyntaxUID = UID(form.transfer_syntax_uid)
    segmentation.file_meta.MediaStorageSOPClassUID = segmentation.SOPClassUID
    segmentation.file_meta.MediaStorageSOPInstanceUID = segmentation.SOPInstanceUID


def _describe_source(segmentation: Dataset, source: SourceFrames, shown: Sequence[int]) -> None:
    """Frame of Reference, what of the series was looked at, and the matrix of a slide."""
    frames = [source.frames[number] for number in shown]
    instances = dict.fromkeys(
        (frame.sop_class_uid, frame.sop_instance_uid) for frame in frames if frame.sop_instance_uid
    )
    if instances:
        segmentation.SourceImageSequence = [image_reference(*instance) for instance in instances]
    if instances and source.series_uid:
        series = Dataset()
        series.SeriesInstanceUID = source.series_uid
        series.ReferencedInstanceSequence = [image_reference(*instance) for instance in instances]
        segmentation.ReferencedSeriesSequence = [series]
    if source.space is not Space.NOWHERE:
        segmentation.FrameOfReferenceUID = source.frame_of_reference_uid
        segmentation.PositionReferenceIndicator = source.header.get("PositionReferenceIndicator")
    if source.space is Space.SLIDE:
        _describe_slide(segmentation, source)


def _describe_slide(segmentation: Dataset, source: SourceFrames) -> None:
    """The total pixel matrix of the source and the specimen in it (PS3.3 C.8.12.14, C.7.6.22)."""
    matrix = ["ImageOrientationSlide", "TotalPixelMatrixOriginSequence", "TotalPixelMatrixRows"]
    matrix += ["TotalPixelMatrixColumns", *sorted(root_keywords(["specimen"]))]
    for keyword in matrix:
        if keyword in source.header:
            segmentation[keyword] = deepcopy(source.header[keyword])
    segmentation.TotalPixelMatrixFocalPlanes = len(source.focal_planes)


def _describe_segments(segmentation: Dataset, items: Sequence[Dataset], kind: SegmentationKind) -> None:
    for number, item in enumerate(items, start=1):
        item.SegmentNumber = number
    segmentation.SegmentationType = "FRACTIONAL" if kind.is_fractional else kind.value
    if kind.is_fractional:
        segmentation.SegmentationFractionalType = kind.value
        segmentation.MaximumFractionalValue = FULL_FRACTION
    # A label map's background has no item: Pixel Padding Value names it, and OHIF takes colours by their place in here.
    segmentation.SegmentSequence = list(items)


def _describe_dimensions(segmentation: Dataset, dimensions: FrameDimensions, organization_uid: str) -> None:
    organization = Dataset()
    organization.DimensionOrganizationUID = organization_uid
    segmentation.DimensionOrganizationSequence = [organization]
    segmentation.DimensionIndexSequence = dimensions.index_sequence(organization_uid)
    if dimensions.organization_type is not None:
        segmentation.DimensionOrganizationType = dimensions.organization_type


def _set_pixels(
    segmentation: Dataset, patches: Sequence[Sequence[MaskPatch]], shown: Sequence[int], form: SegmentationForm
) -> None:
    """Image Pixel and Pixel Data."""
    rows, columns = int(segmentation.Rows), int(segmentation.Columns)
    in_order = [patch for some in patches for patch in some]
    segmentation.SamplesPerPixel = 1
    segmentation.PhotometricInterpretation = "MONOCHROME2"
    segmentation.PixelRepresentation = 0
    if form.kind is SegmentationKind.BINARY:
        bits, value = 1, _binary_value(in_order, rows, columns, form)
    elif form.kind is SegmentationKind.LABELMAP:
        bits = label_type(len(patches)).itemsize * 8
        value = _byte_value(label_frames(patches, shown, rows, columns), form)
        segmentation.add(DataElement(_PIXEL_PADDING_VALUE, "US", 0))
    else:
        bits, value = 8, _byte_value(fraction_frames(in_order, rows, columns), form)
    segmentation.BitsAllocated = segmentation.BitsStored = bits
    segmentation.HighBit = bits - 1
    compressed = form.transfer_syntax_uid != NATIVE
    element = DataElement(_PIXEL_DATA, "OW" if bits > 8 and not compressed else "OB", value)
    element.is_undefined_length = compressed
    segmentation.add(element)


def _binary_value(patches: Sequence[MaskPatch], rows: int, columns: int, form: SegmentationForm) -> bytes:
    if form.transfer_syntax_uid == DEFLATED_FRAMES:
        return encapsulated(deflated_frames(packed_bits([patch], rows, columns) for patch in patches))
    value = packed_bits(patches, rows, columns)
    return value + b"\0" if len(value) % 2 else value  # of even length (PS3.5 7.1.1)


def _byte_value(frames: Iterator[npt.NDArray[Any]], form: SegmentationForm) -> bytes:
    if form.transfer_syntax_uid == DEFLATED_FRAMES:
        return encapsulated(deflated_frames(frame.data for frame in frames))
    if form.transfer_syntax_uid == RLE_FRAMES:
        return encapsulated(rle_frames(frames))
    value = BytesIO()  # unlike parts and their join it holds what is long only once
    for frame in frames:
        value.write(frame.data)
    if value.tell() % 2:
        value.write(b"\0")
    return value.getvalue()

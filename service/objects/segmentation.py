"""Findings with masks written as a DICOM Segmentation (PS3.3 A.51): BINARY, FRACTIONAL or Label Map."""

from __future__ import annotations

import re

from pydicom.dataset import Dataset

from service.core.annotator import AnnotatorResult
from service.core.source_frames import SourceFrames
from service.core.volume import Volume
from service.objects.equipment import describe_equipment, series_description
from service.objects.result_context import ResultContext
from service.objects.segment_items import segment_item
from service.objects.segmentation_building import SegmentMask, build_segmentation
from service.objects.segmentation_form import SegmentationForm
from service.objects.source_frames_reader import frames_of_volume

_BINARY = SegmentationForm()


def write_segmentation(
    result: AnnotatorResult,
    title: str,
    source: Volume | SourceFrames,
    context: ResultContext,
    form: SegmentationForm = _BINARY,
) -> Dataset | None:
    """One segment for each finding that has a mask, in their order; None where none has.

    Frames without a voxel are left out, and segments may overlap but in a label map (SegmentsOverlap says whether they
    do). Several findings of one type are several segments, each with its own tracking UID.

    Parameters
    ----------
    source : what the masks were drawn on: a volume, or frames of images that make none

    Raises
    ------
    ObjectInvalid : a mask is empty, lies outside the source or has fractions that are none; segments of a label map
        overlap; there are more segments than a segmentation can number
    """
    segments = [
        SegmentMask(segment_item(finding, result.algorithm), finding.mask)
        for finding in result.findings
        if finding.mask is not None
    ]
    if not segments:
        return None
    frames = frames_of_volume(source) if isinstance(source, Volume) else source
    segmentation = build_segmentation(segments, frames, form, context)
    segmentation.ContentDescription = series_description(title, result.algorithm)
    segmentation.SeriesDescription = series_description(title, result.algorithm)
    segmentation.ContentLabel = content_label(title)
    describe_equipment(segmentation, result.algorithm, context)
    return segmentation


def content_label(title: str) -> str:
    """The title as a CS of at most 16 characters."""
    return re.sub(r"[^A-Z0-9]+", "_", title.upper()).strip("_")[:16] or "SEGMENTATION"

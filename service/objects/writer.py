"""Findings in, DICOM objects out: the one entry for whoever has a result to keep."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset

from service.core.annotations import AnnotationSet
from service.core.annotator import AnnotatorResult
from service.core.volume import Volume
from service.objects.report import write_annotation_report, write_report
from service.objects.result_context import ResultContext, WrittenResult
from service.objects.segmentation import write_segmentation
from service.objects.source_frames_reader import frames_of_images
from service.objects.source_images import SourceImages

__all__ = ["ResultContext", "WrittenResult", "write_flat_results", "write_results"]


def write_results(result: AnnotatorResult, title: str, volume: Volume, context: ResultContext) -> WrittenResult:
    """Write what one annotator found on one volume as a Segmentation and a Comprehensive 3D SR.

    Each is a series of its own in the study of the volume, with the patient and study attributes of its sources.

    Parameters
    ----------
    title : what the annotator is called in Series Description ("Lung nodules")

    Raises
    ------
    ObjectInvalid : the findings cannot be written; the message names the finding and what is wrong with it
    """
    segmentation = write_segmentation(result, title, volume, context)
    return WrittenResult(segmentation, write_report(result, title, volume, segmentation, context))


def write_flat_results(
    result: AnnotatorResult, title: str, images: Sequence[Dataset], context: ResultContext
) -> WrittenResult:
    """The same of images that make no volume, of one series and size: radiographs, ultrasound loops, photographs.

    Parameters
    ----------
    images : their headers; indices of masks are (frame, row, column), frames of all images counted in this order

    Raises
    ------
    ObjectInvalid : the findings cannot be written; the message names the finding and what is wrong with it
    """
    frames = frames_of_images(images)
    segmentation = write_segmentation(result, title, frames, context)
    annotations = AnnotationSet(result.algorithm, tuple(result.findings), summary=result.summary)
    sources = SourceImages.of_images(images, frames)
    return WrittenResult(segmentation, write_annotation_report(annotations, title, sources, segmentation, context))

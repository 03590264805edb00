"""Findings in, DICOM objects out: the one entry for whoever has a result to keep."""

from __future__ import annotations

from service.core.annotator import AnnotatorResult
from service.core.volume import Volume
from service.objects.report import write_report
from service.objects.result_context import ResultContext, WrittenResult
from service.objects.segmentation import write_segmentation

__all__ = ["ResultContext", "WrittenResult", "write_results"]


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

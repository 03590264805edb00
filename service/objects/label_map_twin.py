"""The same result once more, for peers that take Label Map Segmentations: a twin of the BINARY pair, report included.

Two SOP classes are two instances with two UIDs, so each segmentation has a report that refers to it. The four name each
other: the segments by their tracking UIDs, the reports by Pertinent Other Evidence (PS3.3 C.17.2).
"""

from __future__ import annotations

from dataclasses import replace

from pydicom.dataset import Dataset

from service.core.annotator import AnnotatorResult
from service.core.volume import Volume
from service.objects.report import evidence_of, write_report
from service.objects.result_context import ResultContext, WrittenResult
from service.objects.segmentation import write_segmentation
from service.objects.segmentation_form import SegmentationForm, SegmentationKind

_LABEL_MAP = SegmentationForm(SegmentationKind.LABELMAP)
_SERIES_APART = 50
"""Added to Series Number: twins stand behind the series that people see."""


def write_label_map_twin(
    result: AnnotatorResult, title: str, volume: Volume, written: WrittenResult, context: ResultContext
) -> WrittenResult | None:
    """Write what ``written`` says as a Label Map and its report; None where a label map cannot say it.

    The report of ``written`` is changed: it names its twin.

    Raises
    ------
    ObjectInvalid : the findings cannot be written
    """
    if written.segmentation is None or written.segmentation.SegmentsOverlap == "YES":
        return None
    behind = replace(context, series_number_base=context.series_number_base + _SERIES_APART)
    segmentation = write_segmentation(result, title, volume, behind, _LABEL_MAP)
    if segmentation is None:
        return None
    report = write_report(result, title, volume, segmentation, behind)
    _name(written.report, segmentation, report)
    _name(report, written.segmentation, written.report)
    return WrittenResult(segmentation, report)


def _name(report: Dataset, *others: Dataset) -> None:
    report.PertinentOtherEvidenceSequence = [evidence_of(others)]

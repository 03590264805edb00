"""Measurement reports of other makers are read as they say, and written anew with nothing of the findings lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.core.annotations import AnnotationSet, PersonObserver
from service.core.codes import Code
from service.core.findings import Finding
from service.core.geometry import ShapeKind
from service.objects.annotation_reader import annotations_of
from service.objects.content_tree import descendants
from service.objects.report import write_annotation_report
from service.objects.segment_references import segments_by_tracking_uid
from service.objects.segmentation_findings import findings_of_segmentation
from service.objects.segmentation_form import SegmentationForm
from service.objects.segmentation_reading import read_segmentation
from service.objects.segmentation_rewriting import rewrite_segmentation
from service.objects.source_images import SourceImages
from service.objects.validation import Severity, validate
from tests.segmented import file_of
from tests.written_results import context

pytestmark = [pytest.mark.real_data, pytest.mark.usefixtures("lenient")]

DCMQI = "seg-sr-dcmqi/tid1500-pet/sr.dcm"
ONE_GROUP = "seg-sr-highdicom/sr_document.dcm"
GROUPS = "seg-sr-highdicom/sr_document_with_multiple_groups.dcm"
REPORTS = (DCMQI, ONE_GROUP, GROUPS)
_EVIDENCE = ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
_NO_IMAGES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.67")


def read(name: str, shared_data: Path) -> AnnotationSet:
    return annotations_of(dcmread(shared_data / name))


def numbers_in(report: Dataset) -> Counter[tuple[str, str]]:
    """Every number of a measurement group with its unit."""
    return Counter(
        (str(item.MeasuredValueSequence[0].NumericValue), _unit(item))
        for parent, item in descendants(report)
        if item.ValueType == "NUM" and item.MeasuredValueSequence and _is_group(parent)
    )


def _unit(item: Dataset) -> str:
    return str(item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue)


def _is_group(item: Dataset) -> bool:
    return bool(item.get("ConceptNameCodeSequence")) and item.ConceptNameCodeSequence[0].get("CodeValue") == "125007"


def images_of(report: Dataset) -> list[Dataset]:
    """The images that it names as evidence, as far as it tells of them."""
    images = []
    for keyword in _EVIDENCE:
        for study in report.get(keyword) or []:
            for series in study.ReferencedSeriesSequence:
                shown = [one for one in series.ReferencedSOPSequence if one.ReferencedSOPClassUID not in _NO_IMAGES]
                images += [_image(report, study, series, one) for one in shown]
    return images


def _image(report: Dataset, study: Dataset, series: Dataset, instance: Dataset) -> Dataset:
    image = Dataset()
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"):
        setattr(image, keyword, report.get(keyword, ""))
    image.StudyInstanceUID, image.SeriesInstanceUID = study.StudyInstanceUID, series.SeriesInstanceUID
    image.SOPClassUID, image.SOPInstanceUID = instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID
    image.Rows = image.Columns = 512
    image.PixelSpacing = [1, 1]
    return image


@pytest.mark.parametrize("name", REPORTS)
def test_every_number_is_read_with_its_unit(name: str, shared_data: Path) -> None:
    found = Counter(
        (number.value, number.unit.value) for one in read(name, shared_data).findings for number in one.measurements
    )
    expected = Counter(
        {(float(value), unit): times for (value, unit), times in numbers_in(dcmread(shared_data / name)).items()}
    )
    assert {unit for _, unit in found} == {unit for _, unit in expected}
    assert sorted(value for value, _ in found.elements()) == pytest.approx(sorted(v for v, _ in expected.elements()))


def test_site_and_method_are_known_under_their_codes_of_before(shared_data: Path) -> None:
    (tumour,) = read(DCMQI, shared_data).findings
    assert (tumour.label, tumour.type.meaning) == ("primary tumor", "Neoplasm, Primary")
    assert tumour.site == Code("T-C5300", "SRT", "pharyngeal tonsil (adenoid)")
    methods = {one.name.meaning: one.method.value for one in tumour.measurements if one.method is not None}
    assert methods["SUVbw"] == "126410"  # said once, of all numbers of the group
    assert methods["Volume"] == "126030"  # its own
    assert [one.name.value for one in tumour.evaluations] == ["C67447", "C2348792"]


def test_what_is_about_an_image_as_a_whole_lies_on_it(shared_data: Path) -> None:
    whole, nodule, *_ = read(GROUPS, shared_data).findings
    assert [shape.kind for shape in whole.shapes] == [ShapeKind.FRAMES]
    assert [shape.kind for shape in nodule.shapes] == [ShapeKind.CIRCLE]
    author = read(ONE_GROUP, shared_data).author
    assert isinstance(author, PersonObserver)
    assert author.name == "Foo"


@pytest.mark.parametrize("name", [ONE_GROUP, GROUPS])
def test_written_anew_nothing_is_lost(name: str, shared_data: Path) -> None:
    said = read(name, shared_data)
    sources = SourceImages.of_images(images_of(dcmread(shared_data / name)))
    anew = write_annotation_report(said, "Again", sources, None, context())
    again = annotations_of(anew)
    assert [told(one) for one in again.findings] == [told(one) for one in said.findings]
    errors = [one.rule for one in validate(anew, sources=sources.headers) if one.severity is Severity.ERROR]
    assert errors == []


def test_report_and_its_segmentation_are_written_anew_together(shared_data: Path) -> None:
    """dcmqi's, whose images are not there: masks lie where the segmentation itself says."""
    segmentation = read_segmentation(shared_data / "seg-sr-dcmqi/tid1500-pet/seg.dcm")
    (masked,) = findings_of_segmentation(segmentation)
    said = read(DCMQI, shared_data)
    (tumour,) = (replace(one, mask=masked.mask) for one in said.findings)
    images = images_of(dcmread(shared_data / DCMQI))
    sources = SourceImages.of_images(images, segmentation.places)
    masks = rewrite_segmentation(segmentation, context(), SegmentationForm())
    report = write_annotation_report(replace(said, findings=(tumour,)), "Again", sources, masks, context())
    (again,) = annotations_of(report).findings
    assert told(again) == told(tumour)
    assert segments_by_tracking_uid(report) == {tumour.tracking_uid: (str(masks.SOPInstanceUID), 1)}
    (read_again,) = findings_of_segmentation(read_segmentation(file_of(masks)))
    assert np.array_equal(read_again.mask.voxels, masked.mask.voxels)  # type: ignore[union-attr]
    errors = [str(one) for one in validate(report, referenced=[masks]) if one.severity is Severity.ERROR]
    assert errors == []


def told(finding: Finding) -> dict[str, object]:
    """What a finding says, numbers and shapes in any order."""
    fields = ("label", "tracking_uid", "category", "type", "site", "laterality", "evaluations", "comment", "confidence")
    return {name: getattr(finding, name) for name in fields} | {
        "shapes": sorted(map(repr, finding.shapes)),
        "numbers": sorted(map(repr, finding.measurements)),
    }

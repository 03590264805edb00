"""dciodvfy (dicom3tools) finds no Error in what is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from service.core.geometry import point, polygon
from service.core.volume import Volume
from service.objects.writer import write_results
from tests.dciodvfy import errors_in
from tests.volumes import ball, nodule, organ, result_of
from tests.written_results import VOLUMES, axial, context, write

pytestmark = pytest.mark.peer("dicom3tools")


@pytest.mark.parametrize("name", VOLUMES)
def test_segmentation_and_report_have_no_error(name: str, tmp_path: Path) -> None:
    volume = VOLUMES[name]()
    written = write(volume, nodule(volume), organ(volume))
    assert written.segmentation is not None
    assert errors_in(written.segmentation, tmp_path) == []
    assert errors_in(written.report, tmp_path) == []


def test_overlapping_segments_have_no_error(tmp_path: Path) -> None:
    volume = axial()
    segmentation = write(volume, nodule(volume), replace(organ(volume), mask=ball(volume, (3, 6, 7)))).segmentation
    assert segmentation is not None
    assert errors_in(segmentation, tmp_path) == []


def test_single_segment_on_a_single_slice_has_no_error(tmp_path: Path) -> None:
    volume = axial()
    segmentation = write(volume, replace(nodule(volume), mask=ball(volume, (3, 6, 7), 0))).segmentation
    assert segmentation is not None
    assert errors_in(segmentation, tmp_path) == []


def test_report_without_findings_has_no_error(tmp_path: Path) -> None:
    assert errors_in(write(axial()).report, tmp_path) == []


def test_report_with_contours_and_points_has_no_error(tmp_path: Path) -> None:
    volume = axial()
    corners = tuple(tuple(point) for point in volume.to_patient([(3, 4, 4), (3, 4, 8), (3, 8, 8)]).tolist())
    bare = replace(nodule(volume), mask=None, measurements=())
    findings = [
        replace(bare, shapes=(polygon(corners),)),
        replace(bare, shapes=tuple(map(point, corners)), tracking_uid="2.25.4"),
    ]
    assert errors_in(write(volume, *findings).report, tmp_path) == []


def test_report_with_a_predecessor_has_no_error(tmp_path: Path) -> None:
    volume: Volume = axial()
    older = write(volume).report
    newer = write_results(result_of(nodule(volume)), "Lung nodules", volume, context(older)).report
    assert errors_in(newer, tmp_path) == []


def test_names_outside_ascii_have_no_error(tmp_path: Path) -> None:
    volume = axial()
    for source in volume.sources:
        source.SpecificCharacterSet, source.PatientName = "ISO_IR 100", "Müller^Zoë"
    written = write(volume, nodule(volume))
    assert written.segmentation is not None
    assert errors_in(written.segmentation, tmp_path) == errors_in(written.report, tmp_path) == []

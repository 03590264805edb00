"""What was written is read back equal."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.core.findings import Finding
from service.core.volume import Volume
from service.errors import ObjectInvalid
from service.objects.display_colour import cielab_of, rgb_of
from service.objects.findings_reader import findings_of
from service.objects.source_images import SourceImages
from tests.volumes import nodule, organ
from tests.written_results import VOLUMES, axial, write


def through_a_file(data_set: Dataset) -> Dataset:
    buffer = BytesIO()
    data_set.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return dcmread(buffer)


def read_back(volume: Volume, *findings: Finding) -> list[Finding]:
    written = write(volume, *findings)
    segmentation = None if written.segmentation is None else through_a_file(written.segmentation)
    return findings_of(through_a_file(written.report), segmentation)


@pytest.mark.parametrize(
    "attribute",
    ["label", "tracking_uid", "category", "type", "site", "laterality", "evaluations", "confidence", "colour"],
)
def test_attribute_is_read_back_equal(attribute: str) -> None:
    volume = axial()
    (found,) = read_back(volume, nodule(volume))
    assert getattr(found, attribute) == getattr(nodule(volume), attribute)


@pytest.mark.parametrize("name", VOLUMES)
def test_numbers_are_read_back_exactly(name: str) -> None:
    volume = VOLUMES[name]()
    (found,) = read_back(volume, nodule(volume))
    written = nodule(volume).measurements
    assert [(one.name.value, one.value, one.unit, one.derivation) for one in found.measurements] == [
        (one.name.value, one.value, one.unit, one.derivation) for one in written
    ]


@pytest.mark.parametrize("name", VOLUMES)
def test_lines_are_read_back_where_they_were_drawn(name: str) -> None:
    volume = VOLUMES[name]()
    (found,) = read_back(volume, nodule(volume))
    for made, read in zip(nodule(volume).measurements[:2], found.measurements[:2], strict=True):
        assert made.shape is not None
        assert read.shape is not None
        in_patient = SourceImages.of_volume(volume).to_patient(read.shape)
        np.testing.assert_allclose(in_patient.points, made.shape.points, atol=2e-4)


def test_side_without_a_site_is_read_back() -> None:
    volume = axial()
    (found,) = read_back(volume, organ(volume))
    assert (found.site, found.laterality) == (None, organ(volume).laterality)


def test_findings_come_in_their_order() -> None:
    volume = axial()
    found = read_back(volume, nodule(volume, 1), organ(volume), nodule(volume, 2))
    assert [one.label for one in found] == ["Nodule 1", "Lung 1", "Nodule 2"]


def test_label_with_a_colon_survives() -> None:
    volume = axial()
    (found,) = read_back(volume, replace(nodule(volume), label="Nodule: 1"))
    assert found.label == "Nodule: 1"


def test_report_without_findings_has_none() -> None:
    assert read_back(axial()) == []


def test_another_document_is_refused() -> None:
    with pytest.raises(ObjectInvalid):
        findings_of(Dataset())


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (255, 160, 0), (1, 2, 250), (12, 200, 99)])
def test_colour_survives_cielab(colour: tuple[int, int, int]) -> None:
    assert rgb_of(cielab_of(colour)) == colour

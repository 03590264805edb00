"""Regions and maps of real series, tilted and enhanced ones among them: without error, and back as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.core.annotations import ParameterMap
from service.core.codes import Code, ucum
from service.core.findings import Mask
from service.objects.parametric_map import write_parametric_map
from service.objects.parametric_map_reader import parameter_maps_of
from service.objects.source_images import SourceImages
from service.objects.structure_set_reader import read_structure_set, region_of
from service.objects.validation import Severity, validate
from tests.integration.test_objects_dciodvfy import errors_in
from tests.real.test_objects_real_series import SERIES, volume_in
from tests.structure_sets import as_read, finding, written
from tests.volumes import ALGORITHM
from tests.written_results import context

pytestmark = [pytest.mark.real_data, pytest.mark.peer("dicom3tools"), pytest.mark.usefixtures("lenient")]


@pytest.mark.parametrize("name", SERIES)
def test_region_is_without_error_and_comes_back(name: str, shared_data: Path, tmp_path: Path) -> None:
    place, modality = SERIES[name]
    volume = volume_in(shared_data / place, modality)
    bright = volume.array >= np.percentile(volume.array, 99.5)
    sources = SourceImages.of_volume(volume)
    data_set = as_read(written(sources, finding(mask=Mask.cut_from(bright))).data_set)
    assert errors_in(data_set, tmp_path) == []
    assert [one for one in validate(data_set, sources=sources.headers) if one.severity is Severity.ERROR] == []
    (back,) = read_structure_set(data_set).annotations.findings
    assert np.array_equal(region_of(back, volume).mask.into(volume.shape), bright)


@pytest.mark.parametrize("name", SERIES)
def test_map_is_without_error_and_comes_back(name: str, shared_data: Path, tmp_path: Path) -> None:
    place, modality = SERIES[name]
    volume = volume_in(shared_data / place, modality)
    made = ParameterMap("Change", Code("113055", "DCM", "Student's T-Test"), ucum("1", "no units"), volume.array)
    data_set = as_read(write_parametric_map(made, ALGORITHM, "Statistics", volume, context()))
    assert errors_in(data_set, tmp_path) == []
    assert [one for one in validate(data_set, sources=volume.sources) if one.severity is Severity.ERROR] == []
    (back,) = parameter_maps_of(data_set, volume)
    assert np.array_equal(back.values, volume.array)

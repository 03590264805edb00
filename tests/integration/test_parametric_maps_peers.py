"""What others say of our parametric maps: dciodvfy finds no Error, Orthanc takes them and gives them back."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import requests
from pydicom import dcmread

from service.core.annotations import Author, ParameterMap
from service.core.codes import Code, ucum
from service.core.volume import Volume
from service.objects.parametric_map import write_parametric_map
from service.objects.parametric_map_reader import parameter_maps_of
from tests.integration.test_objects_dciodvfy import errors_in
from tests.orthanc_process import OrthancProcess
from tests.patience import PATIENCE_S
from tests.structure_sets import READER
from tests.volumes import ALGORITHM
from tests.written_results import VOLUMES, axial, context

DIFFUSION = Code("113041", "DCM", "Apparent Diffusion Coefficient")


def a_map(volume: Volume) -> ParameterMap:
    values = np.random.default_rng(1).normal(size=volume.shape).astype(np.float32)
    values[0, 0, 0] = np.nan
    return ParameterMap("ADC", DIFFUSION, ucum("mm2/s"), values)


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize("author", [READER, ALGORITHM], ids=["person", "algorithm"])
@pytest.mark.parametrize("name", VOLUMES)
def test_parametric_map_has_no_error(name: str, author: Author, tmp_path: Path) -> None:
    volume = VOLUMES[name]()
    data_set = write_parametric_map(a_map(volume), author, "Diffusion", volume, context())
    assert errors_in(data_set, tmp_path) == []


@pytest.mark.peer("orthanc")
@pytest.mark.xdist_group("orthanc")
def test_orthanc_takes_a_parametric_map_and_gives_it_back(tmp_path: Path) -> None:
    volume = axial()
    file = tmp_path / "map.dcm"
    write_parametric_map(a_map(volume), ALGORITHM, "Diffusion", volume, context()).save_as(
        file, enforce_file_format=True
    )
    with OrthancProcess(tmp_path / "orthanc", "ANNOGATE", "127.0.0.1", 11112) as orthanc:
        stored = orthanc.upload(file)
        content = requests.get(f"{orthanc.http}/instances/{stored}/file", timeout=PATIENCE_S).content
    (back,) = parameter_maps_of(dcmread(BytesIO(content)), volume)
    assert np.array_equal(back.values, a_map(volume).values, equal_nan=True)

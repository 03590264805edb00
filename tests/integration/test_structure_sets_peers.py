"""What others say of our structure sets: dciodvfy finds no Error, Orthanc takes them and gives them back."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import requests
from pydicom import dcmread

from service.core.geometry import ImagePlace, Shape, ShapeKind, point, polygon
from service.objects.source_images import SourceImages
from service.objects.structure_set_reader import read_structure_set, region_of
from tests.integration.test_objects_dciodvfy import errors_in
from tests.orthanc_process import OrthancProcess
from tests.patience import PATIENCE_S
from tests.structure_sets import READER, finding, written
from tests.volumes import ALGORITHM, nodule, organ
from tests.written_results import VOLUMES, axial


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize("author", [READER, ALGORITHM], ids=["person", "algorithm"])
@pytest.mark.parametrize("name", VOLUMES)
def test_structure_set_has_no_error(name: str, author: object, tmp_path: Path) -> None:
    volume = VOLUMES[name]()
    sources = SourceImages.of_volume(volume)
    plane = sources.planes[3]
    frames = () if plane.frame_number is None else (plane.frame_number,)
    place = ImagePlace(plane.sop_class_uid, plane.sop_instance_uid, frames)
    corners = ((1.5, 1.25), (9.5, 2.0), (7.0, 12.75))
    drawn = finding(
        polygon(corners, place), point((3.0, 4.0), place), Shape(ShapeKind.POLYLINE, corners, place), label="Drawn"
    )
    data_set = written(sources, nodule(volume), organ(volume), drawn, author=author).data_set
    assert errors_in(data_set, tmp_path) == []


@pytest.mark.peer("orthanc")
@pytest.mark.xdist_group("orthanc")
def test_orthanc_takes_a_structure_set_and_gives_it_back(tmp_path: Path) -> None:
    volume = axial()
    file = tmp_path / "structures.dcm"
    written(SourceImages.of_volume(volume), nodule(volume)).data_set.save_as(file, enforce_file_format=True)
    with OrthancProcess(tmp_path / "orthanc", "ANNOGATE", "127.0.0.1", 11112) as orthanc:
        stored = orthanc.upload(file)
        content = requests.get(f"{orthanc.http}/instances/{stored}/file", timeout=PATIENCE_S).content
    (back,) = read_structure_set(dcmread(BytesIO(content))).annotations.findings
    mask = nodule(volume).mask
    assert mask is not None
    assert np.array_equal(region_of(back, volume).mask.into(volume.shape), mask.into(volume.shape))

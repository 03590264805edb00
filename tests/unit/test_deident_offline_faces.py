"""``annogate deid`` with a profile that removes faces: series by series, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from service.core.pydicom_reading import read_leniently
from service.deident.deidentifier import Deidentifier
from service.deident.faces.face_finder import FaceFinder
from service.deident.faces.face_policy import FacePolicy
from service.deident.offline import FileStatus, deidentify_files, offline_deidentifier
from service.deident.offline_faces import OfflineFaces
from tests.ct_series import write_instance
from tests.unit.test_deident_face_series import masks_of, series
from tests.unit.test_ingest_faces import Blackener, head_images


@pytest.fixture
def deidentifier(tmp_path: Path, repository: Path) -> Deidentifier:
    read_leniently()
    shutil.copytree(repository / "config", tmp_path / "config")
    profile = 'title = "No faces"\nextends = "basic"\n[options]\nclean_recognizable_visual_features = true\n'
    (tmp_path / "config" / "profiles" / "no-faces.toml").write_text(profile)
    return offline_deidentifier(tmp_path / "config" / "profiles", "no-faces")


@pytest.fixture
def faces(repository: Path) -> OfflineFaces:
    return OfflineFaces(FacePolicy.load(repository / "config" / "faces.toml"), FaceFinder())


def written(folder: Path, number: int | None = None) -> list[Path]:
    folder.mkdir()
    return [write_instance(image, folder / f"{n:03}.dcm") for n, image in enumerate(head_images(number))]


def test_series_loses_its_face(tmp_path, deidentifier, faces):
    files = written(tmp_path / "head")
    results = list(deidentify_files(files, deidentifier, tmp_path / "out", pixels=Blackener(), faces=faces))
    assert {result.status for result in results} == {FileStatus.WRITTEN}
    for result, image, mask in zip(results, head_images(), masks_of(*series()), strict=True):
        clean = dcmread(result.written)
        before = np.frombuffer(image.PixelData, "<u2").reshape(mask[0].shape)
        assert np.array_equal(clean.pixel_array[~mask[0]], before[~mask[0]])
        assert np.all(clean.pixel_array[mask[0]] == before.min())
        assert clean.RecognizableVisualFeatures == "NO"
        assert "113102" in [item.CodeValue for item in clean.DeidentificationMethodCodeSequence]


def test_files_whose_face_cannot_be_found_are_refused(tmp_path, deidentifier, faces):
    files = written(tmp_path / "head", 3)
    results = list(deidentify_files(files, deidentifier, tmp_path / "out", pixels=Blackener(), faces=faces))
    assert {result.status for result in results} == {FileStatus.REFUSED}
    assert all("fewer than 5 slices" in result.reason for result in results)
    assert not list((tmp_path / "out").iterdir())

"""Contours that readers drew, filled: the masks that their publishers give, voxel for voxel; and written anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread

from service.core.geometry import ShapeKind
from service.errors import ObjectInvalid
from service.objects.source_images import SourceImages
from service.objects.structure_set_reader import read_structure_set, region_of
from tests.real.test_objects_real_series import volume_in
from tests.structure_sets import as_read, finding, written

pytestmark = [pytest.mark.real_data, pytest.mark.usefixtures("lenient")]
GRIDS = [
    pytest.param(patient, modality, folder, id=f"{patient} {folder}")
    for patient in ("STS_001", "STS_022")
    for modality, folder in (("CT", "CT"), ("PT", "PET"), ("MR", "MR_T1"))
]


@pytest.mark.parametrize(("patient", "modality", "folder"), GRIDS)
def test_contours_fill_the_published_mask(shared_data: Path, patient: str, modality: str, folder: str) -> None:
    study = shared_data / "petct-sts" / patient
    volume = volume_in(study / folder, modality)
    (file,) = (study / "nifti-mask").glob(f"{folder}*.nii*")
    published = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file))).astype(bool)
    for kind in ("rtstruct", "rtstruct-relinked"):
        (drawn,) = read_structure_set(dcmread(study / kind / f"{folder}.dcm")).annotations.findings
        filled = region_of(drawn, volume)
        assert drawn.type.meaning == "Gross tumor volume"
        assert np.array_equal(filled.mask.into(volume.shape), published)
        assert filled.remarks == ()


@pytest.mark.parametrize(("patient", "modality", "folder"), GRIDS[1:3])
def test_filled_contours_come_back_from_our_own_structure_set(
    shared_data: Path, patient: str, modality: str, folder: str
) -> None:
    study = shared_data / "petct-sts" / patient
    volume = volume_in(study / folder, modality)
    (drawn,) = read_structure_set(dcmread(study / "rtstruct" / f"{folder}.dcm")).annotations.findings
    mask = region_of(drawn, volume).mask
    anew = as_read(written(SourceImages.of_volume(volume), finding(mask=mask)).data_set)
    (back,) = read_structure_set(anew).annotations.findings
    assert np.array_equal(region_of(back, volume).mask.into(volume.shape), mask.into(volume.shape))


def test_contours_of_one_patient_are_not_filled_on_another(shared_data: Path) -> None:
    studies = shared_data / "petct-sts"
    volume = volume_in(studies / "STS_022" / "PET", "PT")
    (drawn,) = read_structure_set(dcmread(studies / "STS_001" / "rtstruct" / "PET.dcm")).annotations.findings
    with pytest.raises(ObjectInvalid, match="another Frame of Reference"):
        region_of(drawn, volume)


def test_structure_set_without_file_meta_is_read(shared_data: Path) -> None:
    told = read_structure_set(dcmread(shared_data / "bad-input" / "rtstruct.dcm", force=True))
    assert [one.label for one in told.annotations.findings] == ["patient", "Isocenter 1", "Isocenter 2"]
    assert [{shape.kind for shape in one.shapes} for one in told.annotations.findings] == [
        {ShapeKind.POLYGON},
        {ShapeKind.POINT},
        {ShapeKind.POINT},
    ]

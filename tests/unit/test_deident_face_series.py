"""A series of a head loses its face; one in which it cannot be found is refused in words."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from service.deident.faces.face_policy import FacePolicy
from service.deident.faces.face_series import face_masks, without_face
from service.errors import IdentityNotRemovable, SettingsInvalid
from tests.head_phantom import HeadPhantom, head_phantom

INTERCEPT = -1024


@cache
def head() -> HeadPhantom:
    return head_phantom(5, "CT", (4.0, 2.5, 2.5))


def series(order: slice = slice(None)) -> tuple[list[Dataset], list[np.ndarray]]:
    """The axial slices of a head as a scanner sends them, and their stored values."""
    volume = head().volume
    data_sets, stored = [], []
    for number, values in enumerate(volume.array):
        one = Dataset()
        one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, f"1.2.3.{number + 1}"
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = "1.2.3", "1.2.4", "1.2.5"
        one.Modality, one.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        one.Rows, one.Columns = values.shape
        one.PixelSpacing, one.SliceThickness = [2.5, 2.5], 4.0
        one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        one.ImagePositionPatient = [float(value) for value in volume.to_patient((number, 0, 0))]
        one.RescaleIntercept, one.RescaleSlope, one.RescaleType = INTERCEPT, 1, "HU"
        one.BitsAllocated, one.BitsStored, one.PixelRepresentation = 16, 12, 0
        data_sets.append(one)
        stored.append(np.clip(values - INTERCEPT, 0, 4095).astype(np.uint16))
    return data_sets[order], stored[order]


def masks_of(data_sets: list[Dataset], stored: list[np.ndarray]) -> list[np.ndarray]:
    return face_masks(data_sets, stored.__getitem__)


def test_each_instance_gets_its_own_mask_whatever_the_order():
    forwards = masks_of(*series())
    backwards = masks_of(*series(slice(None, None, -1)))
    assert all(np.array_equal(one, other) for one, other in zip(forwards, backwards[::-1], strict=True))
    assert forwards[20].shape == (1, *head().volume.array.shape[1:])


def test_air_stands_where_the_face_was_and_all_else_stays():
    data_sets, stored = series()
    masks = masks_of(data_sets, stored)
    for one, values, mask in zip(data_sets, stored, masks, strict=True):
        cleaned = without_face(values, mask, one)
        assert np.all(cleaned[mask[0]] == -1000 - INTERCEPT)
        assert np.array_equal(cleaned[~mask[0]], values[~mask[0]])


@pytest.mark.parametrize("slices", [1, 4])
def test_too_few_slices_are_refused(slices):
    data_sets, stored = series(slice(25, 25 + slices))
    with pytest.raises(IdentityNotRemovable, match="faces cannot be removed"):
        masks_of(data_sets, stored)


def test_a_missing_slice_is_refused():
    data_sets, stored = series()
    del data_sets[30], stored[30]
    with pytest.raises(IdentityNotRemovable, match="faces cannot be removed"):
        masks_of(data_sets, stored)


def test_an_image_that_no_volume_holds_is_refused():
    """The copy would leave with its face: volume building takes each position once."""
    data_sets, stored = series()
    copy = Dataset()
    copy.update(data_sets[30])
    copy.SOPInstanceUID = "1.2.3.999"
    with pytest.raises(IdentityNotRemovable, match="twice"):
        masks_of([*data_sets, copy], [*stored, stored[30]])


@pytest.fixture(scope="module")
def policy(repository: Path) -> FacePolicy:
    return FacePolicy.load(repository / "config" / "faces.toml")


@pytest.mark.parametrize(
    ("part", "description", "shows"),
    [
        ("HEAD", "", True),
        ("", "T1 MPRAGE sag", True),
        ("", "", True),
        ("CHEST", "", False),
        ("CHEST", "Whole body PET/CT", True),
        ("KNEE", "T2 tse", False),
        ("HEARTH", "", False),
        ("", "Schädel nativ", True),
        ("", "clear lungs", False),
    ],
)
def test_who_may_show_a_face(policy, part, description, shows):
    header = series()[0][0]
    header.BodyPartExamined, header.SeriesDescription = part, description
    assert policy.may_show_face(header) is shows


def test_screens_and_other_modalities_show_none(policy):
    header = series()[0][0]
    header.Modality = "US"
    assert not policy.may_show_face(header)
    header.Modality = "CT"
    del header.ImagePositionPatient
    assert not policy.may_show_face(header)


@pytest.mark.parametrize("text", ["head = []", "modalities = ['CT']\nhead = ['a']\nother = ['b']\nears = []", "x ="])
def test_a_policy_that_makes_no_sense_is_refused(tmp_path, text):
    path = tmp_path / "faces.toml"
    path.write_text(text)
    with pytest.raises(SettingsInvalid, match=r"faces\.toml"):
        FacePolicy.load(path)

"""The phantoms: what is drawn, what is planted, and that the standard takes them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from service.demo.pet_phantom import generate_pet_phantom
from service.demo.phantom import Phantom, generate_phantom
from service.demo.thorax import plan_thorax
from tests.phantoms import pet, thorax

SEEDS = range(1, 13)


def tokens_in(header: Dataset, tokens: Iterable[str]) -> list[str]:
    """Which tokens stand in the bytes of a header, at any depth."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, header)
    return [token for token in tokens if token.encode() in buffer.getvalue()]


@cache
def small(seed: int, directory: Path | None = None) -> Phantom:
    return generate_phantom(seed, directory, slices=24, rows=96)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_seed_has_three_nodules_one_at_the_pleura(seed: int) -> None:
    nodules = small(seed).nodules
    assert [nodule.touches_pleura for nodule in nodules] == [True, False, False]
    assert all(nodule.long_axis_mm == 2 * nodule.radius_mm for nodule in nodules)


def test_nodules_lie_where_the_truth_says() -> None:
    phantom, volume = thorax(1)
    for nodule in phantom.nodules:
        index = tuple(np.rint(volume.to_index(nodule.centre_mm)).astype(int))
        assert volume.array[index] == pytest.approx(nodule.hounsfield, abs=120)


def test_edges_carry_their_partial_volume() -> None:
    """Summed over its surroundings a nodule weighs what its sphere weighs, to a few hundredths."""
    phantom, volume = thorax(1)
    nodule = next(n for n in phantom.nodules if not n.touches_pleura)
    indices = np.stack(np.meshgrid(*[np.arange(n) for n in volume.shape], indexing="ij"), axis=-1)
    near = np.linalg.norm(volume.to_patient(indices) - nodule.centre_mm, axis=-1) < nodule.radius_mm + 3
    share = (volume.array[near].astype(np.float64) + 860) / (nodule.hounsfield + 860)
    assert share.sum() * volume.voxel_mm3 == pytest.approx(nodule.volume_mm3, rel=0.06)


def test_same_seed_draws_the_same_phantom() -> None:
    first, second = small(5), generate_phantom(5, slices=24, rows=96)
    assert [one.PixelData for one in first.data_sets] == [one.PixelData for one in second.data_sets]
    assert first.planted == second.planted


def test_other_seed_has_other_uids_and_identity() -> None:
    assert not set(small(5).planted) & set(small(6).planted)
    uids = [{one.SOPInstanceUID for one in small(seed).data_sets} for seed in (5, 6)]
    assert not uids[0] & uids[1]


def test_spacing_and_orientation_are_drawn() -> None:
    headers = [small(seed).data_sets[0] for seed in SEEDS]
    assert len({header.PixelSpacing[0] for header in headers}) == len(headers)
    assert len({tuple(header.ImageOrientationPatient) for header in headers}) > 3
    assert len({header.PatientPosition for header in headers}) > 1


def test_slices_go_up_or_down_by_seed() -> None:
    up = {
        float(phantom.data_sets[-1].ImagePositionPatient[2]) > float(phantom.data_sets[0].ImagePositionPatient[2])
        for phantom in map(small, SEEDS)
    }
    assert up == {True, False}


def test_every_planted_token_stands_in_every_header() -> None:
    phantom = small(3)
    for one in (phantom.data_sets[0], phantom.data_sets[-1]):
        assert set(tokens_in(one, phantom.planted)) == set(phantom.planted)


def test_planted_tokens_are_many_and_unlike() -> None:
    planted = small(3).planted
    assert len(planted) == len(set(planted)) > 50
    assert not [(a, b) for a in planted for b in planted if a != b and a in b]


def test_identity_is_planted_in_nested_sequences_and_private_elements() -> None:
    phantom = small(3)
    header = phantom.data_sets[0]
    physician = header.ReferringPhysicianIdentificationSequence[0]
    assert tokens_in(physician.PersonIdentificationCodeSequence[0], phantom.planted)
    private = [element for element in header if element.tag.is_private and element.VR == "SQ"]
    assert tokens_in(private[0].value[0], phantom.planted)


def test_files_are_written_as_they_are_told(tmp_path: Path) -> None:
    phantom = small(2, tmp_path / "study")
    assert [dcmread(path).SOPInstanceUID for path in phantom.files] == [o.SOPInstanceUID for o in phantom.data_sets]


def test_thorax_too_low_for_nodules_is_refused() -> None:
    with pytest.raises(ValueError, match="no free place for a nodule of"):
        plan_thorax(np.random.default_rng(1), 12.0)


def complaints(path: Path) -> list[str]:
    done = subprocess.run(
        [shutil.which("dciodvfy") or "dciodvfy", str(path)], capture_output=True, text=True, check=False
    )
    return [line for line in (done.stdout + done.stderr).splitlines() if "Error" in line or "Abort" in line]


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5, 6])
def test_dciodvfy_finds_no_error_in_the_ct(seed: int, tmp_path: Path) -> None:
    files = small(seed, tmp_path).files
    assert complaints(files[0]) + complaints(files[-1]) == []


@pytest.mark.peer("dicom3tools")
def test_dciodvfy_finds_no_error_in_the_pet(tmp_path: Path) -> None:
    files = generate_pet_phantom(4, tmp_path, slices=16, rows=48).files
    assert complaints(files[0]) + complaints(files[-1]) == []


def test_pet_is_scaled_slice_by_slice() -> None:
    phantom, _ = pet(1)
    assert len({one.RescaleSlope for one in phantom.data_sets}) > 3

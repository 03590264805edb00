"""Volume building and annotators on real images: geometry against what is known of each series, and what is marked."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.core.annotator import AnnotatorResult
from service.core.stored_pixels import decode_pixels
from service.core.volume import SeriesVolumes, Volume
from service.core.volume_building import build_volumes
from tests.phantoms import annotator
from tests.real_files import reading_leniently

# petct-sts carries values that break their VR; pydicom says so while it reads.
pytestmark = [pytest.mark.real_data, pytest.mark.filterwarnings("ignore::UserWarning:pydicom")]

# Dice of all that ``hotspots`` marks with what readers drew as tumour; docs/annotators.md states it.
HOTSPOTS_DICE = {"STS_001": 0.593, "STS_022": 0.491}

CT_SERIES = {
    "ct-phantom-philips/thin-1mm": (81, 512, 512),
    "ct-phantom-philips/std-5mm": (28, 512, 512),
    "ct-gantry-tilt": (54, 512, 512),
    "petct-sts/STS_001/CT": (59, 202, 198),
    "petct-sts/STS_022/CT": (54, 232, 219),
    "digital-phantom-ibsi2/orientation": (64, 48, 32),
    "digital-phantom-ibsi2/sphere": (64, 64, 64),
}


@pytest.fixture(autouse=True)
def _lenient() -> Iterator[None]:
    with reading_leniently():
        yield


@cache
def data_sets_of(folder: Path) -> tuple[Dataset, ...]:
    return tuple(dcmread(path) for path in sorted(folder.iterdir()) if path.suffix in (".dcm", ""))


def built(folder: Path) -> SeriesVolumes:
    data_sets = data_sets_of(folder)
    return build_volumes(data_sets, lambda index: decode_pixels(data_sets[index]))


@cache
def volume_of(folder: Path) -> Volume:
    volumes = built(folder)
    assert volumes.refused == ()
    (volume,) = volumes.volumes
    return volume


@cache
def marked(name: str, folder: Path) -> AnnotatorResult:
    return annotator(name).annotate(volume_of(folder))


@pytest.mark.parametrize("folder", CT_SERIES)
def test_ct_series_is_one_volume(shared_data: Path, folder: str) -> None:
    volume = volume_of(shared_data / folder)
    assert volume.shape == CT_SERIES[folder]
    assert volume.unit == "[hnsf'U]"
    for index, source in enumerate(volume.sources):
        np.testing.assert_allclose(volume.to_patient([index, 0, 0]), source.ImagePositionPatient, atol=0.01)


def test_tilted_gantry_keeps_its_shear_and_its_volume(shared_data: Path) -> None:
    volume = volume_of(shared_data / "ct-gantry-tilt")
    normal = np.cross(volume.affine[:3, 2], volume.affine[:3, 1])
    along_normal = float(volume.affine[:3, 0] @ normal) / float(np.linalg.norm(normal))
    assert volume.spacing_mm[0] == pytest.approx(2.5, abs=1e-3)
    assert abs(along_normal) == pytest.approx(2.371, abs=1e-3)
    assert volume.voxel_mm3 == pytest.approx(2.371 * 0.482421875**2, rel=1e-3)


def test_irregular_series_is_refused_with_its_spacing(shared_data: Path) -> None:
    assert built(shared_data / "ct-irregular-ge").refused == (
        "18 of 18 slices: slices lie between 1.08 and 7.00 mm apart; a volume needs even spacing",
    )


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("ct-phantom-philips/topogram", "1 of 1 instances: a CT localizer is a projection"),
        ("ct-phantom-philips/exam-summary", "6 of 6 instances: a Secondary Capture is a picture"),
        ("dicomdir/98892001/CT2N", "2 of 2 instances: a CT localizer is a projection"),
        ("dicomdir/77654033/CT2", "a gap of 202.50 mm where slices are 1.25 mm apart"),
        ("dicomdir/98892003/MR700", "7 of 7 slices: each has an orientation or grid of its own"),
    ],
)
def test_series_that_is_no_volume_is_refused_in_words(shared_data: Path, folder: str, words: str) -> None:
    volumes = built(shared_data / folder)
    assert volumes.volumes == ()
    assert words in " ".join(volumes.refused)


def test_intensity_ramp_grows_along_the_axes_that_it_was_drawn_on(shared_data: Path) -> None:
    """The digital phantom's intensity grows in steps along x, y and z; a swapped or flipped axis would show."""
    volume = volume_of(shared_data / "digital-phantom-ibsi2/orientation")
    for axis, place in ((0, 2), (1, 1), (2, 0)):
        others = tuple(a for a in range(3) if a != axis)
        profile = volume.array.mean(axis=others)
        steps = np.diff(profile)
        assert (steps > 0).all() or (steps < 0).all()
        assert volume.affine[place, axis] == pytest.approx(2.0)
        stored = [np.asarray(decode_pixels(source)) for source in volume.sources[:2]]
        np.testing.assert_array_equal(volume.array[:2], stored)


def test_concentric_spheres_are_symmetric_about_their_middle(shared_data: Path) -> None:
    array = volume_of(shared_data / "digital-phantom-ibsi2/sphere").array
    for axis, middle in enumerate((32, 31, 31)):
        reach = np.arange(-31, 32)
        np.testing.assert_array_equal(
            np.take(array, middle + reach, axis, mode="clip"), np.take(array, middle - reach, axis, mode="clip")
        )


def test_enhanced_time_points_become_a_volume_each(shared_data: Path) -> None:
    volumes = built(shared_data / "mr-enhanced-xa30/07_func-bold_task-fa_run-1").volumes
    assert [volume.shape for volume in volumes] == [(33, 64, 64)] * 3
    assert [len({id(source) for source in volume.sources}) for volume in volumes] == [1, 1, 1]


def test_legacy_converted_ct_equals_the_slices_that_it_was_made_of(shared_data: Path) -> None:
    folder = shared_data / "seg-sr-dcmqi/small-24x38x3"
    instances = [one for one in data_sets_of(folder) if one.Modality == "CT"]
    single = [one for one in instances if "NumberOfFrames" not in one]
    multi = [one for one in instances if "NumberOfFrames" in one]
    first, second = (
        build_volumes(group, lambda index, group=group: decode_pixels(group[index])).volumes[0]
        for group in (single, multi)
    )
    np.testing.assert_array_equal(first.array, second.array)
    np.testing.assert_allclose(first.affine, second.affine, atol=1e-3)


@pytest.mark.parametrize("folder", [f for f in CT_SERIES if not f.startswith("digital")])
def test_heads_and_legs_have_no_lungs(shared_data: Path, folder: str) -> None:
    for name in ("lungs", "nodules"):
        assert marked(name, shared_data / folder).summary == "No lung found"


@pytest.mark.parametrize(
    ("folder", "least_ml", "most_ml"),
    [
        ("ct-phantom-philips/thin-1mm", 180, 250),
        ("ct-phantom-philips/std-5mm", 280, 350),
        ("ct-gantry-tilt", 280, 360),
        ("petct-sts/STS_001/CT", 250, 340),
        ("petct-sts/STS_022/CT", 110, 160),
    ],
)
def test_largest_bone_is_skull_or_femur(shared_data: Path, folder: str, least_ml: float, most_ml: float) -> None:
    findings = marked("bones", shared_data / folder).findings
    assert least_ml < findings[0].measurements[0].value < most_ml
    assert findings[0].measurements[1].value > 400


@pytest.mark.parametrize("folder", ["ct-phantom-philips/thin-1mm", "ct-gantry-tilt"])
def test_head_holder_is_no_bone(shared_data: Path, folder: str) -> None:
    assert len(marked("bones", shared_data / folder).findings) == 1


def published_mask(folder: Path, volume: Volume) -> np.ndarray:
    """What readers drew, as the data set publishes it on the PET's own grid."""
    published = gzip.decompress((folder / "nifti-mask" / "PET_mask.nii.gz").read_bytes())
    return np.frombuffer(published, np.uint8, offset=352)[: volume.array.size].reshape(volume.shape) > 0


@pytest.mark.parametrize("patient", HOTSPOTS_DICE)
def test_hotspots_agree_with_readers_as_far_as_documented(shared_data: Path, repository: Path, patient: str) -> None:
    folder = shared_data / "petct-sts" / patient
    volume = volume_of(folder / "PET")
    drawn = published_mask(folder, volume)
    found = np.any([f.mask.into(volume.shape) for f in marked("hotspots", folder / "PET").findings if f.mask], axis=0)
    measured = 2 * int((found & drawn).sum()) / int(found.sum() + drawn.sum())
    assert measured == pytest.approx(HOTSPOTS_DICE[patient], abs=0.005)
    assert re.search(rf"{patient} \| {measured:.2f}", (repository / "docs" / "annotators.md").read_text())

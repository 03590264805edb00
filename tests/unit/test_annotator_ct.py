"""Lungs, nodules and bones on phantoms: what is found, where, how large, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from service.core.findings import Finding
from service.core.volume import Volume
from service.demo.phantom import NoduleTruth
from service.errors import VolumeRefused
from tests.phantoms import annotator, marked, thorax

SEEDS = [1, 2]  # the demonstration runs ten, through the whole gateway
CT_ANNOTATORS = ["lungs", "nodules", "bones"]


def value(finding: Finding, name: str) -> float:
    (found,) = [m.value for m in finding.measurements if m.name.meaning == name]
    return found


def middle(volume: Volume, finding: Finding) -> np.ndarray:
    assert finding.mask is not None
    return volume.to_patient(np.argwhere(finding.mask.voxels).mean(axis=0) + finding.mask.origin)


def nearest(volume: Volume, findings: list[Finding], truth: NoduleTruth) -> Finding:
    found = min(findings, key=lambda finding: float(np.linalg.norm(middle(volume, finding) - truth.centre_mm)))
    assert np.linalg.norm(middle(volume, found) - truth.centre_mm) < truth.radius_mm / 2
    return found


def noisy(volume: Volume, hounsfield: float) -> Volume:
    noise = np.random.default_rng(7).normal(0, hounsfield, volume.shape).astype(np.float32)
    return replace(volume, array=volume.array + noise)


def filled(volume: Volume, hounsfield: float) -> Volume:
    return replace(volume, array=np.full(volume.shape, hounsfield, dtype=np.float32))


@pytest.mark.parametrize("seed", SEEDS)
def test_each_lung_is_on_its_own_side_of_the_patient(seed: int) -> None:
    _, volume = thorax(seed)
    right, left = marked("lungs", seed).findings
    assert (right.label, left.label) == ("Right lung", "Left lung")
    assert middle(volume, right)[0] < -40
    assert middle(volume, left)[0] > 40


def test_lungs_are_as_large_as_they_were_drawn() -> None:
    _, volume = thorax(1)
    drawn = float(np.count_nonzero(volume.array < -600)) * volume.voxel_mm3 / 1000
    air = float(np.count_nonzero(volume.array < -600) - np.count_nonzero(_inside(volume))) * volume.voxel_mm3 / 1000
    found = sum(value(finding, "Volume") for finding in marked("lungs", 1).findings)
    assert found == pytest.approx(drawn - air, rel=0.05)


def _inside(volume: Volume) -> np.ndarray:
    """Lung by what the phantom's densities allow: neither the air around the body nor the airways are so dense."""
    smooth = volume.array.copy()
    for axis in (1, 2):
        smooth = (np.roll(smooth, 1, axis) + smooth + np.roll(smooth, -1, axis)) / 3
    for axis in (1, 2):
        smooth = (np.roll(smooth, 1, axis) + smooth + np.roll(smooth, -1, axis)) / 3
    return (smooth > -930) & (smooth < -600)


def test_lung_density_is_that_of_lung() -> None:
    for finding in marked("lungs", 1).findings:
        assert -870 < value(finding, "Attenuation Coefficient") < -790


def test_trachea_is_no_part_of_the_lungs() -> None:
    _, volume = thorax(1)
    whole = np.any([f.mask.into(volume.shape) for f in marked("lungs", 1).findings], axis=0)
    up = np.linspace(0.2, 0.9, 8) * 60
    indices = np.rint(volume.to_index([(0.0, -3.0, z) for z in up])).astype(int)
    assert not any(whole[tuple(index)] for index in indices)


def test_nodule_at_the_pleura_belongs_to_the_lung() -> None:
    phantom, volume = thorax(1)
    whole = np.any([f.mask.into(volume.shape) for f in marked("lungs", 1).findings], axis=0)
    (truth,) = [nodule for nodule in phantom.nodules if nodule.touches_pleura]
    assert whole[tuple(np.rint(volume.to_index(truth.centre_mm)).astype(int))]


def test_noise_hardly_changes_the_lungs() -> None:
    _, volume = thorax(2)
    quiet = [value(f, "Volume") for f in marked("lungs", 2).findings]
    loud = [value(f, "Volume") for f in annotator("lungs").annotate(noisy(volume, 90)).findings]
    assert loud == pytest.approx(quiet, rel=0.02)


def test_lungs_that_touch_are_parted() -> None:
    _, volume = thorax(2)
    k, r, c = np.meshgrid(*[np.arange(n) for n in volume.shape], indexing="ij", sparse=True)
    points = [
        volume.affine[a, 0] * k + volume.affine[a, 1] * r + volume.affine[a, 2] * c + volume.affine[a, 3]
        for a in range(3)
    ]
    bridge = (np.abs(points[0]) < 45) & (np.abs(points[1] + 45) < 2.5) & (np.abs(points[2] - 20) < 12)
    joined = replace(volume, array=np.where(bridge, np.float32(-860), volume.array))
    apart = [value(f, "Volume") for f in marked("lungs", 2).findings]
    assert [value(f, "Volume") for f in annotator("lungs").annotate(joined).findings] == pytest.approx(apart, rel=0.05)


@pytest.mark.parametrize("seed", SEEDS)
def test_three_nodules_are_found_and_nothing_else(seed: int) -> None:
    phantom, volume = thorax(seed)
    findings = list(marked("nodules", seed).findings)
    assert len(findings) == 3
    assert {id(nearest(volume, findings, truth)) for truth in phantom.nodules} == {id(f) for f in findings}


@pytest.mark.parametrize("seed", SEEDS)
def test_long_axis_is_within_one_and_a_half_millimetres(seed: int) -> None:
    phantom, volume = thorax(seed)
    findings = list(marked("nodules", seed).findings)
    for truth in phantom.nodules:
        assert value(nearest(volume, findings, truth), "Long axis") == pytest.approx(truth.long_axis_mm, abs=1.5)


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_nodule_is_in_the_lung_of_its_side(seed: int) -> None:
    phantom, volume = thorax(seed)
    findings = list(marked("nodules", seed).findings)
    for truth in phantom.nodules:
        laterality = nearest(volume, findings, truth).laterality
        assert laterality is not None
        assert laterality.meaning.lower() == truth.side


def test_axes_are_drawn_across_each_other_on_one_slice() -> None:
    _, volume = thorax(3)
    for finding in marked("nodules", 3).findings:
        long, short = (one.shape for one in finding.measurements[:2])
        indices = volume.to_index([*long.points, *short.points])
        assert np.ptp(indices[:, 0]) < 1e-6
        directions = np.subtract(*reversed(long.points)), np.subtract(*reversed(short.points))
        assert abs(float(directions[0] @ directions[1])) < 1e-6 * long.length_mm * short.length_mm
        assert long.length_mm >= short.length_mm
        assert long.length_mm == value(finding, "Long axis")


def test_volume_is_that_of_the_segment() -> None:
    _, volume = thorax(3)
    for finding in marked("nodules", 3).findings:
        assert value(finding, "Volume") == pytest.approx(finding.mask.voxels.sum() * volume.voxel_mm3)


def test_volume_is_near_that_of_the_sphere() -> None:
    phantom, volume = thorax(3)
    findings = list(marked("nodules", 3).findings)
    for truth in phantom.nodules:
        assert value(nearest(volume, findings, truth), "Volume") == pytest.approx(truth.volume_mm3, rel=0.25)


def test_findings_are_told_apart_and_numbered_by_size() -> None:
    findings = marked("nodules", 4).findings
    assert [f.label for f in findings] == ["Nodule 1", "Nodule 2", "Nodule 3"]
    assert [f.tracking_uid for f in findings] == ["2.25.1", "2.25.2", "2.25.3"]
    lengths = [value(f, "Long axis") for f in findings]
    assert lengths == sorted(lengths, reverse=True)
    assert all(0 <= f.confidence <= 1 for f in findings)


def test_nodule_free_in_the_lung_is_surer_than_one_at_the_pleura() -> None:
    phantom, volume = thorax(1)
    findings = list(marked("nodules", 1).findings)
    sure = {truth.touches_pleura: nearest(volume, findings, truth).confidence for truth in phantom.nodules}
    assert sure[False] > sure[True]


def test_same_volume_gives_the_same_findings() -> None:
    again = annotator("nodules").annotate(thorax(5)[1])
    assert [f.measurements for f in marked("nodules", 5).findings] == [f.measurements for f in again.findings]


def test_noise_makes_no_nodules() -> None:
    _, volume = thorax(2)
    assert len(annotator("nodules").annotate(noisy(volume, 60)).findings) == 3


@pytest.mark.parametrize(
    ("name", "words"), [("lungs", "No lung found"), ("nodules", "No lung found"), ("bones", "No bone found")]
)
@pytest.mark.parametrize("hounsfield", [-1000.0, 40.0])
def test_nothing_found_is_a_result(name: str, words: str, hounsfield: float) -> None:
    _, volume = thorax(1)
    result = annotator(name).annotate(filled(volume, hounsfield))
    assert (list(result.findings), result.summary) == ([], words)


def test_bones_are_the_phantoms_bones() -> None:
    _, volume = thorax(1)
    findings = marked("bones", 1).findings
    whole = np.any([f.mask.into(volume.shape) for f in findings], axis=0)
    spine, lung = np.rint(volume.to_index([(0.0, 62.0, 0.0), (-71.0, 3.0, 0.0)])).astype(int)
    assert whole[tuple(spine)]
    assert not whole[tuple(lung)]
    assert findings[0].label == "Bone 1"
    assert all(value(f, "Attenuation Coefficient") > 150 for f in findings)


def test_head_holder_outside_the_body_is_no_bone() -> None:
    _, volume = thorax(1)
    before = sum(value(f, "Volume") for f in marked("bones", 1).findings)
    with_holder = volume.array.copy()
    with_holder[:, 4:7, 10:-10] = 350
    after = annotator("bones").annotate(replace(volume, array=with_holder)).findings
    assert sum(value(f, "Volume") for f in after) == pytest.approx(before, rel=0.01)


def test_bones_of_a_single_slice_are_marked() -> None:
    _, volume = thorax(1)
    single = replace(volume, array=volume.array[:1], sources=volume.sources[:1], frame_numbers=volume.frame_numbers[:1])
    assert annotator("bones").annotate(single).findings


@pytest.mark.parametrize("name", CT_ANNOTATORS)
@pytest.mark.parametrize(("modality", "unit"), [("CT", "1"), ("MR", "[hnsf'U]")])
def test_values_that_are_not_hounsfield_units_are_refused(name: str, modality: str, unit: str) -> None:
    _, volume = thorax(1)
    with pytest.raises(VolumeRefused, match="not Hounsfield units"):
        annotator(name).annotate(replace(volume, modality=modality, unit=unit))


@pytest.mark.parametrize("name", ["lungs", "nodules"])
def test_too_few_slices_are_refused(name: str) -> None:
    _, volume = thorax(1)
    with pytest.raises(VolumeRefused, match="3 slices are too few: at least 8 are needed"):
        annotator(name).annotate(replace(volume, array=volume.array[:3]))


@pytest.mark.parametrize("name", ["lungs", "nodules"])
def test_sagittal_slices_are_refused(name: str) -> None:
    _, volume = thorax(1)
    affine = volume.affine.copy()
    affine[:3, :3] = affine[:3, [2, 0, 1]]
    with pytest.raises(VolumeRefused, match="not axial: they lean by"):
        annotator(name).annotate(replace(volume, affine=affine))

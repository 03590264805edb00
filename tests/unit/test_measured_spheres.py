"""Spheres of known size, measured, written, and read back from the files: true to one voxel."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace

import highdicom as hd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.annotators.axes import measure_axes
from service.annotators.measured import LONG_AXIS, SHORT_AXIS, VOLUME, axis, volume_mm3
from service.core.findings import Finding, Mask
from service.core.volume import Volume
from service.objects.findings_reader import findings_of
from tests.segmented import file_of
from tests.unit.test_objects_findings_reader import through_a_file
from tests.volumes import ABNORMAL, NODULE, OBLIQUE, ct_sources, volume_of
from tests.written_results import write

OUTSIDE_HU, INSIDE_HU = -860, 40
HALFWAY_HU = (OUTSIDE_HU + INSIDE_HU) / 2
RADII_MM = st.floats(4, 9)
OFFSETS = st.tuples(*[st.floats(-0.5, 0.5)] * 3)
GRIDS = {
    "cubic": {"spacing_mm": (1.0, 1.0), "step_mm": (0.0, 0.0, 1.0), "slices": 24},
    "thick slices": {"spacing_mm": (0.7, 0.7), "step_mm": (0.0, 0.0, 2.5), "slices": 12},
    "pixels higher than wide": {"spacing_mm": (1.2, 0.8), "step_mm": (0.0, 0.0, 1.5), "slices": 18},
    "oblique": {
        "spacing_mm": (1.0, 1.0),
        "orientation": OBLIQUE,
        "step_mm": tuple((1.5 * np.cross(OBLIQUE[:3], OBLIQUE[3:])).tolist()),
        "slices": 18,
    },
}


@dataclass(frozen=True)
class Sphere:
    """A sphere in a volume; densities fall within one voxel at its surface, as a scanner blurs it."""

    volume: Volume
    radius_mm: float
    mask: np.ndarray
    voxel_mm: float

    @classmethod
    def drawn(cls, grid: str, radius_mm: float, offset: tuple[float, float, float]) -> Sphere:
        """Its centre is the middle of the volume, moved by parts of a voxel."""
        empty = volume_of(ct_sources(rows=32, columns=32, **GRIDS[grid]))  # type: ignore[arg-type]
        middle = np.array(empty.shape) / 2 + offset
        indices = np.moveaxis(np.indices(empty.shape), 0, -1).reshape(-1, 3)
        away = np.linalg.norm(empty.to_patient(indices) - empty.to_patient([middle]), axis=1).reshape(empty.shape)
        spacing = np.linalg.norm(empty.affine[:3, :3], axis=0)
        share = np.clip(0.5 - (away - radius_mm) / spacing[1:].min(), 0, 1)
        array = (OUTSIDE_HU + (INSIDE_HU - OUTSIDE_HU) * share).astype(np.float32)
        return cls(replace(empty, array=array), radius_mm, away <= radius_mm, float(spacing.max()))

    @property
    def half_diagonal_mm(self) -> float:
        """A voxel whose centre is inside reaches no farther out; one whose centre is outside, no farther in."""
        return float(np.linalg.norm(np.linalg.norm(self.volume.affine[:3, :3], axis=0)) / 2)

    def finding(self) -> Finding:
        """What an annotator says of it."""
        axes = measure_axes(self.volume, self.volume.array, (0, 0, 0), HALFWAY_HU)
        assert axes is not None
        mask = Mask.cut_from(self.mask)
        measurements = (axis(LONG_AXIS, axes.long), axis(SHORT_AXIS, axes.short), volume_mm3(mask, self.volume))
        return Finding("Sphere", "2.25.7", ABNORMAL, NODULE, mask=mask, measurements=measurements)


def volume_of_ball(radius_mm: float) -> float:
    return 4 / 3 * math.pi * radius_mm**3


@pytest.mark.parametrize("grid", GRIDS)
@settings(max_examples=10, deadline=None)
@given(radius_mm=RADII_MM, offset=OFFSETS)
def test_size_is_read_back_to_one_voxel(grid: str, radius_mm: float, offset: tuple[float, float, float]) -> None:
    sphere = Sphere.drawn(grid, radius_mm, offset)
    written = write(sphere.volume, sphere.finding())
    assert written.segmentation is not None
    (found,) = findings_of(through_a_file(written.report), through_a_file(written.segmentation))
    told = {one.name.value: one.value for one in found.measurements}
    assert told[LONG_AXIS.value] == pytest.approx(2 * radius_mm, abs=sphere.voxel_mm)
    assert told[SHORT_AXIS.value] == pytest.approx(2 * radius_mm, abs=sphere.voxel_mm)
    least, most = (volume_of_ball(radius_mm + sign * sphere.half_diagonal_mm) for sign in (-1, 1))
    assert least <= told[VOLUME.value] <= most

    theirs = hd.seg.segread(io.BytesIO(file_of(written.segmentation))).get_volume(segment_numbers=[1])
    counted = float(np.count_nonzero(theirs.array)) * float(np.prod(theirs.spacing))
    assert told[VOLUME.value] == pytest.approx(counted, rel=1e-6)


def extents_mm(theirs: hd.Volume) -> list[float]:
    """How long what is set is along each axis, from voxel edge to voxel edge."""
    marked = np.argwhere(theirs.array[..., 0])
    return [float(one) for one in (np.ptp(marked, axis=0) + 1) * np.array(theirs.spacing)]


@pytest.mark.parametrize("grid", GRIDS)
def test_mask_is_as_long_as_the_sphere_along_each_axis(grid: str) -> None:
    sphere = Sphere.drawn(grid, 8.0, (0.25, -0.25, 0.1))
    segmentation = write(sphere.volume, sphere.finding()).segmentation
    assert segmentation is not None
    theirs = hd.seg.segread(io.BytesIO(file_of(segmentation))).get_volume(segment_numbers=[1])
    for extent, spacing in zip(extents_mm(theirs), theirs.spacing, strict=True):
        assert extent == pytest.approx(16.0, abs=spacing)

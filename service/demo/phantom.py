"""A thorax phantom: a CT study that nobody was scanned for, with three nodules of known size and identity to remove.

Everything is drawn from one seed: sizes, places and densities of the nodules, vessels, spacing, orientation and slice
order, and the invented patient.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import CTImageStorage

from service.demo.ct_header import PhantomUids, add_ct_attributes, decimal, file_data_set, stored_ct, study_header
from service.demo.planted_identity import PlantedIdentity
from service.demo.thorax import draw_thorax, plan_thorax
from service.demo.voxel_grid import Image, VoxelGrid

# Height of the scan in mm: spacing follows from it and the number of slices.
HEIGHT_MM = (135.0, 180.0)
FIELD_OF_VIEW_MM = (360.0, 400.0)
TILT_DEGREES = 7.0
NOISE_HU = (14.0, 26.0)
# What smoothing by (1, 2, 1) / 4 along rows and columns leaves of the noise's standard deviation.
SMOOTHED_NOISE = 6 / 16


@dataclass(frozen=True, slots=True)
class NoduleTruth:
    """What a nodule of the phantom is: a sphere, so its long axis in any plane through its centre is its diameter.

    ``centre_mm`` is in patient coordinates (LPS); ``side`` is the patient's, "left" or "right". The sphere at the
    pleura reaches a little into the chest wall; its diameter along the wall is whole, its volume is the whole sphere's.
    """

    centre_mm: tuple[float, float, float]
    radius_mm: float
    hounsfield: float
    side: str
    touches_pleura: bool

    @property
    def long_axis_mm(self) -> float:
        """Longest diameter in the axial plane (RECIST 1.1)."""
        return 2 * self.radius_mm

    @property
    def volume_mm3(self) -> float:
        """Volume of the sphere."""
        return 4 / 3 * math.pi * self.radius_mm**3


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A phantom study.

    Parameters
    ----------
    data_sets : the instances with their pixel data, in Instance Number order
    files : where they were written, in the same order; empty where they were not
    planted : texts that must not be found in anything served: name tokens and original UIDs
    """

    seed: int
    data_sets: tuple[FileDataset, ...] = field(repr=False)
    files: tuple[Path, ...]
    nodules: tuple[NoduleTruth, ...]
    planted: tuple[str, ...] = field(repr=False)
    study_uid: str
    series_uid: str


def generate_phantom(seed: int, directory: Path | None = None, *, slices: int = 60, rows: int = 512) -> Phantom:
    """Draw a phantom and, if a directory is given, write it there, one file an instance.

    Parameters
    ----------
    rows : rows and columns; 512 as a scanner has, fewer for speed
    """
    random = np.random.default_rng(seed)
    uids = PhantomUids(f"{seed} {slices} {rows}")
    grid, patient_position = _place_grid(random, slices, rows)
    thorax = plan_thorax(random, _height_mm(grid))
    header = study_header(uids, random)
    add_ct_attributes(header, grid, patient_position)
    identity = PlantedIdentity(random)
    identity.plant(header)
    order = np.arange(slices) if random.random() < 0.5 else np.arange(slices)[::-1]
    image = draw_thorax(thorax, grid)
    noise = float(random.uniform(*NOISE_HU))
    data_sets = tuple(
        _instance(header, uids, grid, int(number), place, _scanned(random, image[number], noise))
        for place, number in enumerate(order, start=1)
    )
    return Phantom(
        seed=seed,
        data_sets=data_sets,
        files=tuple(_write(data_sets, directory)) if directory is not None else (),
        nodules=tuple(
            NoduleTruth(n.centre, n.radius_mm, n.hounsfield, "left" if n.centre[0] > 0 else "right", n.touches_pleura)
            for n in thorax.nodules
        ),
        planted=(*identity.tokens, uids.uid("study"), uids.uid("series"), uids.uid("frame of reference")),
        study_uid=uids.uid("study"),
        series_uid=uids.uid("series"),
    )


def _place_grid(random: np.random.Generator, slices: int, rows: int) -> tuple[VoxelGrid, str]:
    """A grid with spacing, patient position and tilt drawn, and the patient position's name."""
    pixel = float(random.uniform(*FIELD_OF_VIEW_MM)) / rows
    between = float(random.uniform(*HEIGHT_MM)) / slices
    position, columns_sign, rows_sign = [("HFS", 1, 1), ("FFS", -1, 1), ("HFP", -1, -1)][int(random.integers(3))]
    along_columns = np.array([columns_sign, 0.0, 0.0])
    along_rows = np.array([0.0, rows_sign, 0.0])
    normal = np.cross(along_columns, along_rows)
    step = normal * between
    tilted = _tilt(np.deg2rad(random.uniform(-TILT_DEGREES, TILT_DEGREES)))
    kind = int(random.integers(4))
    if kind == 1:  # oblique: slices follow each other along their normal
        along_columns, along_rows, step = tilted @ along_columns, tilted @ along_rows, tilted @ step
    elif kind == 2:  # a tilted gantry: slices follow each other along the table
        along_columns, along_rows = tilted @ along_columns, tilted @ along_rows
    return VoxelGrid.centred((slices, rows, rows), step, along_rows * pixel, along_columns * pixel), position


def _tilt(angle: float) -> npt.NDArray[np.float64]:
    """Rotation about the patient's x axis."""
    cosine, sine = float(np.cos(angle)), float(np.sin(angle))
    return np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])


def _height_mm(grid: VoxelGrid) -> float:
    """Height that every column through the lungs has in the scan; tilting takes some at both ends."""
    slices, _, _ = grid.shape
    lost = 2 * 85 * abs(float(grid.along_rows[2])) / grid.pixel_mm
    return float(abs(grid.step[2])) * slices - lost


def _scanned(random: np.random.Generator, image: Image, noise: float) -> Image:
    """The slice as a scanner shows it: a little blurred, with noise that neighbours share."""
    white = random.standard_normal(image.shape, dtype=np.float32) * np.float32(noise / SMOOTHED_NOISE)
    return _smooth(image + white)


def _smooth(image: Image) -> Image:
    for axis in (0, 1):
        padded = np.pad(image, [(1, 1) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        before, after = (
            np.take(padded, range(image.shape[axis]), axis),
            np.take(padded, range(2, image.shape[axis] + 2), axis),
        )
        image = (before + 2 * image + after) / np.float32(4)
    return image


def _instance(
    header: Dataset, uids: PhantomUids, grid: VoxelGrid, number: int, place: int, image: Image
) -> FileDataset:
    one = Dataset()
    one.update(header)
    one.SOPInstanceUID = uids.uid(f"instance {place}")
    one.InstanceNumber = place
    position = grid.position(number)
    one.ImagePositionPatient = [decimal(value) for value in position]
    one.SliceLocation = decimal(float(position[2]))
    one.PixelData = stored_ct(image)
    return file_data_set(one, CTImageStorage)


def _write(data_sets: tuple[FileDataset, ...], directory: Path) -> Iterator[Path]:
    directory.mkdir(parents=True, exist_ok=True)
    for one in data_sets:
        path = directory / f"CT{int(one.InstanceNumber):04d}.dcm"
        one.save_as(path, enforce_file_format=True)
        yield path

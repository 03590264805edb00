"""A volume: the slices of one series as one array in patient coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

Affine = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Slices on one grid, ordered along their normal.

    Parameters
    ----------
    array : float32, shape (slices, rows, columns), in ``unit`` (rescale applied slice by slice)
    affine : float64, shape (4, 4): index (slice, row, column, 1) of a voxel's centre → (x, y, z, 1) in mm, LPS.
        Slices may be sheared against rows and columns (gantry tilt), so columns need not be orthogonal.
    sources : the de-identified data set (without pixel data) of each slice, ``sources[k]`` for ``array[k]``;
        for an enhanced multi-frame image the same data set in each place, with ``frame_numbers``
    frame_numbers : the frame of each slice within its source, from 1; all 1 for single-frame images
    unit : UCUM code of the voxel values ("[hnsf'U]" for Hounsfield units, "Bq/ml", "g/ml{SUVbw}", "1")
    """

    array: npt.NDArray[np.float32]
    affine: Affine
    sources: tuple[Dataset, ...]
    frame_numbers: tuple[int, ...]
    modality: str
    unit: str
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of slices, rows and columns."""
        slices, rows, columns = self.array.shape
        return slices, rows, columns

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along slice, row and column index, in mm.

        Along the slices it is the step from one slice's first voxel to the next one's, which for a tilted gantry is
        longer than the distance between the planes.
        """
        steps = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(steps[0]), float(steps[1]), float(steps[2])

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel in cubic millimetres (right for sheared grids as well)."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    def to_patient(self, indices: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Patient coordinates (mm, LPS) of voxel indices (slice, row, column); shape (…, 3) in and out."""
        points = np.asarray(indices, dtype=np.float64)
        moved: npt.NDArray[np.float64] = points @ self.affine[:3, :3].T + self.affine[:3, 3]
        return moved

    def to_index(self, points_mm: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Voxel indices (slice, row, column), not rounded, of patient coordinates (mm, LPS); shape (…, 3)."""
        points = np.asarray(points_mm, dtype=np.float64)
        inverse = np.linalg.inv(self.affine)
        moved: npt.NDArray[np.float64] = points @ inverse[:3, :3].T + inverse[:3, 3]
        return moved


@dataclass(frozen=True, slots=True, eq=False)
class SeriesVolumes:
    """What volume building made of one series: its volumes (more than one when orientations are mixed)."""

    volumes: Sequence[Volume]
    refused: Sequence[str]

"""The grid that a phantom is drawn on: where each voxel's centre lies in the patient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class VoxelGrid:
    """Slices, rows and columns in patient coordinates.

    Parameters
    ----------
    first : centre of voxel (0, 0, 0), mm, LPS
    step : vector from one slice to the next; need not be perpendicular to the slices (gantry tilt)
    along_rows, along_columns : vectors of one growing row index and one growing column index, mm
    """

    shape: tuple[int, int, int]
    first: Vector
    step: Vector
    along_rows: Vector
    along_columns: Vector

    @classmethod
    def centred(cls, shape: tuple[int, int, int], step: Vector, along_rows: Vector, along_columns: Vector) -> VoxelGrid:
        """The grid whose middle is the origin of the patient's coordinates."""
        slices, rows, columns = shape
        first = -(step * (slices - 1) + along_rows * (rows - 1) + along_columns * (columns - 1)) / 2
        return cls(shape, first, step, along_rows, along_columns)

    @property
    def pixel_mm(self) -> float:
        """Distance between neighbouring voxel centres in a slice (rows and columns are equal)."""
        return float(np.linalg.norm(self.along_columns))

    @property
    def directions(self) -> npt.NDArray[np.float64]:
        """Columns: what one step of slice, row and column index is in mm; shape (3, 3)."""
        return np.stack([self.step, self.along_rows, self.along_columns], axis=1)

    def position(self, number: int) -> Vector:
        """Centre of the first voxel of a slice: Image Position (Patient)."""
        moved: Vector = self.first + number * self.step
        return moved

    def slice_coordinates(self, number: int) -> tuple[Image, Image, Image]:
        """x, y and z of every voxel centre of a slice, each of shape (rows, columns)."""
        _, rows, columns = self.shape
        return self._coordinates(slice(number, number + 1), slice(0, rows), slice(0, columns), np.zeros(3))

    def around(self, centre: Vector, reach_mm: float) -> tuple[slice, slice, slice] | None:
        """The box of voxels within ``reach_mm`` of a point, or None where the grid has none."""
        inverse = np.linalg.inv(self.directions)
        middle = inverse @ (centre - self.first)
        reach = reach_mm * np.linalg.norm(inverse, axis=1)
        low = np.clip(np.floor(middle - reach), 0, self.shape).astype(int)
        high = np.clip(np.ceil(middle + reach) + 1, 0, self.shape).astype(int)
        if np.any(low >= high):
            return None
        return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])

    def samples(
        self, box: tuple[slice, slice, slice], per_slice: int, per_pixel: int
    ) -> Iterator[tuple[Image, Image, Image]]:
        """Coordinates of points spread evenly within each voxel of a box, one set of offsets after the other."""
        across = (np.arange(per_slice) + 0.5) / per_slice - 0.5
        within = (np.arange(per_pixel) + 0.5) / per_pixel - 0.5
        for k in across:
            for r in within:
                for c in within:
                    yield self._coordinates(*box, np.array([k, r, c]))

    def _coordinates(self, k: slice, r: slice, c: slice, offset: Vector) -> tuple[Image, Image, Image]:
        slices = np.arange(k.start, k.stop)[:, None, None] + offset[0]
        rows = np.arange(r.start, r.stop)[None, :, None] + offset[1]
        columns = np.arange(c.start, c.stop)[None, None, :] + offset[2]
        x, y, z = (
            (
                self.first[axis]
                + slices * self.step[axis]
                + rows * self.along_rows[axis]
                + columns * self.along_columns[axis]
            ).astype(np.float32)
            for axis in range(3)
        )
        return x, y, z

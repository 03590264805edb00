"""Voxel grids of files against those of volumes: axes, directions, and what keeps one from lying on the other.

A volume's index is (slice, row, column) and its coordinates are LPS (PS3.3 C.7.6.2.1.1). A NIfTI file's index is
(i, j, k) = (column, row, slice), i running fastest, and its coordinates are RAS: x and y point the other way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from service.core.volume import Affine
from service.errors import FormatRefused

Shape = tuple[int, int, int]

_LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
OFF_GRID_VOXELS: Final = 0.1
"""Grids are the same when no voxel centre of one lies further from the other's, in voxels. Files keep positions in 32
bits, and other converters average the distance between slices; half a voxel would be another voxel."""
SHEAR_VOXELS: Final = 0.05
"""A grid is sheared when rectangular axes would put one of its voxel centres further off, in voxels."""


def ras_of(affine: Affine) -> Affine:
    """A volume's affine, (slice, row, column) → mm LPS, as (column, row, slice) → mm RAS; shape (4, 4)."""
    return np.asarray(_LPS_TO_RAS @ affine[:, [2, 1, 0, 3]], dtype=np.float64)


def lps_of(ras: npt.NDArray[Any]) -> Affine:
    """The way back from `ras_of`."""
    return np.asarray((_LPS_TO_RAS @ np.asarray(ras, dtype=np.float64))[:, [2, 1, 0, 3]], dtype=np.float64)


def rectangular(affine: Affine) -> Affine:
    """The affine of the same steps with axes at right angles, the nearest that there are, round the grid's origin."""
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    left, _, right = np.linalg.svd(affine[:3, :3] / steps)
    nearest = affine.copy()
    nearest[:3, :3] = (left @ right) * steps
    return nearest


def is_sheared(affine: Affine, shape: Shape) -> bool:
    """Whether a rotation and three spacings cannot say where the voxels lie, as with a tilted gantry."""
    corners = _corners(shape)
    away = corners @ (rectangular(affine) - affine)[:3, :3].T
    return bool(np.linalg.norm(away, axis=1).max() > SHEAR_VOXELS * _steps(affine).min())


@dataclass(frozen=True, slots=True)
class Placement:
    """How the voxels of one grid lie among those of another.

    Parameters
    ----------
    axes : for each axis of the other (slice, row, column), the axis of the one that runs along it
    backwards : for each axis of the other, whether the one's runs against it
    origin : index in the other of the one's first voxel after axes were swapped and turned
    """

    axes: Shape
    backwards: tuple[bool, bool, bool]
    origin: Shape

    def turned(self, voxels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A view of the one's voxels with the other's axes, in its directions."""
        swapped = voxels.transpose(self.axes)
        return swapped[tuple(slice(None, None, -1) if back else slice(None) for back in self.backwards)]


def placement(affine: Affine, shape: Shape, other: Affine, other_shape: Shape) -> Placement:
    """How a grid lies on another: the same voxels, in whatever order; it may be smaller or reach beyond.

    Both affines go from index (first, second, third axis) to mm in one coordinate system.

    Raises
    ------
    FormatRefused : no voxel of the one lies on one of the other; says by how much they differ
    """
    onto = np.linalg.inv(other) @ affine
    whole = np.rint(onto)
    corners = np.concatenate([_corners(shape), np.ones((8, 1))], axis=1)
    off = float(np.abs(corners @ (onto - whole).T).max())
    linear = whole[:3, :3]
    is_turn = bool(np.all(np.abs(linear).sum(axis=0) == 1) and np.all(np.abs(linear).sum(axis=1) == 1))
    if not is_turn or off > OFF_GRID_VOXELS:
        raise FormatRefused(
            f"its voxels are not those of the series: {difference(affine, shape, other, other_shape)}. "
            "Resample it to the grid of the series, nearest neighbour, without changing that"
        )
    axes = [int(np.flatnonzero(linear[axis])[0]) for axis in range(3)]
    backwards = [bool(linear[axis, axes[axis]] < 0) for axis in range(3)]
    first = [int(whole[axis, 3]) - (shape[axes[axis]] - 1 if backwards[axis] else 0) for axis in range(3)]
    return Placement(
        (axes[0], axes[1], axes[2]), (backwards[0], backwards[1], backwards[2]), (first[0], first[1], first[2])
    )


def difference(affine: Affine, shape: Shape, other: Affine, other_shape: Shape) -> str:
    """In words and numbers how the grid of a file differs from that of a series; "" where it does not."""
    words = []
    if sorted(shape) != sorted(other_shape):
        words.append(f"{_times(shape)} voxels, the series has {_times(other_shape)}")
    if not np.allclose(sorted(_steps(affine)), sorted(_steps(other)), rtol=1e-3):
        words.append(f"voxels of {_millimetres(affine)} mm, the series' are {_millimetres(other)} mm")
    if (degrees := _turn(affine, other)) > 0.05:
        words.append(f"turned by {degrees:.2f}°")
    middle = np.linalg.norm(_middle(affine, shape) - _middle(other, other_shape))
    if middle > 1e-2 * _steps(other).min():
        words.append(f"its middle lies {middle:.2f} mm off")
    return "; ".join(words) or "voxel centres lie between those of the series"


def _turn(affine: Affine, other: Affine) -> float:
    """By how many degrees the axes of one are turned against the nearest axes of the other, at most."""
    one, two = (matrix[:3, :3] / _steps(matrix) for matrix in (affine, other))
    cosines = np.abs(one.T @ two).max(axis=1)
    return math.degrees(math.acos(float(np.clip(cosines.min(), -1, 1))))


def _corners(shape: Shape) -> npt.NDArray[np.float64]:
    """Indices of the eight outermost voxel centres, shape (8, 3)."""
    return np.array(list(product(*((0, size - 1) for size in shape))), dtype=np.float64)


def _middle(affine: Affine, shape: Shape) -> npt.NDArray[np.float64]:
    return np.asarray(affine[:3, :3] @ ((np.array(shape) - 1) / 2) + affine[:3, 3])


def _steps(affine: Affine) -> npt.NDArray[np.float64]:
    return np.asarray(np.linalg.norm(affine[:3, :3], axis=0))


def _times(shape: Shape) -> str:
    return " × ".join(str(size) for size in shape)


def _millimetres(affine: Affine) -> str:
    return " × ".join(f"{step:.3f}" for step in _steps(affine))

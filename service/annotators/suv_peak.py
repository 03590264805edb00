"""SUVpeak: the highest mean over a ball of one millilitre whose middle lies in the region."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from service.core.findings import Mask
from service.core.geometry import Point
from service.core.volume import Volume

BALL_ML = 1.0
# Points a voxel's axis is cut into to weigh voxels that the ball only partly covers.
CUTS = 5


def ball_weights(directions: npt.NDArray[np.float64], millilitres: float = BALL_ML) -> npt.NDArray[np.float64]:
    """How much of each voxel a ball covers whose middle is the centre of the middle voxel.

    Parameters
    ----------
    directions : what a step along slice, row and column index is in mm, as columns; shape (3, 3)

    Returns
    -------
    shape odd along each axis, values 0 to 1
    """
    radius = (3000 * millilitres / (4 * np.pi)) ** (1 / 3)
    reach = np.ceil(radius * np.linalg.norm(np.linalg.inv(directions), axis=1) + 0.5).astype(int)
    axes = [np.arange(-n, n + 1) for n in reach]
    cuts = (np.arange(CUTS) + 0.5) / CUTS - 0.5
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).astype(np.float64)
    weights = np.zeros(grid.shape[:3])
    for k in cuts:
        for r in cuts:
            for c in cuts:
                points = (grid + np.array([k, r, c])) @ directions.T
                weights += (points * points).sum(axis=-1) <= radius * radius
    return weights / CUTS**3


def suv_peak(volume: Volume, suv: npt.NDArray[np.float32], mask: Mask) -> tuple[float, Point]:
    """The peak and the middle of its ball (mm, LPS); where the volume ends, the ball ends with it.

    Parameters
    ----------
    suv : SUVbw of the whole volume
    """
    from scipy import ndimage

    weights = ball_weights(volume.affine[:3, :3])
    margin = [n // 2 for n in weights.shape]
    low = [max(0, o - m) for o, m in zip(mask.origin, margin, strict=True)]
    high = [
        min(size, o + n + m) for size, o, n, m in zip(suv.shape, mask.origin, mask.voxels.shape, margin, strict=True)
    ]
    around = suv[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].astype(np.float64)
    total = ndimage.correlate(around, weights, mode="constant")
    means = total / ndimage.correlate(np.ones_like(around), weights, mode="constant")
    start = [o - a for o, a in zip(mask.origin, low, strict=True)]
    inner = tuple(slice(a, a + n) for a, n in zip(start, mask.voxels.shape, strict=True))
    candidates = np.where(mask.voxels, means[inner], -np.inf)
    place = np.unravel_index(int(np.argmax(candidates)), candidates.shape)
    x, y, z = volume.to_patient([float(p) + o for p, o in zip(place, mask.origin, strict=True)])
    return float(candidates[place]), (float(x), float(y), float(z))

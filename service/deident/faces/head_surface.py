"""Where the head is in a volume, and how its front surface runs, on a coarse grid along the patient's axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.filters import threshold_otsu

from service.core.stored_pixels import HOUNSFIELD_UNIT
from service.core.volume import Volume
from service.errors import VolumeRefused

GRID_MM = 2.0
SKIN_HU = -300.0
CLOSING_MM = 8.0
LEAST_HEAD_MM = 80.0
"""A thing that is smaller than this from front to back or from side to side is no head."""
LARGEST_GRID = 400
NO_SURFACE = np.nan
MONOMIALS = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
RIDGE = 1e-6
LEAST_WEIGHT = 0.02

Mask = npt.NDArray[np.bool_]
Heights = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PatientGrid:
    """A grid along the axes of the patient, whatever the slices' orientation.

    Parameters
    ----------
    origin_mm : centre of cell (0, 0, 0), x, y, z, LPS
    shape : cells along z (to the head), y (to the back), x (to the left)
    """

    origin_mm: npt.NDArray[np.float64]
    shape: tuple[int, int, int]

    @classmethod
    def around(cls, volume: Volume) -> PatientGrid:
        """Make the grid that holds a volume.

        Raises
        ------
        VolumeRefused : it is larger than any patient
        """
        last = np.array(volume.shape) - 1
        corners = [volume.to_patient(np.array(corner) * last) for corner in np.ndindex(2, 2, 2)]
        low, high = np.min(corners, axis=0), np.max(corners, axis=0)
        x, y, z = (int(np.ceil(size / GRID_MM)) + 1 for size in high - low)
        if max(x, y, z) > LARGEST_GRID:
            raise VolumeRefused("the series is larger than a head can be")
        return cls(low, (z, y, x))

    def sample(self, volume: Volume, beyond: float) -> npt.NDArray[np.float32]:
        """Return the volume's values at the grid's cells; ``beyond`` where the volume has none."""
        step = np.zeros((3, 3))
        step[2, 0] = step[1, 1] = step[0, 2] = GRID_MM  # cell (z, y, x) → mm (x, y, z)
        inverse = np.linalg.inv(volume.affine[:3, :3])
        matrix = inverse @ step
        offset = inverse @ (self.origin_mm - volume.affine[:3, 3])
        thin = _smoothing(volume)
        array = ndimage.uniform_filter(volume.array, thin) if max(thin) > 1 else volume.array
        sampled: npt.NDArray[np.float32] = ndimage.affine_transform(
            array, matrix, offset, self.shape, order=1, mode="constant", cval=beyond
        )
        return sampled

    def cells_of(self, points_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return cells (z, y, x), not rounded, of points (x, y, z) in mm; shape (…, 3) in and out."""
        cells: npt.NDArray[np.float64] = ((points_mm - self.origin_mm) / GRID_MM)[..., ::-1]
        return cells


def _smoothing(volume: Volume) -> tuple[int, int, int]:
    """Return by how many voxels to average so that a coarse cell stands for all voxels in it."""
    along = [max(1, int(GRID_MM / spacing)) for spacing in volume.spacing_mm]
    return along[0], along[1], along[2]


def find_head(values: npt.NDArray[np.float32], unit: str) -> Mask:
    """Return the head in sampled values: what is denser than air (CT) or brighter than the background, in one piece.

    Raises
    ------
    VolumeRefused : there is nothing of a head's size
    """
    threshold = SKIN_HU if unit == HOUNSFIELD_UNIT else _background_limit(values)
    cells = round(CLOSING_MM / GRID_MM / 2)
    solid = ndimage.binary_opening(values > threshold)
    labels, count = ndimage.label(solid)
    if count == 0:
        raise VolumeRefused("nothing of a head's size is in the series")
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest = labels == int(sizes.argmax())
    around = np.pad(largest, cells)
    closed = ndimage.binary_closing(around, iterations=cells)
    head = closed[tuple(slice(cells, -cells) for _ in range(3))] if cells else closed
    head = _filled(head)
    _, y, x = np.nonzero(head)
    if min(np.ptp(y), np.ptp(x)) * GRID_MM < LEAST_HEAD_MM:
        raise VolumeRefused("nothing of a head's size is in the series")
    return head


def _filled(head: Mask) -> Mask:
    """Return a head without hollows: airways, sinuses, and the skull, which is dark in MR."""
    for axis in range(3):
        planes = np.moveaxis(head, axis, 0)
        head = np.moveaxis(np.stack([ndimage.binary_fill_holes(plane) for plane in planes]), 0, axis)
    return head


def _background_limit(values: npt.NDArray[np.float32]) -> float:
    """Return the signal above which an MR voxel is tissue; coils fade towards the neck, so well below Otsu's limit."""
    bright = values[values > values.min()]
    if bright.size == 0 or bright.min() == bright.max():
        raise VolumeRefused("the series has no contrast in which a head could be seen")
    limit = float(threshold_otsu(bright))
    return float(values.min()) + (limit - float(values.min())) * 0.4


def front_of(head: Mask) -> Heights:
    """Return for each (z, x) the first cell from the front that is head, as a y index; NaN where there is none."""
    first: Heights = head.argmax(axis=1).astype(np.float64)
    first[~head.any(axis=1)] = NO_SURFACE
    return first


def smoothed(front: Heights, sigma_mm: float) -> Heights:
    """Return a surface without features smaller than ``sigma_mm``; cells without surface count for nothing.

    Round each cell a quadratic is fitted under Gaussian weights, so that a round forehead stays where it is; a mere
    mean would sink into it.
    """
    known = np.isfinite(front)
    sigma = sigma_mm / GRID_MM
    z, x = np.meshgrid(*(np.arange(size, dtype=np.float64) / sigma for size in front.shape), indexing="ij")
    heights = np.where(known, front, 0.0)

    def mean(values: Heights) -> Heights:
        filtered: Heights = ndimage.gaussian_filter(values, sigma, mode="constant")
        return filtered

    powers = {(i, j): mean(known * z**i * x**j) for i in range(5) for j in range(5 - i)}
    sums = {(i, j): mean(heights * z**i * x**j) for i, j in MONOMIALS}
    matrix = np.empty((*front.shape, len(MONOMIALS), len(MONOMIALS)))
    right = np.empty((*front.shape, len(MONOMIALS)))
    for row, (i, j) in enumerate(MONOMIALS):
        right[..., row] = sums[i, j]
        for column, (k, m) in enumerate(MONOMIALS):
            matrix[..., row, column] = powers[i + k, j + m]
    matrix += np.eye(len(MONOMIALS)) * RIDGE
    factors = np.linalg.solve(matrix, right[..., None])[..., 0]
    fitted = sum(factors[..., n] * z**i * x**j for n, (i, j) in enumerate(MONOMIALS))
    return np.where(powers[0, 0] > LEAST_WEIGHT, fitted, NO_SURFACE)

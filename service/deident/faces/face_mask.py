"""Which voxels of a head are its face: the shell in front of a surface that is too smooth to know anybody by.

The front surface of the head, seen along the patient's axes, is smoothed until eyes, nose, lips and chin are gone, and
laid some millimetres deeper; what stands before it goes, and so do thin protrusions (ears). Surface masking as such is
Milchenko and Marcus, Neuroinformatics 2013; 11(1):65-75. A second look compares the surface after with the one before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from service.core.stored_pixels import HOUNSFIELD_UNIT, PADDING_HU, PADDING_OTHERWISE
from service.core.volume import Volume
from service.deident.faces.head_surface import GRID_MM, Heights, Mask, PatientGrid, find_head, front_of, smoothed

SMOOTHING_MM = 30.0
LEAST_DEPTH_MM, LARGEST_DEPTH_MM = 4.0, 10.0
DEPTH_PER_FEATURE = 2.0
"""A smooth forehead has bone and brain close behind it and gives nobody away; eyes, nose and lips do."""
FACE_BAND_MM = 70.0
"""Front surface farther back than this from the foremost point of its slice is the side of the head."""
CAP = 2.2
HEAD_MM = 280.0
FEATURE_MM = 12.0
SIDE_MM, SIDE_BAND_MM, ROUNDS = 25.0, 30.0, 4
STANDS_OUT_MM = 2.0
KEPT_LIKENESS = 0.35
"""How much of the surface's features may be left, as their correlation before and after."""
LEAST_FEATURES_MM = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class FaceMask:
    """The face in one volume.

    Parameters
    ----------
    grid, cells : where it is; shape of ``cells`` (z, y, x)
    likeness : correlation, between 0 and 1, of what is left of the surface's features with what they were
    """

    grid: PatientGrid
    cells: Mask
    likeness: float

    @property
    def hides_face(self) -> bool:
        """Whether the second look finds nothing to know anybody by."""
        return self.likeness <= KEPT_LIKENESS

    def slices(self, volume: Volume) -> Iterator[npt.NDArray[np.bool_]]:
        """Yield the mask of each slice of the volume, shape (rows, columns)."""
        to_cells = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]]) / GRID_MM
        matrix = to_cells @ volume.affine[:3, :3]
        start = to_cells @ (volume.affine[:3, 3] - self.grid.origin_mm)
        cells = self.cells.astype(np.float32)
        _, rows, columns = volume.shape
        for number in range(volume.shape[0]):
            offset = start + matrix[:, 0] * number
            near = ndimage.affine_transform(cells, matrix, offset, (1, rows, columns), order=1, mode="nearest")
            yield near[0] > 0.5


def find_face(volume: Volume) -> FaceMask:
    """Find the face of a head in CT or MR.

    Raises
    ------
    VolumeRefused : nothing of a head's size is in the volume
    """
    grid = PatientGrid.around(volume)
    beyond = PADDING_HU if volume.unit == HOUNSFIELD_UNIT else PADDING_OTHERWISE
    values = grid.sample(volume, beyond)
    head = find_head(values, volume.unit)
    front = front_of(head)
    band = _band(front, FACE_BAND_MM)
    limit = _limit(np.where(band, front, np.nan))
    depth = np.arange(head.shape[1])[None, :, None]
    near_top = np.arange(head.shape[0]) >= _lowest(head)
    cells = (depth < np.where(band, limit, -1.0)[:, None, :]) | _ears(head)
    cells &= near_top[:, None, None]
    return FaceMask(grid, cells, _likeness(front, front_of(head & ~cells), band))


def _lowest(head: Mask) -> int:
    """Return the lowest z index that may still be head; in a whole body the face is near the top."""
    top = int(np.flatnonzero(head.any(axis=(1, 2))).max())
    return max(0, top - int(HEAD_MM / GRID_MM))


def _band(front: Heights, band_mm: float) -> Mask:
    """Return where a surface faces the viewer rather than turns away."""
    foremost = np.full(front.shape[0], np.inf)
    some = np.isfinite(front).any(axis=1)
    foremost[some] = np.nanmin(front[some], axis=1)
    steady = ndimage.minimum_filter1d(foremost, max(1, int(20 / GRID_MM)))
    with np.errstate(invalid="ignore"):
        facing: Mask = np.isfinite(front) & (front < steady[:, None] + band_mm / GRID_MM)
    return facing


def _limit(front: Heights) -> Heights:
    """Return how far back the mask reaches, as a y index: deeper where the surface has features."""
    smooth = smoothed(front, SMOOTHING_MM)
    size = int(20 / GRID_MM)
    features = np.where(np.isfinite(front), front - smooth, 0.0)
    roughness = np.sqrt(np.maximum(ndimage.uniform_filter(features**2, size), 0.0)) * GRID_MM
    depth = np.clip(DEPTH_PER_FEATURE * roughness, LEAST_DEPTH_MM, LARGEST_DEPTH_MM) / GRID_MM
    behind = np.fmax(smooth + depth, front + 0.8 * depth)
    known = np.isfinite(behind)
    # Hollows (eyes) reach farther back than the smooth surface: their neighbours go with them.
    widest = ndimage.maximum_filter(np.where(known, behind, -np.inf), int(16 / GRID_MM))
    level = smoothed(np.where(known, np.minimum(widest, behind + LARGEST_DEPTH_MM / GRID_MM), np.nan), FEATURE_MM)
    limit: Heights = np.fmin(np.fmax(behind, level), np.fmax(smooth, front) + CAP * depth)
    return limit


def _ears(head: Mask) -> Mask:
    """Return what stands out from the sides of the head."""
    right = _beside(head)
    left = _beside(head[:, :, ::-1])[:, :, ::-1]
    return right | left


def _beside(head: Mask) -> Mask:
    """Return what lies outside a smooth side of the head, seen from low x."""
    side = front_of(head.transpose(0, 2, 1))
    side = np.where(_band(side, SIDE_BAND_MM), side, np.nan)
    level = side
    counted = np.isfinite(side)
    for _ in range(ROUNDS):
        level = smoothed(np.where(counted, side, np.nan), SIDE_MM)
        with np.errstate(invalid="ignore"):
            counted = np.isfinite(side) & (side > level - STANDS_OUT_MM / GRID_MM)
    with np.errstate(invalid="ignore"):
        ear = ndimage.binary_dilation(side < level - STANDS_OUT_MM / GRID_MM, iterations=2)
    limit = np.where(ear, level + 1, -1.0)
    return np.arange(head.shape[2])[None, None, :] < limit[:, :, None]


def _features(front: Heights, band: Mask) -> Heights:
    """Return the surface's features in mm: what a smoothing over 12 mm takes away."""
    inside = np.where(band, front, np.nan)
    return (inside - smoothed(inside, FEATURE_MM)) * GRID_MM


def _likeness(before: Heights, after: Heights, band: Mask) -> float:
    inner = ndimage.binary_erosion(band, iterations=max(1, int(6 / GRID_MM)))
    known = inner & np.isfinite(after)
    if not known.any():
        return 0.0
    was, now = _features(before, band)[known], _features(after, band & np.isfinite(after))[known]
    if now.std() < LEAST_FEATURES_MM or was.std() < LEAST_FEATURES_MM:
        return 0.0
    return float(max(0.0, np.corrcoef(was, now)[0, 1]))

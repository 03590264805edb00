"""A line to draw for a region that comes without one: its largest extent on one slice."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist, squareform

from service.core.findings import Line, Mask, Point
from service.core.volume import Volume

_CORNERS = np.array([(-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)])


def _outline(plane: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Corners (row, column) of the outermost pixels of each row that is hit; shape (n, 2)."""
    rows = np.flatnonzero(plane.any(axis=1))
    first = plane[rows].argmax(axis=1)
    last = plane.shape[1] - 1 - plane[rows, ::-1].argmax(axis=1)
    ends = np.concatenate([np.stack([rows, first], axis=1), np.stack([rows, last], axis=1)])
    corners: npt.NDArray[np.float64] = (ends[:, None, :] + _CORNERS[None]).reshape(-1, 2)
    return corners


def _farthest_pair(points: npt.NDArray[np.float64]) -> tuple[float, int, int]:
    """Largest distance between two of the points, and which two."""
    distances = squareform(pdist(points))
    first, second = np.unravel_index(int(distances.argmax()), distances.shape)
    return float(distances[first, second]), int(first), int(second)


def _hull(points_mm: npt.NDArray[np.float64], flat: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The points on the convex hull of ``flat``, their coordinates in the plane."""
    if len(points_mm) < 16:
        return points_mm
    try:
        vertices: npt.NDArray[np.intp] = ConvexHull(flat).vertices
    except QhullError:
        return points_mm
    return points_mm[vertices]


def largest_axial_extent(mask: Mask, volume: Volume) -> Line:
    """The longest straight line within one slice between two edges of a mask, in mm (LPS).

    Measured between pixel edges, so that a single voxel has an extent; slices that cannot hold a longer line than the
    best so far are passed over.
    """
    offset = np.asarray(mask.origin, dtype=np.float64)
    spacing = np.asarray(volume.spacing_mm[1:])
    best: tuple[float, Point, Point] = (-1.0, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    for number in np.argsort(-mask.voxels.sum(axis=(1, 2)), kind="stable"):
        plane = mask.voxels[number]
        if not plane.any():
            continue
        corners = _outline(plane)
        if np.linalg.norm((corners.max(axis=0) - corners.min(axis=0)) * spacing) <= best[0]:
            continue
        indices = np.column_stack([np.full(len(corners), float(number)), corners]) + offset
        points = _hull(volume.to_patient(indices), corners)
        length, first, second = _farthest_pair(points)
        if length > best[0]:
            best = (length, _point(points[first]), _point(points[second]))
    return Line(best[1], best[2])


def _point(values: npt.NDArray[np.float64]) -> Point:
    return float(values[0]), float(values[1]), float(values[2])

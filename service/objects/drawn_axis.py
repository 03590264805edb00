"""A line to draw for a region that comes without one: its largest extent on one slice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from service.core.findings import Mask
from service.core.geometry import Shape, line
from service.core.source_frames import SourceFrames
from service.core.volume import Volume

Corners = npt.NDArray[np.float64]


def largest_axial_extent(mask: Mask, volume: Volume) -> Shape:
    """The longest straight line within one slice between two edges of a mask, in mm (LPS)."""
    start, end = volume.to_patient(_largest_ends(mask, volume.spacing_mm[1:])).tolist()
    return line(start, end)


def largest_extent_on_frame(mask: Mask, frames: SourceFrames, spacing_mm: tuple[float, float] = (1.0, 1.0)) -> Shape:
    """The same on images that lie nowhere, in pixels of the frame that it is on.

    Parameters
    ----------
    spacing_mm : of pixels between rows, then between columns: where they are no squares it decides which is longest
    """
    ends = _largest_ends(mask, spacing_mm)
    (start, end) = [(float(column) + 0.5, float(row) + 0.5) for _, row, column in ends]
    return line(start, end, frames.frames[int(ends[0, 0])].place)


def _largest_ends(mask: Mask, spacing_mm: Sequence[float]) -> Corners:
    """Both ends as (slice, row, column), shape (2, 3).

    Measured between pixel edges, so that a single voxel has an extent; slices that cannot hold a longer line than the
    best so far are passed over.
    """
    spacing = np.asarray(spacing_mm)
    longest, ends = -1.0, np.zeros((2, 3))
    for number in np.argsort(-mask.voxels.sum(axis=(1, 2)), kind="stable"):
        if not mask.voxels[number].any():
            break
        corners = _outermost_corners(mask.voxels[number])
        if np.linalg.norm(np.ptp(corners * spacing, axis=0)) <= longest:
            continue
        length, pair = _farthest_pair(corners * spacing)
        if length > longest:
            longest, ends = length, np.column_stack([np.full(2, float(number)), corners[list(pair)]])
    placed: Corners = ends + np.asarray(mask.origin)
    return placed


def _outermost_corners(plane: npt.NDArray[np.bool_]) -> Corners:
    """The corners (row, column) of the pixels' convex hull; shape (n, 2)."""
    rows = np.flatnonzero(plane.any(axis=1))
    left = plane[rows].argmax(axis=1) - 0.5
    right = plane.shape[1] - plane[rows, ::-1].argmax(axis=1) - 0.5
    ends = [
        sorted([*zip(rows - 0.5, side, strict=True), *zip(rows + 0.5, side, strict=True)]) for side in (left, right)
    ]
    return np.array([*_outer_side(ends[0], -1.0), *_outer_side(ends[1], 1.0)])


def _outer_side(points: list[tuple[float, float]], outwards: float) -> list[tuple[float, float]]:
    """What a band on one side would touch (Andrew's monotone chain), of points sorted by row."""
    chain: list[tuple[float, float]] = []
    for point in points:
        while len(chain) > 1 and outwards * _turn(chain[-2], chain[-1], point) >= 0:
            chain.pop()
        chain.append(point)
    return chain


def _turn(first: tuple[float, float], second: tuple[float, float], third: tuple[float, float]) -> float:
    """Twice the area that three points span; its sign says to which side they turn."""
    ahead, aside = second[0] - first[0], second[1] - first[1]
    return float(ahead * (third[1] - first[1]) - aside * (third[0] - first[0]))


def _farthest_pair(points: Corners) -> tuple[float, tuple[int, int]]:
    """Largest distance between two points of a plane, and which two."""
    distances = np.linalg.norm(points[:, None, :] - points[None, :, :], axis=-1)
    first, second = divmod(int(distances.argmax()), len(points))
    return float(distances[first, second]), (first, second)

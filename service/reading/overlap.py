"""How far two masks of one volume, or two outlines on one image, agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.findings import Mask
from service.core.geometry import Shape, ShapeKind
from service.voxels.distances import distance_to

Spacing = tuple[float, float, float]
_Bools = npt.NDArray[np.bool_]
_Points = npt.NDArray[np.float64]
_STEPS: Final = 400
"""Points that an outline is walked in, whatever its length."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """How far two regions agree.

    Parameters
    ----------
    dice : twice what both share over what both have; 1 is the same
    hausdorff_mm : the farthest that a voxel of one lies from the other (centres)
    surface_95_mm : 95 % of both surfaces lie no farther from each other than this
    volume_difference : of the later over the earlier, as a share of the earlier
    differing_slices : numbers of slices, those with the most differing voxels first
    """

    dice: float
    hausdorff_mm: float
    surface_95_mm: float
    volume_difference: float
    differing_slices: tuple[int, ...]


def overlap_of(before: Mask, after: Mask, spacing_mm: Spacing) -> Overlap:
    """How far two masks in the grid of one volume agree.

    Parameters
    ----------
    spacing_mm : between slices, rows and columns

    Raises
    ------
    ValueError : a mask is empty
    """
    one, other, first_slice = _in_one_box(before, after)
    if not one.any() or not other.any():
        raise ValueError("a mask without a voxel agrees with nothing")
    sizes = int(one.sum()), int(other.sum())
    to_one, to_other = distance_to(one, spacing_mm), distance_to(other, spacing_mm)
    apart = np.concatenate([_surface_distances(one, other, spacing_mm), _surface_distances(other, one, spacing_mm)])
    differing = (one ^ other).sum(axis=(1, 2))
    worst = [int(number) for number in np.argsort(-differing, kind="stable") if differing[number]]
    return Overlap(
        dice=2 * int((one & other).sum()) / sum(sizes),
        hausdorff_mm=float(max(to_other[one].max(), to_one[other].max())),
        surface_95_mm=float(np.percentile(apart, 95)),
        volume_difference=(sizes[1] - sizes[0]) / sizes[0],
        differing_slices=tuple(number + first_slice for number in worst),
    )


def dice_of(before: Mask, after: Mask) -> float:
    """The Dice coefficient of two masks in the grid of one volume; 0 where they do not touch."""
    one, other, _ = _in_one_box(before, after)
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 0.0


def distance_apart(before: Shape, after: Shape, spacing_mm: tuple[float, float] = (1.0, 1.0)) -> float:
    """The farthest that a point of one outline lies from the other (Hausdorff); mm, or pixels without a spacing.

    Parameters
    ----------
    spacing_mm : Pixel Spacing of the image that both are drawn on, between rows, then columns; in the patient unused

    Raises
    ------
    ValueError : they are not drawn in one place
    """
    if before.place != after.place:
        raise ValueError("shapes on different images have no distance")
    if not before.points or not after.points:
        return 0.0
    one, other = _walked(before, spacing_mm), _walked(after, spacing_mm)
    distances = np.linalg.norm(one[:, None, :] - other[None, :, :], axis=-1)
    return float(max(distances.min(axis=1).max(), distances.min(axis=0).max()))


def _in_one_box(before: Mask, after: Mask) -> tuple[_Bools, _Bools, int]:
    """Both masks in the smallest box that holds both, and the number of its first slice."""
    low = np.minimum(before.origin, after.origin)
    high = np.maximum(np.add(before.origin, before.voxels.shape), np.add(after.origin, after.voxels.shape))
    rows, columns = int(high[1] - low[1]), int(high[2] - low[2])
    shape = (int(high[0] - low[0]), rows, columns)
    moved = [Mask(mask.voxels, _origin(np.subtract(mask.origin, low))).into(shape) for mask in (before, after)]
    return moved[0], moved[1], int(low[0])


def _origin(index: npt.NDArray[np.int64]) -> tuple[int, int, int]:
    return int(index[0]), int(index[1]), int(index[2])


def _surface(mask: _Bools) -> _Bools:
    """Voxels of a mask that have a neighbour outside it; those at the edge of the box are taken to have one."""
    padded = np.pad(mask, 1)
    inside = mask.copy()
    for axis in range(3):
        for step in (-1, 1):
            inside &= np.roll(padded, step, axis=axis)[1:-1, 1:-1, 1:-1]
    return mask & ~inside


def _surface_distances(one: _Bools, other: _Bools, spacing_mm: Spacing) -> npt.NDArray[np.float32]:
    distances: npt.NDArray[np.float32] = distance_to(_surface(other), spacing_mm)[_surface(one)]
    return distances


def _walked(shape: Shape, spacing_mm: tuple[float, float]) -> _Points:
    """Points along what is drawn, close to each other."""
    points = np.asarray(shape.points, dtype=np.float64)
    if shape.on_image is not None:
        points = points * (spacing_mm[1], spacing_mm[0])
    if shape.kind is ShapeKind.CIRCLE and points.shape[1] == 2:
        return _round(points[0], *_circle_axes(points))
    if shape.kind is ShapeKind.ELLIPSE:
        return _round((points[0] + points[1]) / 2, (points[1] - points[0]) / 2, (points[3] - points[2]) / 2)
    if shape.kind in (ShapeKind.POLYGON, ShapeKind.FREEHAND, ShapeKind.RECTANGLE):
        points = np.vstack([points, points[:1]])
    elif shape.kind not in (ShapeKind.LINE, ShapeKind.POLYLINE, ShapeKind.ANGLE):
        return points
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    steps = np.union1d(np.linspace(0, along[-1], _STEPS), along)
    return np.stack([np.interp(steps, along, axis) for axis in points.T], axis=-1)


def _circle_axes(points: _Points) -> tuple[_Points, _Points]:
    radius = float(np.linalg.norm(points[1] - points[0]))
    return np.array([radius, 0.0]), np.array([0.0, radius])


def _round(centre: _Points, one: _Points, other: _Points) -> _Points:
    turn = np.linspace(0, 2 * np.pi, _STEPS, endpoint=False)
    return np.asarray(centre + np.outer(np.cos(turn), one) + np.outer(np.sin(turn), other))

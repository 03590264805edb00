"""Long and short axis of a region in the plane of its slices, as RECIST 1.1 asks.

The long axis stands on the slice where it is longest, the short axis at right angles to it on the same slice.

The outline is drawn between voxels, where the image crosses the level halfway between inside and outside, so lengths
are finer than a voxel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.core.geometry import Shape, line
from service.core.volume import Volume

Points = npt.NDArray[np.float64]

# Positions along the long axis at which the width across is looked up; finer than an outline's own steps.
WIDTHS = 200


@dataclass(frozen=True, slots=True)
class Axes:
    """Long and short axis as lines in the patient, mm, LPS; both on one slice."""

    long: Shape
    short: Shape


def measure_axes(
    volume: Volume, image: npt.NDArray[np.float32], origin: tuple[int, int, int], level: float
) -> Axes | None:
    """Axes of what is denser than ``level``.

    Parameters
    ----------
    image : a box of the volume in which everything that does not belong to the region lies below the level
    origin : index (slice, row, column) of the box's first voxel in the volume

    Returns
    -------
    None where no slice has an outline
    """
    best: tuple[float, Points] | None = None
    for number in range(image.shape[0]):
        outline = _outline(image[number], level)
        if outline is None:
            continue
        slices = np.full(len(outline), number + origin[0], dtype=np.float64)
        points = volume.to_patient(np.column_stack([slices, outline + np.array(origin[1:])]))
        length = _farthest(points)[2]
        if best is None or length > best[0]:
            best = length, points
    return None if best is None else _axes(best[1])


def _outline(plane: npt.NDArray[np.float32], level: float) -> Points | None:
    """Points (row, column) of the longest outline of a slice; those on its convex hull are enough for axes."""
    from scipy.spatial import ConvexHull, QhullError
    from skimage.measure import find_contours

    outlines = find_contours(np.pad(plane, 1, constant_values=plane.min()), level)
    if not outlines:
        return None
    points = max(outlines, key=len) - 1
    try:
        hull: Points = points[ConvexHull(points).vertices]
    except QhullError:
        return None
    return hull


def _farthest(points: Points) -> tuple[Points, Points, float]:
    """The two points farthest apart and their distance."""
    apart = np.linalg.norm(points[:, None] - points[None, :], axis=2)
    a, b = np.unravel_index(int(np.argmax(apart)), apart.shape)
    return points[a], points[b], float(apart[a, b])


def _axes(hull: Points) -> Axes:
    """Axes of a convex outline whose points follow each other; shape (n, 3), mm."""
    start, end, length = _farthest(hull)
    along = (end - start) / length
    offsets = hull - start
    lengthwise = offsets @ along
    sideways = offsets - np.outer(lengthwise, along)
    across = sideways[int(np.argmax(np.linalg.norm(sideways, axis=1)))]
    across = across / max(float(np.linalg.norm(across)), 1e-9)
    heights = sideways @ across
    upper, lower = _border(lengthwise, heights, upper=True), _border(lengthwise, heights, upper=False)
    places = np.linspace(0, length, WIDTHS)
    tops = np.interp(places, upper[0], upper[1])
    bottoms = np.interp(places, lower[0], lower[1])
    widest = int(np.argmax(tops - bottoms))
    foot = start + places[widest] * along
    return Axes(line(start, end), line(foot + bottoms[widest] * across, foot + tops[widest] * across))


def _border(lengthwise: Points, heights: Points, *, upper: bool) -> tuple[Points, Points]:
    """One side of a convex outline, from end to end of the long axis."""
    on_side = heights >= -1e-9 if upper else heights <= 1e-9
    order = np.argsort(lengthwise[on_side])
    return lengthwise[on_side][order], heights[on_side][order]

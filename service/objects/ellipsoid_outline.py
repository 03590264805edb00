"""An ellipsoid cut by a slice: the polygon to draw for it."""

from __future__ import annotations

from typing import Final

import numpy as np

from service.core.geometry import Point, Shape
from service.errors import ObjectInvalid
from service.objects.image_plane import ImagePlane

_CORNERS: Final = 72


def ellipsoid_outline_on(plane: ImagePlane, ellipsoid: Shape) -> tuple[Point, ...]:
    """Corners (mm, LPS) of the ellipse in which a plane cuts an ellipsoid, in order round it.

    Raises
    ------
    ObjectInvalid : the plane does not cut it
    """
    ends = np.asarray(ellipsoid.points, dtype=np.float64).reshape(3, 2, 3)
    middle = ends.mean(axis=(0, 1))
    half_axes = (ends[:, 1] - ends[:, 0]).T / 2
    # Where the ellipsoid is the unit ball, the plane is one too, at this distance along this direction.
    direction = half_axes.T @ plane.normal
    length = float(np.linalg.norm(direction))
    height = float(np.dot(np.subtract(plane.position, middle), plane.normal))
    if length == 0 or abs(height) >= length:
        raise ObjectInvalid("an ellipsoid is cut by no slice of its series")
    towards, away = direction / length, height / length
    first = np.cross(towards, np.eye(3)[int(np.argmin(np.abs(towards)))])
    first /= np.linalg.norm(first)
    second = np.cross(towards, first)
    turns = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    ring = away * towards + np.sqrt(1 - away**2) * (np.outer(np.cos(turns), first) + np.outer(np.sin(turns), second))
    return tuple((float(x), float(y), float(z)) for x, y, z in middle + ring @ half_axes.T)

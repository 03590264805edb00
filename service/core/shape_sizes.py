"""How long, how large and how wide drawn shapes are.

What is drawn on an image is measured with its Pixel Spacing (mm between rows, then between columns); without one, in
pixels. What is drawn in the patient is measured in millimetres.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.geometry import CLOSED_KINDS, Shape, ShapeKind

Spacing = tuple[float, float]
_PIXELS: Final = (1.0, 1.0)
_Array = npt.NDArray[np.float64]


def length_of(shape: Shape, spacing_mm: Spacing = _PIXELS) -> float:
    """Length of a line or polyline, circumference of what is closed; mm, or pixels without a spacing.

    Raises
    ------
    ValueError : nothing of such a kind has a length
    """
    points = _scaled(shape, spacing_mm)
    if shape.kind is ShapeKind.CIRCLE:
        return 2 * math.pi * float(np.linalg.norm(points[1] - points[0]))
    if shape.kind is ShapeKind.ELLIPSE:
        return _ellipse_circumference(*_half_axes(points))
    if shape.kind in CLOSED_KINDS:
        points = np.vstack([points, points[:1]])
    elif shape.kind not in (ShapeKind.LINE, ShapeKind.POLYLINE):
        raise ValueError(f"{shape.kind}: has no length")
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def area_of(shape: Shape, spacing_mm: Spacing = _PIXELS) -> float:
    """Area that a closed planar shape encloses; mm², or pixels without a spacing.

    Raises
    ------
    ValueError : nothing of such a kind encloses an area
    """
    if shape.kind not in CLOSED_KINDS:
        raise ValueError(f"{shape.kind}: encloses no area")
    points = _scaled(shape, spacing_mm)
    if shape.kind is ShapeKind.CIRCLE:
        return math.pi * float(np.sum((points[1] - points[0]) ** 2))
    if shape.kind is ShapeKind.ELLIPSE:
        return math.pi * math.prod(_half_axes(points))
    # Half the sum of the cross products round it, also for a polygon that lies obliquely in space.
    around = np.zeros((len(points), 3))
    around[:, : points.shape[1]] = points - points[0]
    crosses = np.cross(around, np.roll(around, -1, axis=0))
    return float(np.linalg.norm(crosses.sum(axis=0)) / 2)


def angle_of(shape: Shape, spacing_mm: Spacing = _PIXELS) -> float:
    """Degrees: between the legs of an angle (0 to 180), between the lines of a Cobb angle (0 to 90).

    Raises
    ------
    ValueError : it is no angle, or a leg has no length
    """
    points = _scaled(shape, spacing_mm)
    if shape.kind is ShapeKind.ANGLE:
        one, other = points[0] - points[1], points[2] - points[1]
    elif shape.kind is ShapeKind.COBB_ANGLE:
        one, other = points[1] - points[0], points[3] - points[2]
    else:
        raise ValueError(f"{shape.kind}: is no angle")
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    if not lengths:
        raise ValueError(f"{shape.kind}: a leg has no length")
    degrees = math.degrees(math.acos(max(-1.0, min(1.0, float(one @ other) / lengths))))
    return min(degrees, 180 - degrees) if shape.kind is ShapeKind.COBB_ANGLE else degrees


def _scaled(shape: Shape, spacing_mm: Spacing) -> _Array:
    points = np.asarray(shape.points, dtype=np.float64)
    return points * (spacing_mm[1], spacing_mm[0]) if shape.on_image is not None else points


def _half_axes(points: _Array) -> tuple[float, float]:
    long_axis, short_axis = points[1] - points[0], points[3] - points[2]
    return float(np.linalg.norm(long_axis)) / 2, float(np.linalg.norm(short_axis)) / 2


def _ellipse_circumference(one: float, other: float) -> float:
    """Ramanujan's second approximation; off by less than 1e-4 for axes of any ratio that is drawn by hand."""
    if one + other == 0:
        return 0.0
    h = ((one - other) / (one + other)) ** 2
    return math.pi * (one + other) * (1 + 3 * h / (10 + math.sqrt(4 - 3 * h)))

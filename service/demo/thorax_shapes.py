"""Shapes of a thorax by signed distance: negative inside, in mm, exact to first order at the surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float32]
Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """An ellipsoid, or with an infinite half axis an elliptic cylinder; mm, LPS."""

    centre: Point
    half_axes: Point

    def distance(self, x: Values, y: Values, z: Values) -> Values:
        """Signed distance of points, mm."""
        along = [
            ((values - np.float32(middle)) / np.float32(half), np.float32(1 / half))
            for values, middle, half in zip((x, y, z), self.centre, self.half_axes, strict=True)
            if np.isfinite(half)
        ]
        level = np.sqrt(sum(u * u for u, _ in along))
        slope = np.sqrt(sum((u * inverse) ** 2 for u, inverse in along))
        distance = (level - 1) * level / np.maximum(slope, np.float32(1e-6))
        return distance.astype(np.float32)

    def at(self, point: npt.NDArray[np.float64]) -> float:
        """Signed distance of one point, mm."""
        x, y, z = (np.full(1, value, dtype=np.float32) for value in point)
        return float(self.distance(x, y, z)[0])


@dataclass(frozen=True, slots=True)
class Tube:
    """A straight tube with round ends; mm, LPS."""

    start: Point
    end: Point
    radius_mm: float

    def distance(self, x: Values, y: Values, z: Values) -> Values:
        """Signed distance of points, mm."""
        axis = np.subtract(self.end, self.start)
        length = max(float(axis @ axis), 1e-9)
        dx, dy, dz = (values - np.float32(s) for values, s in zip((x, y, z), self.start, strict=True))
        t = np.clip((dx * axis[0] + dy * axis[1] + dz * axis[2]) / length, 0, 1).astype(np.float32)
        off = (dx - t * np.float32(axis[0])) ** 2 + (dy - t * np.float32(axis[1])) ** 2
        off += (dz - t * np.float32(axis[2])) ** 2
        distance: Values = np.sqrt(off) - np.float32(self.radius_mm)
        return distance

    def at(self, point: npt.NDArray[np.float64]) -> float:
        """Signed distance of one point, mm."""
        x, y, z = (np.full(1, value, dtype=np.float32) for value in point)
        return float(self.distance(x, y, z)[0])


def coverage(distance: Values, width_mm: float) -> Values:
    """How much of a voxel of the given width lies inside, from 0 to 1, for a surface that passes straight through."""
    covered: Values = np.clip(np.float32(0.5) - distance / np.float32(width_mm), 0, 1)
    return covered

"""Branching vessels of a lung: tubes that fork and thin out until they reach the pleura."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from service.demo.thorax_shapes import Point, Tube

ROOTS = 5
ROOT_RADIUS_MM = (3.2, 4.2)
THINNEST_MM = 0.7
# A daughter's radius in that of its mother: two of 0.79 carry the flow of one (Murray's law).
THINNING = (0.66, 0.82)
LENGTH_IN_RADII = (4.5, 7.0)
SPREAD_DEGREES = (18.0, 42.0)
PLEURA_MARGIN_MM = 4.0
SHORTEST_MM = 8.0
# Other directions that a branch tries before it ends at the pleura.
DETOURS = 4

Vector = npt.NDArray[np.float64]


def grow_vessels(
    random: np.random.Generator, hilum: Point, side: int, lung_depth: Callable[[Vector], float]
) -> list[Tube]:
    """Tubes of one lung.

    Parameters
    ----------
    hilum : where they start, mm, LPS
    side : +1 for the patient's left, -1 for the right
    lung_depth : how far inside lung tissue a point lies, mm; a branch ends before it leaves
    """
    vessels: list[Tube] = []
    open_ends = []
    for root in range(ROOTS):
        upwards = np.deg2rad(-60 + 120 * root / (ROOTS - 1))
        direction = np.array([side * np.cos(upwards), random.uniform(-0.5, 0.5), np.sin(upwards)])
        open_ends.append((np.array(hilum), _unit(direction), float(random.uniform(*ROOT_RADIUS_MM))))
    while open_ends:
        start, direction, radius = open_ends.pop()
        length = max(radius * float(random.uniform(*LENGTH_IN_RADII)), SHORTEST_MM)
        ways = [direction, *(_turn(random, direction) for _ in range(DETOURS))]
        # The roots start in the mediastinum; every other branch stays within the lung.
        free = [way for way in ways if len(vessels) < ROOTS or lung_depth(start + length * way) >= PLEURA_MARGIN_MM]
        if not free:
            continue
        end = start + length * free[0]
        vessels.append(Tube(_point(start), _point(end), radius))
        for _ in range(2):
            thinner = radius * float(random.uniform(*THINNING))
            if thinner >= THINNEST_MM:
                open_ends.insert(0, (end, _turn(random, free[0]), thinner))
    return vessels


def _unit(vector: Vector) -> Vector:
    scaled: Vector = vector / np.linalg.norm(vector)
    return scaled


def _turn(random: np.random.Generator, direction: Vector) -> Vector:
    """A direction that leaves the given one by an angle of ``SPREAD_DEGREES``, to any side."""
    angle = np.deg2rad(random.uniform(*SPREAD_DEGREES))
    sideways = _unit(np.cross(direction, random.normal(size=3)))
    return _unit(np.cos(angle) * direction + np.sin(angle) * sideways)


def _point(vector: Vector) -> Point:
    return float(vector[0]), float(vector[1]), float(vector[2])

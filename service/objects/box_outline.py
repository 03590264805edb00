"""A box cut by a slice: the polygon to draw for it."""

from __future__ import annotations

from itertools import product

import numpy as np

from service.core.geometry import Point, Shape
from service.errors import ObjectInvalid
from service.objects.image_plane import ImagePlane


def _edges(box: Shape) -> list[tuple[Point, Point]]:
    """The twelve edges of a box along the axes of the patient."""
    corners = list(product(*zip(*box.points, strict=True)))
    differ_once = [
        (one, other)
        for number, one in enumerate(corners)
        for other in corners[number + 1 :]
        if sum(a != b for a, b in zip(one, other, strict=True)) == 1
    ]
    return [((a[0], a[1], a[2]), (b[0], b[1], b[2])) for a, b in differ_once]


def outline_on(plane: ImagePlane, box: Shape) -> tuple[Point, ...]:
    """Corners of the cut of a box by a plane, in order round it; the last is not the first.

    Raises
    ------
    ObjectInvalid : the plane does not cut the box
    """
    origin, normal = np.asarray(plane.position), plane.normal
    corners: list[Point] = []
    for one, other in _edges(box):
        before = float(np.dot(np.subtract(one, origin), normal))
        after = float(np.dot(np.subtract(other, origin), normal))
        if before == after or before * after > 0:
            continue
        part = before / (before - after)
        x, y, z = np.add(one, np.multiply(part, np.subtract(other, one)))
        corner = (float(x), float(y), float(z))
        if not any(np.allclose(corner, known, atol=1e-6) for known in corners):
            corners.append(corner)
    if len(corners) < 3:
        raise ObjectInvalid("a box is cut by no slice of its series")
    around = plane.to_pixels(corners)
    middle = around.mean(axis=0)
    angles = np.arctan2(around[:, 1] - middle[1], around[:, 0] - middle[0])
    return tuple(corners[number] for number in np.argsort(angles))

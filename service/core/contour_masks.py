"""Contours in the patient as a mask in the grid of a volume, and a mask as contours; exact both ways."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.findings import Mask
from service.core.outlines import Outline, filled, outlines_of
from service.core.slice_stacks import OFF_GRID_MM, OFF_GRID_STEPS
from service.core.volume import Volume
from service.errors import ObjectInvalid

Points = npt.NDArray[np.float64]

_MOST_OF_A_STEP: Final = 0.25
"""However rough positions are written, what is further from a slice than this part of a step is between slices."""

_BEYOND: Final = 0.01
"""Part of a pixel by which a contour leaves the image only in its last digits."""


@dataclass(frozen=True, slots=True, eq=False)
class FilledContours:
    """What contours enclose, and in words what of them did not fit the grid."""

    mask: Mask
    remarks: tuple[str, ...]


def slice_outlines(mask: Mask) -> Iterator[tuple[int, list[Outline]]]:
    """The slices that a mask has voxels on, ascending, each with its outlines in image-relative (column, row)."""
    first, row, column = mask.origin
    for number, region in enumerate(mask.voxels):
        if region.any():
            yield first + number, [outline + np.array([column, row]) for outline in outlines_of(region)]


def fill_contours(contours: Sequence[npt.ArrayLike], volume: Volume) -> FilledContours:
    """The voxels whose centre lies within an odd number of closed contours of its slice (XOR).

    A contour between two slices counts to the nearer one, which is said; so is what was cut off at the edge of the
    images, and slices between the first and the last that have no contour.

    Parameters
    ----------
    contours : points (x, y, z) in mm (LPS), shape (points, 3) each; the last point joins the first

    Raises
    ------
    ObjectInvalid : a contour lies askew to the slices, beyond them or half way between two, contours of several planes
        fall on one slice, or no centre of a voxel is enclosed
    """
    stack = _Stack(volume)
    planes: dict[int, list[tuple[float, Outline]]] = defaultdict(list)
    for contour in contours:
        points = np.asarray(contour, dtype=np.float64).reshape(-1, 3)
        number, off_mm = stack.slice_of(points)
        planes[number].append((off_mm, stack.on_slice(points, number)))
    whole = np.zeros(volume.shape, dtype=bool)
    for number, drawn in planes.items():
        if np.ptp([off_mm for off_mm, _ in drawn]) > stack.tolerance_mm:
            raise ObjectInvalid(
                "contours of several planes fall on one slice: fill them on the images that they were drawn on"
            )
        whole[number] = filled([outline for _, outline in drawn], volume.shape[1:])
    if not whole.any():
        raise ObjectInvalid(
            "the contours enclose no centre of a voxel: they are smaller than one, or beyond the images"
        )
    return FilledContours(Mask.cut_from(whole), tuple(_remarks(planes, stack, volume)))


def _remarks(planes: dict[int, list[tuple[float, Outline]]], stack: _Stack, volume: Volume) -> Iterator[str]:
    off_mm = [abs(off_mm) for drawn in planes.values() for off_mm, _ in drawn]
    moved = [one for one in off_mm if one > stack.tolerance_mm]
    if moved:
        yield f"{len(moved)} contours lie up to {max(moved):.2f} mm off a slice and count to the nearest one"
    rows, columns = volume.shape[1:]
    beyond = sum(
        bool(np.any(outline < -_BEYOND) or np.any(outline > np.array([columns, rows]) + _BEYOND))
        for drawn in planes.values()
        for _, outline in drawn
    )
    if beyond:
        yield f"{beyond} contours reach beyond the images and are cut off there"
    without = max(planes) - min(planes) + 1 - len(planes)
    if without:
        yield f"{without} slices between the first and the last have no contour"


class _Stack:
    """The slices of a volume as planes along their normal."""

    def __init__(self, volume: Volume) -> None:
        normal = np.cross(volume.affine[:3, 2], volume.affine[:3, 1])
        self._normal: Points = normal / np.linalg.norm(normal)
        self._origin = float(volume.affine[:3, 3] @ self._normal)
        self._step = float(volume.affine[:3, 0] @ self._normal)
        self._volume = volume
        distance = abs(self._step)
        self.tolerance_mm = min(max(OFF_GRID_MM, OFF_GRID_STEPS * distance), _MOST_OF_A_STEP * distance)

    def slice_of(self, points: Points) -> tuple[int, float]:
        """The slice nearest to a contour, and how far the contour is above it, mm.

        Raises
        ------
        ObjectInvalid : it has none
        """
        heights = points @ self._normal
        if np.ptp(heights) > self.tolerance_mm:
            raise ObjectInvalid(
                "a contour lies askew to the slices: fill it on the images that it was drawn on, or redraw it on these"
            )
        height = float(heights.mean())
        index = (height - self._origin) / self._step
        number = round(index)
        off = abs(index - number)
        if not 0 <= number < self._volume.shape[0]:
            raise ObjectInvalid("a contour lies beyond the slices: give all images of its series")
        if off * abs(self._step) > self.tolerance_mm and off > 0.5 - 1e-3:
            raise ObjectInvalid(
                "a contour lies half way between two slices: fill it on the images that it was drawn on"
            )
        return number, height - self._origin - number * self._step

    def on_slice(self, points: Points, number: int) -> Outline:
        """Image-relative (column, row) of points moved onto a slice along the normal."""
        away = points @ self._normal - self._origin - number * self._step
        indices = self._volume.to_index(points - np.outer(away, self._normal))
        return indices[:, :0:-1] + 0.5

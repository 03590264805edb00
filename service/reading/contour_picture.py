"""Two versions of a mask drawn on a slice: what was there before and what is there now, in one picture."""

from __future__ import annotations

from io import BytesIO
from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.findings import Mask

BEFORE: Final = (230, 159, 0)
"""Orange; with the blue it is told apart by people of every colour vision (Okabe and Ito)."""
AFTER: Final = (86, 180, 233)
_LEAST_SIDE: Final = 384
_MARGIN: Final = 0.35
"""Of the region's extent, shown round it."""

_Bools = npt.NDArray[np.bool_]


def contour_picture(
    pixels: npt.NDArray[np.float32], number: int, before: Mask | None, after: Mask | None, window: tuple[float, float]
) -> bytes:
    """A PNG of one slice with both outlines, cut to their surroundings and enlarged without smoothing.

    Parameters
    ----------
    pixels : the slice, shape (rows, columns)
    number : of the slice in the volume
    window : lowest and highest value shown, black to white

    Raises
    ------
    ValueError : neither mask has a voxel on the slice
    """
    from PIL import Image

    planes = [_plane(mask, number, pixels.shape) for mask in (before, after)]
    both = planes[0] | planes[1]
    if not both.any():
        raise ValueError("there is nothing to show on this slice")
    rows, columns = _surroundings(both)
    low, high = window
    grey = np.clip((pixels[rows, columns] - low) / max(high - low, 1e-6), 0, 1)
    factor = max(1, -(-_LEAST_SIDE // max(grey.shape)))
    picture = np.repeat((_enlarged(grey, factor) * 255).astype(np.uint8)[..., None], 3, axis=2)
    # The later outline lies inside its pixels, the earlier one outside: neither hides the other where they agree.
    for plane, colour, inside in ((planes[0], BEFORE, False), (planes[1], AFTER, True)):
        picture[_outline(_enlarged(plane[rows, columns], factor), inside=inside)] = colour
    written = BytesIO()
    Image.fromarray(picture).save(written, "PNG")
    return written.getvalue()


def _plane(mask: Mask | None, number: int, shape: tuple[int, ...]) -> _Bools:
    plane = np.zeros(shape, dtype=bool)
    if mask is not None and 0 <= number - mask.origin[0] < mask.voxels.shape[0]:
        _, top, left = mask.origin
        _, height, width = mask.voxels.shape
        plane[top : top + height, left : left + width] = mask.voxels[number - mask.origin[0]]
    return plane


def _surroundings(plane: _Bools) -> tuple[slice, slice]:
    sides = []
    for axis in (1, 0):
        hit = np.flatnonzero(plane.any(axis=axis))
        margin = max(8, int(_MARGIN * (hit[-1] - hit[0] + 1)))
        sides.append(slice(max(0, int(hit[0]) - margin), int(hit[-1]) + 1 + margin))
    return sides[0], sides[1]


def _enlarged(plane: npt.NDArray[np.generic], factor: int) -> npt.NDArray[np.generic]:
    return np.repeat(np.repeat(plane, factor, axis=0), factor, axis=1)


def _outline(plane: npt.NDArray[np.generic], *, inside: bool) -> _Bools:
    """Pixels at the edge of a region, two wide."""
    region = np.asarray(plane, dtype=bool) if inside else ~np.asarray(plane, dtype=bool)
    core = region.copy()
    for _ in range(2):
        padded = np.pad(core, 1, constant_values=True)
        core = core & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(region & ~core)

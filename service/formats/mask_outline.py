"""The outline of a mask along the edges of its pixels: filled again it is the same mask, pixel by pixel.

Coordinates are (column, row) with (0, 0) at the top left corner of the first pixel (PS3.3 C.18.6.1.1).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Corner = tuple[int, int]
_Step = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Outline:
    """One closed line of corners, without repeating the first; ``is_hole`` where the mask lies outside of it."""

    corners: tuple[Corner, ...]
    is_hole: bool


def outlines_of(mask: npt.NDArray[np.bool_]) -> list[Outline]:
    """Every outline of a mask of shape (rows, columns): pixels that share a side are one piece, corners part them."""
    leaving = _edges(mask)
    outlines = []
    for start in sorted(leaving):
        while leaving[start]:
            outlines.append(_follow(start, leaving))
    return outlines


def _edges(mask: npt.NDArray[np.bool_]) -> dict[Corner, list[Corner]]:
    """For each corner where the edges that leave it lead, the mask always to the right (y points down)."""
    framed = np.pad(mask, 1)
    leaving: dict[Corner, list[Corner]] = defaultdict(list)
    inside = framed[1:-1, 1:-1]
    # Along the top to the right, down the right side, along the bottom to the left, up the left side.
    sides = (
        (framed[:-2, 1:-1], (0, 0), (1, 0)),
        (framed[1:-1, 2:], (1, 0), (1, 1)),
        (framed[2:, 1:-1], (1, 1), (0, 1)),
        (framed[1:-1, :-2], (0, 1), (0, 0)),
    )
    for beyond, begin, end in sides:
        rows, columns = np.nonzero(inside & ~beyond)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            leaving[column + begin[0], row + begin[1]].append((column + end[0], row + end[1]))
    return leaving


def _follow(start: Corner, leaving: dict[Corner, list[Corner]]) -> Outline:
    """One outline from a corner round to it again; its edges are taken out of those that are left."""
    corners: list[Corner] = []
    at, step = start, (0, 0)
    while True:
        following = _next(at, step, leaving[at])
        leaving[at].remove(following)
        onward = (following[0] - at[0], following[1] - at[1])
        if onward != step:
            corners.append(at)
        at, step = following, onward
        if at == start:
            break
    if _runs_on(corners, step):
        del corners[0]
    return Outline(tuple(corners), _turned_area(corners) < 0)


def _next(at: Corner, step: _Step, ways: list[Corner]) -> Corner:
    """Where two pixels meet at a corner only, turn right: round the pixel that was come along."""
    if len(ways) == 1 or step == (0, 0):
        return ways[0]
    right = (at[0] - step[1], at[1] + step[0])
    return right if right in ways else ways[0]


def _runs_on(corners: list[Corner], last_step: _Step) -> bool:
    """Whether the outline runs straight through the corner where it began."""
    first, second = corners[0], corners[1]
    away = (np.sign(second[0] - first[0]), np.sign(second[1] - first[1]))
    return away == last_step


def _turned_area(corners: list[Corner]) -> int:
    """Twice the area inside, positive where it was gone round clockwise as seen on the picture."""
    points = np.array(corners, dtype=np.int64)
    following = np.roll(points, -1, axis=0)
    return int((points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1]).sum())

"""Regions of a slice as closed outlines that run between its pixels, and outlines filled again; exact both ways.

Coordinates are image-relative: (column, row), (0, 0) being the top left corner of the first pixel, whose centre is
(0.5, 0.5) (PS3.3 C.18.6.1.1). A pixel is inside where its centre is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Region = npt.NDArray[np.bool_]
Outline = npt.NDArray[np.float64]

_GRAIN: Final = 2.0**20
"""Parts of a pixel that coordinates are rounded to when they are filled.

They come from millimetres, their last digits uncertain: a contour drawn through the centres of pixels would take these
in and leave them out by chance.
"""


def outlines_of(region: Region) -> list[Outline]:
    """The outline of each piece of a region, the topmost first.

    An outline follows the edges of pixels, so it encloses just the area of its piece. Pixels that touch at a corner
    alone are pieces of their own. A hole is joined to what is round it by a channel without width, a keyhole (PS3.3
    C.8.8.6.3): a piece is one closed outline to every reader, whatever it makes of outlines within outlines.

    Parameters
    ----------
    region : bool, shape (rows, columns)

    Returns
    -------
    float64, shape (points, 2) each: (column, row) of the corners in order; the last point joins the first
    """
    padded = np.pad(region, 1).astype(np.int8)
    # The region lies to the right of a path: level runs go right (+1) along its upper edges and left along its lower
    # ones, upright runs go down (+1) along its right edges and up along its left ones.
    level = _runs(padded[1:, 1:-1] - padded[:-1, 1:-1])
    upright = {(row, column, sign): end for column, row, sign, end in _runs((padded[1:-1, :-1] - padded[1:-1, 1:]).T)}
    paths = _Paths()
    starts: list[int] = []
    holes: list[int] = []
    pending = {(row, column, sign): end for row, column, sign, end in level}
    for row, column, sign, _ in level:
        if (row, column, sign) in pending:
            path = paths.add(list(_walk((row, column, sign), pending, upright)))
            # The first run of a path is the leftmost of its topmost: it goes right unless the path is round a hole.
            (starts if sign > 0 else holes).append(path)
    for path in holes:
        paths.join(path, region)
    return [paths.outline(path) for path in starts]


def filled(outlines: Sequence[npt.ArrayLike], shape: tuple[int, int]) -> Region:
    """The pixels whose centre the outlines of one slice enclose, taken together; bool, shape (rows, columns).

    Inside is what an odd number of them encloses (XOR): an outline within another is a hole, and a keyhole is one as
    well. A centre on an outline is inside on its left and upper edges, outside on the others. What lies beyond the
    image is cut off.

    Parameters
    ----------
    outlines : (column, row) of the corners in order, shape (points, 2) each; the last point joins the first
    """
    rows, columns = shape
    closed = [np.asarray(outline, dtype=np.float64).reshape(-1, 2) for outline in outlines]
    if not closed:
        return np.zeros(shape, dtype=bool)
    starts = _in_grains(np.concatenate(closed)) - 0.5
    ends = _in_grains(np.concatenate([np.roll(outline, -1, axis=0) for outline in closed])) - 0.5
    # Each edge crosses the rows of centres from its upper end on, its lower end left out.
    first = np.clip(np.ceil(np.minimum(starts[:, 1], ends[:, 1])), 0, rows).astype(np.int64)
    counts = np.clip(np.ceil(np.maximum(starts[:, 1], ends[:, 1])), 0, rows).astype(np.int64) - first
    edge = np.repeat(np.arange(len(starts)), counts)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    part = (row - starts[edge, 1]) / (ends[edge, 1] - starts[edge, 1])
    at = _in_grains(starts[edge, 0] + part * (ends[edge, 0] - starts[edge, 0]))
    column = np.clip(np.ceil(at), 0, columns).astype(np.int64)
    crossings = np.bincount(row * (columns + 1) + column, minlength=rows * (columns + 1))
    odd: Region = np.cumsum(crossings.reshape(rows, columns + 1)[:, :columns], axis=1) % 2 == 1
    return odd


def _in_grains(values: Outline) -> Outline:
    rounded: Outline = np.rint(values * _GRAIN) / _GRAIN
    return rounded


_Start = tuple[int, int, int]
"""Where a run starts: row, column, and its sign."""


def _runs(signs: npt.NDArray[np.int8]) -> list[tuple[int, int, int, int]]:
    """Runs of one sign along each line, in order: line, start, sign and end; a run of -1 goes from its high end."""
    bordered = np.pad(signs, ((0, 0), (1, 1)))
    lines, edges = np.nonzero(np.diff(bordered, axis=1))
    before, after = edges[:-1], edges[1:]
    sign = bordered[lines, edges + 1][:-1]
    runs = (lines[:-1] == lines[1:]) & (sign != 0)
    start, end = np.where(sign > 0, before, after), np.where(sign > 0, after, before)
    return list(zip(*(each[runs].tolist() for each in (lines[:-1], start, sign, end)), strict=True))


def _walk(start: _Start, level: dict[_Start, int], upright: dict[_Start, int]) -> Iterator[tuple[int, int]]:
    """Corners (row, column) of one path from the start of a level run on; the runs that it takes are gone.

    Where two pixels touch at a corner it turns right, so that they stay apart.
    """
    row, column, sign = start
    while (row, column, sign) in level:
        yield row, column
        column = level.pop((row, column, sign))
        yield row, column
        sign = sign if (row, column, sign) in upright else -sign
        row = upright.pop((row, column, sign))
        sign = -sign if (row, column, -sign) in level else sign


class _Paths:
    """Closed paths of corners, which can be joined into one another."""

    def __init__(self) -> None:
        self._points: list[tuple[int, int]] = []
        self._before: list[int] = []
        self._after: list[int] = []
        self._upper_edges: dict[int, list[int]] = defaultdict(list)
        """By their row, the corners from which an upper edge goes right."""

    def add(self, corners: Sequence[tuple[int, int]]) -> int:
        """Take a path that begins with a level run; the number of its first corner."""
        first, count = len(self._points), len(corners)
        self._points += corners
        self._before += [first + (number - 1) % count for number in range(count)]
        self._after += [first + (number + 1) % count for number in range(count)]
        for number in range(first, first + count, 2):
            if self._points[number + 1][1] > self._points[number][1]:
                self._upper_edges[self._points[number][0]].append(number)
        return first

    def join(self, hole: int, region: Region) -> None:
        """Join the path of a hole to the edge above its top left corner, by a channel there and back."""
        row, column = min(self._points[hole], self._points[self._after[hole]])
        corner = hole if self._points[hole] == (row, column) else self._after[hole]
        solid = region[:row, column - 1] & region[:row, column]
        gaps = np.flatnonzero(~solid)
        end = self._corner_at(int(gaps[-1]) + 1 if len(gaps) else 0, column)
        # … → before → the channel's end → corner → … the hole … → corner again → the channel's end → …
        before, last = self._before[end], self._before[corner]
        there, back = self._copy(end), self._copy(corner)
        for one, other in ((before, there), (there, corner), (last, back), (back, end)):
            self._after[one], self._before[other] = other, one

    def outline(self, first: int) -> Outline:
        """The path from its first corner on."""
        points, at = [self._points[first]], self._after[first]
        while at != first:
            points.append(self._points[at])
            at = self._after[at]
        return np.array(points, dtype=np.float64)[:, ::-1]

    def _copy(self, number: int) -> int:
        self._points.append(self._points[number])
        self._before.append(-1)
        self._after.append(-1)
        return len(self._points) - 1

    def _corner_at(self, row: int, column: int) -> int:
        """The corner at a place on an upper edge; a new one within the edge where there was none."""
        for start in self._upper_edges[row]:
            end = self._after[start]
            if self._points[start][1] <= column <= self._points[end][1]:
                if column in (self._points[start][1], self._points[end][1]):
                    return start if self._points[start][1] == column else end
                new = self._copy(start)
                self._points[new] = (row, column)
                for one, other in ((start, new), (new, end)):
                    self._after[one], self._before[other] = other, one
                self._upper_edges[row].append(new)
                return new
        raise AssertionError("what is above a hole has an edge")

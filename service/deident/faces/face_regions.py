"""A mask as the rectangles that the cleaning of pixels blackens."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from service.deident.pixels.pixel_outcome import Region, RegionOrigin


def regions_of_mask(mask: npt.NDArray[np.bool_]) -> tuple[Region, ...]:
    """Return rectangles that cover just what a mask covers; rows that are alike share theirs.

    Parameters
    ----------
    mask : shape (frames, rows, columns)
    """
    regions: list[Region] = []
    for number, frame in enumerate(mask, 1):
        open_runs: dict[tuple[int, int], int] = {}
        for y, row in enumerate(frame):
            runs = _runs(row)
            ended = [run for run in open_runs if run not in runs]
            regions += [_region(run, open_runs.pop(run), y, number) for run in ended]
            for run in runs:
                open_runs.setdefault(run, y)
        regions += [_region(run, first, len(frame), number) for run, first in open_runs.items()]
    return tuple(regions)


def _runs(row: npt.NDArray[np.bool_]) -> set[tuple[int, int]]:
    """Return first and one after the last column of each stretch of a row that is set."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], row, [False])).astype(np.int8)))
    return set(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _region(run: tuple[int, int], first: int, end: int, frame: int) -> Region:
    return Region(run[0], first, run[1] - run[0], end - first, frame, RegionOrigin.FACE)

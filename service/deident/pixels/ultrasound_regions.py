"""What of an ultrasound picture is image: its Sequence of Ultrasound Regions (PS3.3 C.8.5.5)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from pydicom.dataset import Dataset

from service.deident.pixels.pixel_outcome import Region, RegionOrigin

_CORNERS: Final = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")

Rectangle = tuple[int, int, int, int]
"""First column, first row, and the column and row after the last."""


def outside_regions(header: Dataset, rows: int, columns: int) -> list[Region]:
    """Rectangles that cover everything outside of the ultrasound regions; none where these cannot be believed.

    They are not believed when they do not fit the picture: it was scaled or cut after they were written.
    """
    inside = _regions(header, rows, columns)
    if not inside:
        return []
    return [
        Region(left, top, right - left, bottom - top, None, RegionOrigin.ULTRASOUND)
        for left, top, right, bottom in _complement(inside, rows, columns)
    ]


def _regions(header: Dataset, rows: int, columns: int) -> list[Rectangle]:
    found = []
    try:
        for item in header.get("SequenceOfUltrasoundRegions") or ():
            left, top, last_column, last_row = (int(item[keyword].value) for keyword in _CORNERS)
            # Some devices give the column after the last one.
            if left < 0 or top < 0 or last_column > columns or last_row > rows:
                return []
            if left < last_column and top < last_row:
                found.append((left, top, min(last_column + 1, columns), min(last_row + 1, rows)))
    except Exception:  # noqa: BLE001 - pydicom raises what it likes on items that break the standard
        return []
    return found


def _complement(inside: Sequence[Rectangle], rows: int, columns: int) -> list[Rectangle]:
    """Cut the picture at every edge of a region into bands, and each band into what no region covers."""
    edges = sorted({0, rows, *(each for _, top, _, bottom in inside for each in (top, bottom))})
    outside = []
    for top, bottom in pairwise(edges):
        position = 0
        for left, right in sorted(
            (left, right) for left, first, right, last in inside if first <= top and last >= bottom
        ):
            if left > position:
                outside.append((position, top, left, bottom))
            position = max(position, right)
        if position < columns:
            outside.append((position, top, columns, bottom))
    return outside

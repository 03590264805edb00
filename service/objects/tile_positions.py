"""Where the frames of a tiled image lie in its total pixel matrix and on the slide (PS3.3 C.7.6.17.3, C.8.12.14)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from pydicom.dataset import Dataset

from service.core.source_frames import Triple
from service.errors import ObjectInvalid

PLANE_POSITION_SLIDE: Final = "PlanePositionSlideSequence"

Tile = tuple[float, int, int]
"""Distance of the focal plane from the slide in mm; row and column of the first pixel in the matrix, from 1."""


def tiles_in_order(image: Dataset, frames: int) -> Iterator[Tile]:
    """The tile of each frame of a TILED_FULL image: along rows, down the matrix, up the focal planes, then again.

    What comes again is an optical path, or a segment.

    Raises
    ------
    ObjectInvalid : there are not as many frames as whole rounds of tiles
    """
    starts = [
        (row, column)
        for row in range(1, int(image.TotalPixelMatrixRows) + 1, int(image.Rows))
        for column in range(1, int(image.TotalPixelMatrixColumns) + 1, int(image.Columns))
    ]
    depths = _focal_plane_depths(image)
    once = [(depth, row, column) for depth in depths for row, column in starts]
    if not once or frames % len(once):
        raise ObjectInvalid(f"{frames} frames are no whole number of rounds of {len(once)} tiles (TILED_FULL)")
    for _ in range(frames // len(once)):
        yield from once


def _focal_plane_depths(image: Dataset) -> list[float]:
    origin = image.TotalPixelMatrixOriginSequence[0]
    lowest = float(origin.get("ZOffsetInSlideCoordinateSystem") or 0.0)
    planes = int(image.get("TotalPixelMatrixFocalPlanes") or 1)
    if planes == 1:
        return [lowest]
    measures = image.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    step = float(measures.get("SpacingBetweenSlices") or 0.0)
    if step <= 0:
        raise ObjectInvalid("the slide has several focal planes, but no Spacing Between Slices")
    return [lowest + step * plane for plane in range(planes)]


def sparse_tiles(groups: Sequence[Dataset]) -> Iterator[Tile]:
    """The tile of each frame as its own functional group says."""
    for group in groups:
        place = group[PLANE_POSITION_SLIDE].value[0]
        yield (
            float(place.get("ZOffsetInSlideCoordinateSystem") or 0.0),
            int(place.RowPositionInTotalImagePixelMatrix),
            int(place.ColumnPositionInTotalImagePixelMatrix),
        )


def offset_of_tile(
    image: Dataset, row: int, column: int, orientation: Sequence[float], spacing_mm: tuple[float, float]
) -> Triple:
    """The place of a tile's first pixel on the slide in mm, from its row and column in the matrix, from 1.

    Raises
    ------
    ObjectInvalid : the image does not say where its matrix begins
    """
    origins = image.get("TotalPixelMatrixOriginSequence")
    if not origins:
        raise ObjectInvalid("the slide has no Total Pixel Matrix Origin Sequence")
    origin = origins[0]
    start = np.array(
        [
            float(origin.XOffsetInSlideCoordinateSystem),
            float(origin.YOffsetInSlideCoordinateSystem),
            float(origin.get("ZOffsetInSlideCoordinateSystem") or 0.0),
        ]
    )
    along_row = np.array(orientation[:3]) * spacing_mm[1] * (column - 1)
    down_column = np.array(orientation[3:]) * spacing_mm[0] * (row - 1)
    x, y, z = start + along_row + down_column
    return float(x), float(y), float(z)

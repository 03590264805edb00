"""Masks cut into what they mark of each source frame: a box of rows and columns, so that nothing else is touched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from service.core.findings import Mask
from service.core.source_frames import SourceFrames
from service.errors import ObjectInvalid

FULL_FRACTION: Final = 255
"""Maximum Fractional Value (0062,000E): what a fraction of 1 is stored as."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskPatch:
    """A box of one source frame in which a mask has something.

    Parameters
    ----------
    frame : index in ``SourceFrames.frames``
    row, column : of ``values[0, 0]`` in that frame, from 0
    values : shape (rows, columns): bool, or uint8 with fractions from 0 to 255; at least one is not zero
    """

    frame: int
    row: int
    column: int
    values: npt.NDArray[Any]


class FrameCutter:
    """Cuts masks into patches of source frames.

    Parameters
    ----------
    source : what the masks were drawn on
    """

    def __init__(self, source: SourceFrames) -> None:
        self._source = source
        self._shape = source.shape
        self._tiles: dict[tuple[int, int, int], list[int]] = defaultdict(list)
        self._corners = source.corners()
        if source.matrix is not None:
            for number, (plane, row, column) in enumerate(self._corners):
                self._tiles[plane, row // source.rows, column // source.columns].append(number)

    def cut(self, mask: Mask, label: str, *, fractions: bool = False) -> list[MaskPatch]:
        """The patches of one mask, in the order of the frames; frames without any of it have none.

        Parameters
        ----------
        label : what messages call the mask
        fractions : give fractions where the mask has them, 255 elsewhere inside

        Raises
        ------
        ObjectInvalid : the mask is empty, reaches outside the source, or a fraction is no number from 0 to 1
        """
        self._check_place(mask, label)
        values = _stored_fractions(mask, label) if fractions else mask.voxels
        patches = list(self._tile_patches(mask, values) if self._tiles else _slice_patches(mask, values))
        if not patches:
            raise ObjectInvalid(f"{label}: the mask has no voxel")
        if self._tiles and sum(map(_marked, patches)) < np.count_nonzero(values):
            raise ObjectInvalid(f"{label}: the mask lies partly where the slide has no tile")
        return patches

    def _check_place(self, mask: Mask, label: str) -> None:
        if mask.voxels.ndim != len(self._shape):
            raise ObjectInvalid(f"{label}: the mask has {mask.voxels.ndim} axes instead of slices, rows and columns")
        ends = np.add(mask.origin, mask.voxels.shape)
        if min(mask.origin) < 0 or np.any(ends > self._shape):
            raise ObjectInvalid(f"{label}: the mask lies outside its volume")

    def _tile_patches(self, mask: Mask, values: npt.NDArray[Any]) -> Iterator[MaskPatch]:
        found: list[MaskPatch] = []
        for plane, plane_values in enumerate(values, start=mask.origin[0]):
            for number in self._tiles_under(plane, mask):
                patch = self._on_tile(number, mask, plane_values)
                if patch is not None:
                    found.append(patch)
        yield from sorted(found, key=lambda patch: patch.frame)

    def _tiles_under(self, plane: int, mask: Mask) -> Iterator[int]:
        """Tiles that may touch the mask's box; those that begin a tile's size before it may reach into it."""
        (_, first_row, first_column), (_, height, width) = mask.origin, mask.voxels.shape
        rows, columns = self._source.rows, self._source.columns
        for row in range(first_row // rows - 1, (first_row + height - 1) // rows + 1):
            for column in range(first_column // columns - 1, (first_column + width - 1) // columns + 1):
                yield from self._tiles.get((plane, row, column), ())

    def _on_tile(self, number: int, mask: Mask, values: npt.NDArray[Any]) -> MaskPatch | None:
        _, row, column = self._corners[number]
        _, mask_row, mask_column = mask.origin
        top, left = max(row, mask_row), max(column, mask_column)
        bottom = min(row + self._source.rows, mask_row + values.shape[0])
        right = min(column + self._source.columns, mask_column + values.shape[1])
        if top >= bottom or left >= right:
            return None
        inside = values[top - mask_row : bottom - mask_row, left - mask_column : right - mask_column]
        return MaskPatch(number, top - row, left - column, inside) if inside.any() else None


def _slice_patches(mask: Mask, values: npt.NDArray[Any]) -> Iterator[MaskPatch]:
    first, row, column = mask.origin
    for number in np.flatnonzero(values.any(axis=(1, 2))):
        yield MaskPatch(first + int(number), row, column, values[number])


def _marked(patch: MaskPatch) -> int:
    return int(np.count_nonzero(patch.values))


def _stored_fractions(mask: Mask, label: str) -> npt.NDArray[np.uint8]:
    if mask.fractions is None:
        return mask.voxels.astype(np.uint8) * np.uint8(FULL_FRACTION)
    if mask.fractions.shape != mask.voxels.shape:
        raise ObjectInvalid(f"{label}: its fractions have another shape than its mask")
    # A comparison with what is no number is false.
    if not (mask.fractions.min(initial=0) >= 0 and mask.fractions.max(initial=0) <= 1):
        raise ObjectInvalid(f"{label}: a fraction is not a number from 0 to 1")
    stored = np.empty(mask.fractions.shape, dtype=np.uint8)
    for place, fractions in enumerate(mask.fractions):
        stored[place] = np.rint(fractions * FULL_FRACTION)
    return stored


def any_overlap(masks: Sequence[Mask], *, fractions: bool = False) -> bool:
    """Whether a voxel is in more than one mask (or has a fraction of more than one).

    Only masks whose boxes meet are compared, and only where they do.
    """
    if len(masks) < 2:
        return False
    lows = np.array([mask.origin for mask in masks])
    highs = lows + np.array([mask.voxels.shape for mask in masks])
    axis = int(np.argmax(lows.max(axis=0) - lows.min(axis=0)))
    order = np.argsort(lows[:, axis], kind="stable")
    starts = lows[order, axis]
    for place, first in enumerate(order):
        # Of those that begin after it along the longest axis, the ones that begin before it ends.
        behind = order[place + 1 : np.searchsorted(starts, highs[first, axis])]
        meeting = behind[np.all((lows[behind] < highs[first]) & (highs[behind] > lows[first]), axis=1)]
        if any(_meet(masks[first], masks[second], fractions=fractions) for second in meeting):
            return True
    return False


def _meet(one: Mask, other: Mask, *, fractions: bool) -> bool:
    low = np.maximum(one.origin, other.origin)
    high = np.minimum(np.add(one.origin, one.voxels.shape), np.add(other.origin, other.voxels.shape))
    first, second = (_part(mask, low, high, fractions=fractions) for mask in (one, other))
    return bool(np.any(first & second))


def _part(
    mask: Mask, low: npt.NDArray[np.int64], high: npt.NDArray[np.int64], *, fractions: bool
) -> npt.NDArray[np.bool_]:
    box = tuple(slice(int(a - o), int(b - o)) for a, b, o in zip(low, high, mask.origin, strict=True))
    if fractions and mask.fractions is not None:
        return np.asarray(mask.fractions[box] > 0)
    return mask.voxels[box]

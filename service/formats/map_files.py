"""Numbers for voxels in other formats: what each voxel of a series has, wherever the file has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from service.core.volume import Affine
from service.core.volume_slices import VolumeSlices
from service.errors import FormatRefused
from service.formats.grids import Shape, placement
from service.formats.nifti_file import open_nifti
from service.formats.nrrd_file import read_nrrd

_ROUNDED: Final = "it has numbers that 32 bits do not hold: they are rounded, by {:.3g} at most"


@dataclass(frozen=True, slots=True, eq=False)
class ValueGrid:
    """Numbers on a grid.

    Parameters
    ----------
    affine : index (slice, row, column, 1) → mm, LPS
    values : float32, shape (slices, rows, columns); NaN where there is none
    notes : what a user should know of how it was read, in words
    """

    affine: Affine
    values: npt.NDArray[np.float32] = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> Shape:
        """Number of slices, rows and columns."""
        slices, rows, columns = self.values.shape
        return slices, rows, columns


def read_values(file: Path) -> ValueGrid:
    """The numbers of a NIfTI or NRRD file.

    Raises
    ------
    FormatRefused : it is none of these, has several numbers for a voxel, or infinite ones
    """
    if file.name.lower().endswith(".nrrd"):
        nrrd = read_nrrd(file)
        if len(nrrd.voxels) > 1:
            raise FormatRefused("it has several numbers for each voxel: a map has one, import a file for each")
        values, notes = _single(nrrd.voxels[0])
        return ValueGrid(nrrd.affine, values, notes)
    nifti = open_nifti(file)
    values, notes = _single(nifti.real())
    return ValueGrid(nifti.affine, values, (*nifti.notes, *notes))


def values_on(grid: ValueGrid, volume: VolumeSlices) -> npt.NDArray[np.float32]:
    """The numbers in the grid of a volume, NaN where the file has none; shape (slices, rows, columns).

    Raises
    ------
    FormatRefused : it lies on another grid, or beyond the volume
    """
    lies = placement(grid.affine, grid.shape, volume.affine, volume.shape)
    turned = lies.turned(grid.values)
    ends = tuple(start + size for start, size in zip(lies.origin, turned.shape, strict=True))
    if min(lies.origin) < 0 or any(end > size for end, size in zip(ends, volume.shape, strict=True)):
        raise FormatRefused("it reaches beyond the images: cut it to their size")
    placed = np.full(volume.shape, np.nan, dtype=np.float32)
    placed[tuple(slice(start, end) for start, end in zip(lies.origin, ends, strict=True))] = turned
    return placed


def _single(values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """As 32-bit floats, and in words what that lost."""
    with np.errstate(over="ignore"):
        single = np.asarray(values, dtype=np.float32)
    if wrong := int(np.count_nonzero(np.isinf(single))):
        raise FormatRefused(f"{wrong} of its voxels are infinite, or beyond what 32 bits hold: give them NaN")
    if not np.isfinite(single).any():
        raise FormatRefused("none of its voxels is a number")
    apart = float(np.nanmax(np.abs(single - values))) if values.dtype != np.float32 else 0.0
    return single, (_ROUNDED.format(apart),) if apart > 0 else ()

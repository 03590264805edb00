"""Connected components of a mask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int32]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """One connected piece: its label, its box in the array and how many voxels it has."""

    label: int
    box: Box
    voxels: int


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """The pieces of a mask, the largest first.

    ``labels`` has the shape of the mask; 0 is outside.
    """

    labels: Labels
    pieces: tuple[Component, ...]

    def __iter__(self) -> Iterator[Component]:
        return iter(self.pieces)

    def __len__(self) -> int:
        return len(self.pieces)

    def mask_of(self, piece: Component) -> BoolArray:
        """A piece in its box; shape of the box."""
        inside: BoolArray = self.labels[piece.box] == piece.label
        return inside


def components(
    mask: BoolArray, *, least_voxels: int = 1, in_slices: bool = False, diagonally: bool = False
) -> Components:
    """Label what hangs together.

    Parameters
    ----------
    mask : shape (slices, rows, columns)
    least_voxels : smaller pieces are left out of ``pieces``
    in_slices : pieces end at their slice (four neighbours); otherwise voxels with a common face hang together
    diagonally : those with a common corner as well
    """
    from scipy import ndimage

    structure = ndimage.generate_binary_structure(3, 3 if diagonally else 1)
    if in_slices:
        structure[0] = structure[2] = False
    labels, _ = ndimage.label(mask, structure)
    voxels = np.bincount(labels.ravel())
    boxes = ndimage.find_objects(labels)
    pieces = [
        Component(number, box, int(voxels[number]))
        for number, box in enumerate(boxes, start=1)
        if box is not None and voxels[number] >= least_voxels
    ]
    return Components(labels, tuple(sorted(pieces, key=lambda piece: -piece.voxels)))


def touching_sides(mask: BoolArray) -> BoolArray:
    """What of a mask is connected, within its slice, to the first or last row or column."""
    from scipy import ndimage

    structure = ndimage.generate_binary_structure(3, 1)
    structure[0] = structure[2] = False
    labels, count = ndimage.label(mask, structure)
    sides = np.unique(
        np.concatenate([labels[:, edge].ravel() for edge in (0, -1)] + [labels[:, :, edge].ravel() for edge in (0, -1)])
    )
    outside = np.zeros(count + 1, dtype=bool)
    outside[sides] = True
    outside[0] = False
    touching: BoolArray = outside[labels]
    return touching

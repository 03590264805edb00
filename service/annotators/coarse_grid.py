"""A volume on a coarser grid: means of blocks of voxels, small against an organ and large against noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.core.volume import Volume
from service.voxels.distances import BoolArray, Spacing


@dataclass(frozen=True, slots=True, eq=False)
class CoarseGrid:
    """The means, and how to get back to the full grid.

    Parameters
    ----------
    factors : how many voxels of the volume a block has along slices, rows and columns
    """

    volume: Volume
    image: npt.NDArray[np.float32]
    factors: tuple[int, int, int]
    spacing_mm: Spacing

    @property
    def voxel_ml(self) -> float:
        """Volume of one block."""
        return float(np.prod(self.factors)) * self.volume.voxel_mm3 / 1000

    def x_mm(self) -> npt.NDArray[np.float64]:
        """How far left in the patient each block's middle lies, of the shape of the image."""
        middles = [
            (np.arange(n) + 0.5) * factor - 0.5 for n, factor in zip(self.image.shape, self.factors, strict=True)
        ]
        along = self.volume.affine[0]
        x: npt.NDArray[np.float64] = (
            along[3]
            + middles[0][:, None, None] * along[0]
            + middles[1][None, :, None] * along[1]
            + middles[2][None, None, :] * along[2]
        )
        return x

    def fine(self, mask: BoolArray) -> BoolArray:
        """A mask of this grid on the full one."""
        slices, rows, columns = self.volume.shape
        for axis, factor in enumerate(self.factors):
            if factor > 1:
                mask = np.repeat(mask, factor, axis=axis)
        return mask[:slices, :rows, :columns]


def coarsen(volume: Volume, block_mm: float) -> CoarseGrid:
    """Blocks as near to ``block_mm`` along each axis as whole voxels allow; the last ones repeat the volume's edge."""
    spacing = volume.spacing_mm
    k, r, c = (max(1, round(block_mm / mm)) for mm in spacing)
    image = volume.array
    for axis, factor in enumerate((k, r, c)):
        if factor == 1:
            continue
        short = -image.shape[axis] % factor
        if short:
            image = np.pad(image, [(0, short if a == axis else 0) for a in range(3)], mode="edge")
        shape = list(image.shape)
        shape[axis : axis + 1] = [shape[axis] // factor, factor]
        image = image.reshape(shape).mean(axis=axis + 1, dtype=np.float32)
    return CoarseGrid(volume, image, (k, r, c), (spacing[0] * k, spacing[1] * r, spacing[2] * c))

"""Where the lungs are in a CT: air that the body encloses, without the airways, closed over what lies at its wall.

Works on a coarser grid (means of neighbouring voxels, so noise hardly matters) and sharpens the edge on the full one.
Right and left are told by patient coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from service.annotators.airways import AirwayParameters, find_airways
from service.annotators.coarse_grid import CoarseGrid, coarsen
from service.annotators.components import components, touching_sides
from service.annotators.parameters import Fraction, Positive, Strict
from service.core.volume import Volume
from service.voxels.distances import BoolArray, Spacing, close_mask, depth_in, distance_to, grow

# The coarse grid's voxels: small against a lung, large against noise.
COARSE_MM = 1.6


class FieldParameters(Strict):
    """What makes a lung.

    Parameters
    ----------
    air_hu : less dense than this is air or lung
    median_hu : the median of a lung lies between these; gas in bowel or sinuses is lower, fat and tissue higher
    least_ml : smaller pieces are no lung
    closing_mm : dents and holes that a ball of this radius cannot enter belong to the lung: vessels, nodules
        at the pleura
    smaller_side : two lungs that touch are parted where each gets at least this share
    """

    air_hu: float = -400.0
    median_hu: tuple[float, float] = (-965.0, -500.0)
    least_ml: Positive = 80.0
    closing_mm: Positive = 12.0
    smaller_side: Annotated[Fraction, Field(gt=0, lt=0.5)] = 0.2
    airways: AirwayParameters = AirwayParameters()


@dataclass(frozen=True, slots=True, eq=False)
class LungField:
    """The lungs of a volume, each of the volume's shape; None where there is none on that side of the patient."""

    right: BoolArray | None
    left: BoolArray | None

    def both(self) -> BoolArray | None:
        """Right and left together."""
        if self.right is None or self.left is None:
            return self.left if self.right is None else self.right
        return self.right | self.left


def find_lungs(volume: Volume, parameters: FieldParameters) -> LungField:
    """Find the lungs of a CT in Hounsfield units with axial slices."""
    coarse = coarsen(volume, COARSE_MM)
    air = coarse.image < parameters.air_hu
    inside = air & ~touching_sides(air)
    head_first = bool(volume.affine[2, 0] > 0)
    airways = find_airways(coarse.image, inside, coarse.spacing_mm, head_first, parameters.airways)
    sides = _sides(coarse, inside & ~airways, ~air, parameters)
    found = [_sharpen(coarse, side, airways, parameters) if side.any() else None for side in sides]
    return LungField(right=found[0], left=found[1])


def _sides(
    coarse: CoarseGrid, inside: BoolArray, body: BoolArray, parameters: FieldParameters
) -> tuple[BoolArray, BoolArray]:
    """Right and left lung on the coarse grid, not yet closed; the midline halves the body's tissue."""
    x_mm = coarse.x_mm()
    midline = float(np.median(x_mm[body])) if body.any() else 0.0
    right, left = np.zeros_like(inside), np.zeros_like(inside)
    found = components(inside, least_voxels=max(1, int(parameters.least_ml / coarse.voxel_ml)))
    low, high = parameters.median_hu
    for piece in found:
        own = found.mask_of(piece)
        if not low <= float(np.median(coarse.image[piece.box][own])) <= high:
            continue
        x = x_mm[piece.box]
        on_right = float(np.mean(x[own] < midline))
        if parameters.smaller_side <= on_right <= 1 - parameters.smaller_side:
            own_right, own_left = _part(own, x, midline, coarse.spacing_mm, parameters.smaller_side)
            right[piece.box] |= own_right
            left[piece.box] |= own_left
        else:
            (right if on_right > 0.5 else left)[piece.box] |= own
    return right, left


def _part(
    lungs: BoolArray, x_mm: npt.NDArray[np.float64], midline: float, spacing_mm: Spacing, smaller_side: float
) -> tuple[BoolArray, BoolArray]:
    """Part two lungs that touch: shrink them until they come apart, then give each voxel to the nearer core."""
    depth = depth_in(lungs, spacing_mm)
    for shrink_mm in (2.0, 4.0, 6.0, 9.0):
        cores = components(depth > shrink_mm)
        if len(cores) < 2:
            continue
        sides = [np.zeros_like(lungs), np.zeros_like(lungs)]
        for core in cores:
            own = cores.mask_of(core)
            side = int(float(np.mean(x_mm[core.box][own])) > midline)
            sides[side][core.box] |= own
        shares = [np.count_nonzero(side) for side in sides]
        if min(shares) >= smaller_side * sum(shares):
            nearer_right = distance_to(sides[0], spacing_mm) <= distance_to(sides[1], spacing_mm)
            return lungs & nearer_right, lungs & ~nearer_right
    return lungs & (x_mm < midline), lungs & (x_mm >= midline)


def _sharpen(coarse: CoarseGrid, side: BoolArray, airways: BoolArray, parameters: FieldParameters) -> BoolArray:
    """One lung on the full grid: closed as a whole, with its edge where the voxels themselves cross the threshold."""
    closed = close_mask(side, parameters.closing_mm, coarse.spacing_mm) & ~airways
    step = max(coarse.spacing_mm[1:])
    around = grow(closed, step, coarse.spacing_mm) & ~airways
    core = depth_in(closed, coarse.spacing_mm) > step
    # What the closing added is not air; it keeps the edge that the closing gave it.
    core |= closed & ~grow(side, step / 2, coarse.spacing_mm)
    sharp: BoolArray = coarse.fine(around) & (coarse.volume.array < parameters.air_hu)
    sharp |= coarse.fine(core)
    return sharp

"""Trachea and main bronchi: a dark round spot followed slice by slice from the neck down, so far as it stays small."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from service.annotators.components import components
from service.annotators.parameters import Positive, Strict
from service.voxels.distances import BoolArray, Spacing, grow

# In how much of the scan, from its upper end, a trachea is looked for.
UPPER_PART = 0.6
# How much of its bounding box a round spot fills; π/4 for a circle.
ROUND_FILL = 0.55


class AirwayParameters(Strict):
    """What makes an airway.

    Parameters
    ----------
    lumen_hu : less dense than this is air without lung tissue
    area_mm2 : least and greatest area of the trachea in a slice
    branching_mm2 : a larger spot is no longer a bronchus: the search leaked into the lung and stops there
    least_length_mm : a shorter run of spots is something else
    wall_mm : how much around the lumen belongs to the airway
    """

    lumen_hu: float = -920.0
    area_mm2: tuple[Positive, Positive] = (50.0, 700.0)
    branching_mm2: Positive = 900.0
    least_length_mm: Positive = 15.0
    wall_mm: float = 2.5


def find_airways(
    image: npt.NDArray[np.float32],
    inside: BoolArray,
    spacing_mm: Spacing,
    head_first: bool,
    parameters: AirwayParameters,
) -> BoolArray:
    """Airways with their wall, on the grid of the image; nothing where none is recognised.

    Parameters
    ----------
    inside : air that the body encloses
    head_first : whether slices go up towards the head with their index
    """
    order = np.arange(image.shape[0])[:: -1 if head_first else 1]
    dark = inside & (image < parameters.lumen_hu)
    pixel_mm2 = spacing_mm[1] * spacing_mm[2]
    spots = components(dark, in_slices=True, least_voxels=max(1, int(parameters.area_mm2[0] / pixel_mm2 / 4)))
    lumen = np.zeros_like(dark)
    for start in order[: max(1, int(UPPER_PART * len(order)))]:
        for spot in spots:
            if spot.box[0].start != start or not _round(spot.box, spot.voxels * pixel_mm2, spacing_mm, parameters):
                continue
            seed = np.zeros(dark.shape[1:], dtype=bool)
            seed[spot.box[1:]] = spots.mask_of(spot)[0]
            run = _follow(dark, seed, order[int(np.flatnonzero(order == start)[0]) :], pixel_mm2, parameters)
            if len(run) * spacing_mm[0] >= parameters.least_length_mm:
                for number, own in run:
                    lumen[number] = own
                return grow(lumen, parameters.wall_mm, spacing_mm) & ~_lung_side(inside, lumen, dark)
    return lumen


def _lung_side(inside: BoolArray, lumen: BoolArray, dark: BoolArray) -> BoolArray:
    """Lung tissue next to an airway: air, but not as dark; the wall is not grown into it."""
    return inside & ~dark & ~lumen


def _round(box: tuple[slice, slice, slice], area_mm2: float, spacing_mm: Spacing, parameters: AirwayParameters) -> bool:
    low, high = parameters.area_mm2
    tall, wide = ((side.stop - side.start) * mm for side, mm in zip(box[1:], spacing_mm[1:], strict=True))
    return low <= area_mm2 <= high and area_mm2 >= ROUND_FILL * tall * wide and max(tall, wide) <= 2 * min(tall, wide)


def _follow(
    dark: BoolArray, seed: BoolArray, order: npt.NDArray[np.int_], pixel_mm2: float, parameters: AirwayParameters
) -> list[tuple[int, BoolArray]]:
    """The spots that overlap from slice to slice, beginning with the seed."""
    from scipy import ndimage

    run: list[tuple[int, BoolArray]] = []
    current = seed
    for number in order:
        labels, _ = ndimage.label(dark[number])
        own = np.zeros_like(seed)
        for label in np.unique(labels[current & (labels > 0)]):
            spot = labels == label
            if np.count_nonzero(spot) * pixel_mm2 <= parameters.branching_mm2:
                own |= spot
        if not own.any():
            break
        run.append((int(number), own))
        current = own
    return run

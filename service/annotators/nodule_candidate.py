"""One round dense thing in a lung, looked at closely: what belongs to it, and how round it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from service.annotators.components import components
from service.annotators.parameters import Fraction, Positive, Strict
from service.core.volume import Volume
from service.voxels.distances import BoolArray, Spacing, depth_in, distance_to, open_mask

Index = tuple[int, int, int]
Box = tuple[slice, slice, slice]

# How far around a seed is looked at: so many radii and millimetres.
SURROUNDINGS = (2.5, 5.0)
# What opening gives back, in voxels: its own rounding. More would leave stumps of vessels.
SLACK = 0.75
# Slices thicker than so many pixels are looked at in between, when vessels are cut off.
FINE_SLICES = 1.5
# The layer of lung around a nodule that tells what it is attached to.
LAYER_MM = (1.2, 3.0)
# A smaller share of that layer is noise, not a vessel that leads on.
STRAND_SHARE = 0.01


class SearchParameters(Strict):
    """What makes a nodule.

    Parameters
    ----------
    dense_hu : denser than this is not lung
    diameter_mm : of the smallest and the largest nodule
    opening : a nodule is cut from vessels thinner than this share of its own thickness
    roundness : least share of it that lies in the ball of the same volume around its middle
    elongation : greatest ratio of its longest to its shortest principal axis
    attachment : greatest share of its surface beyond which there is no lung
    strands : greatest number of separate things that it continues into; where vessels meet there are more
    contrast_hu : least difference to the lung around it
    """

    dense_hu: float = -450.0
    diameter_mm: tuple[Positive, Positive] = (4.5, 35.0)
    opening: Fraction = 0.55
    roundness: Fraction = 0.78
    elongation: Positive = 1.5
    attachment: Fraction = 0.45
    strands: Annotated[int, Field(ge=0)] = 2
    contrast_hu: Positive = 250.0


@dataclass(frozen=True, slots=True, eq=False)
class NoduleCandidate:
    """One thing that was looked at closely.

    Parameters
    ----------
    mask : within ``box`` of the volume
    level_hu : halfway between its inside and the lung around it
    outlined : the box of the volume with everything else set to lung; for drawing outlines at ``level_hu``
    """

    box: Box
    mask: BoolArray
    level_hu: float
    outlined: npt.NDArray[np.float32]
    diameter_mm: float
    roundness: float
    elongation: float
    attachment: float
    strands: int
    contrast_hu: float

    def is_nodule(self, parameters: SearchParameters) -> bool:
        """Whether it is one by every measure."""
        low, high = parameters.diameter_mm
        return (
            low <= self.diameter_mm <= high
            and self.roundness >= parameters.roundness
            and self.elongation <= parameters.elongation
            and self.attachment <= parameters.attachment
            and self.strands <= parameters.strands
            and self.contrast_hu >= parameters.contrast_hu
        )

    def confidence(self, parameters: SearchParameters) -> float:
        """From 0 to 1: how far it stands above the least roundness, contrast and freedom that a nodule needs."""
        round_ = _share(self.roundness, parameters.roundness, 0.93)
        free = 1 - _share(self.attachment, 0.05, parameters.attachment)
        bright = _share(self.contrast_hu, parameters.contrast_hu, 800.0)
        return round(0.1 + 0.9 * (0.5 * round_ + 0.3 * free + 0.2 * bright), 2)


def _share(value: float, low: float, high: float) -> float:
    return float(np.clip((value - low) / (high - low), 0, 1))


def look_closely(
    volume: Volume,
    image: npt.NDArray[np.float32],
    field: BoolArray,
    seed: Index,
    radius: float,
    parameters: SearchParameters,
) -> NoduleCandidate | None:
    """What belongs to the thing at a seed, by the level halfway between it and the lung around it.

    Parameters
    ----------
    image, field : values and lung field of the window that is searched
    seed : index in the window of the voxel that lies deepest in something dense
    radius : of the ball that fits in there, mm

    Returns
    -------
    None where nothing at the seed is of a nodule's size and shape
    """
    spacing = volume.spacing_mm
    box = box_around(seed, SURROUNDINGS[0] * radius + SURROUNDINGS[1], spacing, image.shape)
    values, lung = image[box], field[box]
    offset = offsets_mm(box, seed, spacing)
    inside = values[(offset <= max(0.6 * radius, min(spacing))) & lung]
    around = values[lung & (values < parameters.dense_hu)]
    if not inside.size or not around.size or len(values) < 2:
        return None
    inside_hu, lung_hu = float(np.median(inside)), float(np.median(around))
    level = (inside_hu + lung_hu) / 2
    dense = values > level
    place = (seed[0] - box[0].start, seed[1] - box[1].start, seed[2] - box[2].start)
    mask = _cut_free(values, lung, level, place, radius, spacing, parameters.opening)
    if mask is None or _runs_out(mask, box, image.shape) or not _could_be(volume, mask, parameters):
        return None
    for number in np.flatnonzero(mask.any(axis=(1, 2))):
        mask[number] = _without_stumps(mask[number : number + 1], spacing, parameters.opening)[0]
    attachment, strands = _surface(mask, dense, lung, spacing)
    return NoduleCandidate(
        box=box,
        mask=mask,
        level_hu=level,
        outlined=np.where(
            mask | (~dense & (distance_to(mask, spacing) <= 2 * max(spacing))), values, np.float32(lung_hu)
        ),
        diameter_mm=2 * _ball_radius(mask, volume.voxel_mm3),
        roundness=_roundness(volume, mask),
        elongation=_elongation(volume, mask),
        attachment=attachment,
        strands=strands,
        contrast_hu=inside_hu - lung_hu,
    )


def box_around(centre: Index, reach_mm: float, spacing_mm: Spacing, shape: tuple[int, ...]) -> Box:
    """The box of voxels within reach of one."""
    sides = []
    for middle, mm, size in zip(centre, spacing_mm, shape, strict=True):
        reach = int(np.ceil(reach_mm / mm)) + 1
        sides.append(slice(max(0, middle - reach), min(size, middle + reach + 1)))
    return sides[0], sides[1], sides[2]


def offsets_mm(box: Box, centre: Index, spacing_mm: Spacing) -> npt.NDArray[np.float64]:
    """Distance of each voxel of a box from a point given by index, mm."""
    squares = [
        ((np.arange(side.start, side.stop) - middle) * mm) ** 2
        for side, middle, mm in zip(box, centre, spacing_mm, strict=True)
    ]
    distances: npt.NDArray[np.float64] = np.sqrt(
        squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None, :]
    )
    return distances


def _cut_free(
    values: npt.NDArray[np.float32],
    lung: BoolArray,
    level: float,
    seed: Index,
    radius: float,
    spacing: Spacing,
    opening: float,
) -> BoolArray | None:
    """The piece at the seed without what is much thinner: vessels, the angle to the pleura."""
    between = max(1, round(spacing[0] / (FINE_SLICES * min(spacing[1:]))))
    dense = (_between_slices(values, between) > level) & (_between_slices(lung.astype(np.float32), between) >= 0.5)
    fine = (spacing[0] / between, spacing[1], spacing[2])
    opened = open_mask(dense, opening * radius, fine, slack_mm=SLACK * min(spacing[1:]))
    found = components(opened)
    label = int(found.labels[seed[0] * between, seed[1], seed[2]])
    if label == 0:
        return None
    own: BoolArray = (found.labels == label)[::between]
    return own


def _runs_out(mask: BoolArray, box: Box, shape: tuple[int, ...]) -> bool:
    """Whether it goes on beyond what is looked at: much longer than it is thick, a vessel or the hilum."""
    for axis, (side, size) in enumerate(zip(box, shape, strict=True)):
        first, last = np.take(mask, 0, axis), np.take(mask, -1, axis)
        if (side.start > 0 and first.any()) or (side.stop < size and last.any()):
            return True
    return False


def _could_be(volume: Volume, mask: BoolArray, parameters: SearchParameters) -> bool:
    """Whether size and shape allow a nodule; most seeds lie in vessels and end here."""
    low, high = parameters.diameter_mm
    return (
        low <= 2 * _ball_radius(mask, volume.voxel_mm3) <= 1.1 * high
        and _roundness(volume, mask) >= parameters.roundness
        and _elongation(volume, mask) <= parameters.elongation
    )


def _between_slices(values: npt.NDArray[np.float32], between: int) -> npt.NDArray[np.float32]:
    """The slices with so many steps from each to the next, interpolated: opening sees balls, not stacks of discs."""
    if between == 1:
        return values
    places = np.arange((len(values) - 1) * between + 1) / between
    below = np.minimum(places.astype(int), len(values) - 2)
    share = (places - below).astype(np.float32)[:, None, None]
    mixed: npt.NDArray[np.float32] = values[below] * (1 - share) + values[below + 1] * share
    return mixed


def _without_stumps(plane: BoolArray, spacing: Spacing, opening: float) -> BoolArray:
    """One slice of it, opened once more by itself: within a slice voxels are fine enough to show a stump."""
    depth = float(depth_in(plane, spacing).max())
    return open_mask(plane, opening * depth, spacing, slack_mm=SLACK * min(spacing[1:]))


def _ball_radius(mask: BoolArray, voxel_mm3: float) -> float:
    return float((3 * np.count_nonzero(mask) * voxel_mm3 / (4 * np.pi)) ** (1 / 3))


def _points_mm(volume: Volume, mask: BoolArray) -> npt.NDArray[np.float64]:
    """Centres of the voxels of a mask in mm, about their middle."""
    points = np.argwhere(mask) @ volume.affine[:3, :3].T
    centred: npt.NDArray[np.float64] = points - points.mean(axis=0)
    return centred


def _spread(volume: Volume, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Covariance of a mask's points about their middle, with the extent of the voxels themselves; mm²."""
    directions = volume.affine[:3, :3]
    spread: npt.NDArray[np.float64] = points.T @ points / len(points) + directions @ directions.T / 12
    return spread


def _roundness(volume: Volume, mask: BoolArray) -> float:
    """Share of the mask inside the ball of its volume around its middle; 1 for a ball."""
    distances = np.linalg.norm(_points_mm(volume, mask), axis=1)
    # Half a voxel's reach: the ball of a few coarse voxels must hold their centres.
    reach = _ball_radius(mask, volume.voxel_mm3) + 0.25 * float(np.mean(volume.spacing_mm))
    return float(np.mean(distances <= reach))


def _elongation(volume: Volume, mask: BoolArray) -> float:
    """Ratio of the longest to the shortest principal axis."""
    axes = np.linalg.eigvalsh(_spread(volume, _points_mm(volume, mask)))
    return float(np.sqrt(axes[-1] / axes[0]))


def _surface(mask: BoolArray, dense: BoolArray, lung: BoolArray, spacing: Spacing) -> tuple[float, int]:
    """Share of the layer around the mask that is not lung, and how many dense things (vessels, wall) it holds."""
    away = distance_to(mask, spacing)
    low, high = LAYER_MM
    layer = (away > min(low, 0.9 * min(spacing))) & (away <= max(high, 1.01 * min(spacing)))
    size = int(np.count_nonzero(layer))
    if size == 0:
        return 1.0, 0
    attachment = 1 - float(np.mean((lung & ~dense)[layer]))
    return attachment, len(components(layer & dense, least_voxels=max(2, round(STRAND_SHARE * size)), diagonally=True))

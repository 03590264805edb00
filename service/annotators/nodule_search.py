"""Where round dense things may be in the lungs: seeds that lie deep in something dense, each looked at closely."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from service.annotators.components import components
from service.annotators.nodule_candidate import (
    Box,
    Index,
    NoduleCandidate,
    SearchParameters,
    box_around,
    look_closely,
    offsets_mm,
)
from service.core.volume import Volume
from service.voxels.distances import BoolArray, Spacing, depth_in

# More seeds than this are a lung full of consolidation, not nodules.
MOST_SEEDS = 400
# A ball around a seed in which no further seed is looked for, in radii.
OWN_GROUND = 1.3


def search_nodules(volume: Volume, field: BoolArray, parameters: SearchParameters) -> list[NoduleCandidate]:
    """Every nodule in the lung field, which is of the volume's shape and has pleural nodules within."""
    window = _box_of(field)
    image = volume.array[window]
    field = field[window]
    dense = field & (image > parameters.dense_hu)
    depth = depth_in(dense, volume.spacing_mm)
    found: list[NoduleCandidate] = []
    taken = np.zeros(field.shape, dtype=bool)
    for seed, radius in _seeds(depth, volume.spacing_mm, parameters.diameter_mm[0] / 2):
        if taken[seed]:
            continue
        candidate = look_closely(volume, image, field, seed, radius, parameters)
        if candidate is None or taken[candidate.box][candidate.mask].any():
            continue
        if candidate.is_nodule(parameters):
            taken[candidate.box] |= candidate.mask
            found.append(_moved(candidate, window))
    return found


def _box_of(mask: BoolArray) -> Box:
    sides = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        sides.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return sides[0], sides[1], sides[2]


def _moved(candidate: NoduleCandidate, window: Box) -> NoduleCandidate:
    """The same in the grid of the whole volume."""
    box = [slice(s.start + w.start, s.stop + w.start) for s, w in zip(candidate.box, window, strict=True)]
    return replace(candidate, box=(box[0], box[1], box[2]))


def _seeds(depth: npt.NDArray[np.float32], spacing_mm: Spacing, least_mm: float) -> Iterator[tuple[Index, float]]:
    """Places that lie deepest in something dense and the radius of the ball that fits there, the thickest first."""
    # A voxel's centre lies up to half a voxel off the middle of a nodule; a small one must not be lost for that.
    least_depth = max(0.75 * least_mm, least_mm - 0.5 * min(spacing_mm))
    found = components(depth >= least_depth)
    seeds: list[tuple[float, Index]] = []
    for piece in found:
        depths = np.where(found.mask_of(piece), depth[piece.box], 0)
        while len(seeds) < MOST_SEEDS:
            peak = _deepest(depths)
            radius = float(depths[peak])
            if radius < least_depth:
                break
            seeds.append((radius, _index(peak, piece.box)))
            _clear_ball(depths, peak, OWN_GROUND * radius, spacing_mm)
    for radius, seed in sorted(seeds, reverse=True):
        yield seed, radius


def _deepest(depths: npt.NDArray[np.float32]) -> Index:
    slice_, row, column = np.unravel_index(int(np.argmax(depths)), depths.shape)
    return int(slice_), int(row), int(column)


def _index(peak: Index, box: Box) -> Index:
    return peak[0] + box[0].start, peak[1] + box[1].start, peak[2] + box[2].start


def _clear_ball(values: npt.NDArray[np.float32], centre: Index, radius_mm: float, spacing_mm: Spacing) -> None:
    box = box_around(centre, radius_mm, spacing_mm, values.shape)
    values[box][offsets_mm(box, centre, spacing_mm) <= radius_mm] = 0

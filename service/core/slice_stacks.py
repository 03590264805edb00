"""Slices into stacks: one grid each, sorted along the normal, evenly spaced, or refused with the reason.

The rules, with the tolerances below:

- Slices of another orientation, size, spacing, unit or Frame of Reference make a stack of their own.
- Where several slices share a position, the first element of ``DISTINGUISHING`` that tells them apart splits them
  (phases, echoes, weightings); copies with the same pixels are dropped; anything else is refused.
- The step from slice to slice must be the same everywhere, in all three directions: a gap is refused, a shear
  (gantry tilt) is kept.
- A single slice is a stack where the series has no other and its header says how thick it is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.core.image_slices import DISTINGUISHING, ImageSlice, Vector, named
from service.errors import VolumeRefused

# Cosines that differ by less are the same orientation: 0.06°, half a millimetre at the edge of a 50 cm field.
ORIENTATION_TOLERANCE = 1e-3
# Pixel spacings that differ by less are the same: a quarter of a pixel over 512 columns at most.
SPACING_TOLERANCE = 5e-4
# Slices nearer than this along the normal share a position. Scanners repeat a position digit by digit.
SAME_POSITION_MM = 0.01
# How far a slice may lie off the even grid: positions are written with as little as one decimal (0.05 mm of rounding
# at each end of a step), and a twentieth of a step is well below what any measurement here resolves.
OFF_GRID_MM = 0.11
OFF_GRID_STEPS = 0.05
# A gap this near to a whole number of steps is a missing slice rather than another spacing.
WHOLE_STEPS = 0.1
# Two slices alone show no even spacing; further apart than so many times their thickness they are no stack.
PAIR_GAP_THICKNESSES = 3.0

SameContent = Callable[[ImageSlice, ImageSlice], bool]


@dataclass(frozen=True, slots=True, eq=False)
class SliceStack:
    """Slices in order along their normal, and the vector (mm, LPS) from each to the next."""

    slices: tuple[ImageSlice, ...]
    step: Vector


def stack_slices(slices: Sequence[ImageSlice], same_content: SameContent) -> tuple[list[SliceStack], list[str]]:
    """Every stack in the slices of one series, the longest first, and why the others are none.

    Parameters
    ----------
    same_content : whether two slices at one position hold the same stored values; asked only where nothing else decides
    """
    groups = _group(slices)
    stacks: list[SliceStack] = []
    refused: Counter[str] = Counter()
    for group in groups:
        if len(group) == 1 and len(groups) > 1:
            refused["each has an orientation or grid of its own, as localizers have"] += 1
            continue
        try:
            parts = _split_positions(group, same_content)
        except VolumeRefused as err:
            refused[str(err)] += len(group)
            continue
        for part in parts:
            try:
                stacks.append(_stack(part))
            except VolumeRefused as err:
                refused[str(err)] += len(part)
    stacks.sort(key=lambda stack: -len(stack.slices))
    return stacks, [f"{count} of {len(slices)} slices: {reason}" for reason, count in refused.items()]


def _group(slices: Sequence[ImageSlice]) -> list[list[ImageSlice]]:
    groups: list[list[ImageSlice]] = []
    for one in slices:
        for group in groups:
            if _on_one_grid(group[0], one):
                group.append(one)
                break
        else:
            groups.append([one])
    return groups


def _on_one_grid(a: ImageSlice, b: ImageSlice) -> bool:
    return (
        (a.rows, a.columns, a.rescale.unit, a.frame_of_reference_uid)
        == (b.rows, b.columns, b.rescale.unit, b.frame_of_reference_uid)
        and float(np.abs(a.along_columns - b.along_columns).max()) <= ORIENTATION_TOLERANCE
        and float(np.abs(a.along_rows - b.along_rows).max()) <= ORIENTATION_TOLERANCE
        and np.allclose(a.spacing_mm, b.spacing_mm, rtol=SPACING_TOLERANCE, atol=0)
    )


def _heights(slices: Sequence[ImageSlice]) -> npt.NDArray[np.float64]:
    """Position of each slice along the normal of the first, mm."""
    normal = slices[0].normal
    return np.array([float(one.position @ normal) for one in slices])


def _positions(slices: Sequence[ImageSlice]) -> list[list[ImageSlice]]:
    """The slices gathered by position, in order along the normal."""
    heights = _heights(slices)
    gathered: list[list[ImageSlice]] = []
    last = -np.inf
    for index in np.argsort(heights, kind="stable"):
        if heights[index] - last <= SAME_POSITION_MM:
            gathered[-1].append(slices[index])
        else:
            gathered.append([slices[index]])
            last = heights[index]
    return gathered


def _split_positions(slices: list[ImageSlice], same_content: SameContent) -> list[list[ImageSlice]]:
    """Parts in which no position occurs twice.

    Raises
    ------
    VolumeRefused : slices at one position differ and nothing in the header tells them apart
    """
    gathered = _positions(slices)
    if len(gathered) == len(slices):
        return [slices]
    parts = _split_by_element(slices, whole=len(gathered))
    if parts is not None:
        return parts
    kept = [one for group in gathered for one in _without_copies(group, same_content)]
    if len(kept) == len(gathered):
        return [kept]
    parts = _split_by_element(kept, whole=None)
    if parts is not None:
        return parts
    most = max(len(group) for group in gathered)
    raise VolumeRefused(
        f"up to {most} different slices share one position and no element of the header tells them apart"
    )


def _split_by_element(slices: list[ImageSlice], whole: int | None) -> list[list[ImageSlice]] | None:
    """Parts by the first distinguishing element under which no position occurs twice in a part.

    ``whole`` asks that every part has so many positions; otherwise at least two.
    """
    for keyword in DISTINGUISHING:
        parts: dict[str, list[ImageSlice]] = defaultdict(list)
        for one in slices:
            parts[one.distinguishing.get(keyword, "")].append(one)
        if len(parts) < 2:
            continue
        counts = [len(_positions(part)) for part in parts.values()]
        unique = all(count == len(part) for count, part in zip(counts, parts.values(), strict=True))
        if unique and all(count == whole if whole is not None else count >= 2 for count in counts):
            return list(parts.values())
    return None


def _without_copies(group: list[ImageSlice], same_content: SameContent) -> list[ImageSlice]:
    kept: list[ImageSlice] = []
    for one in group:
        if not any(same_content(other, one) for other in kept):
            kept.append(one)
    return kept


def _stack(slices: list[ImageSlice]) -> SliceStack:
    heights = _heights(slices)
    order = np.argsort(heights, kind="stable")
    ordered = tuple(slices[index] for index in order)
    if len(ordered) == 1:
        return SliceStack(ordered, _single_step(ordered[0]))
    _check_gaps(np.diff(heights[order]), ordered[0].depth_mm)
    positions = np.array([one.position for one in ordered])
    step = (positions[-1] - positions[0]) / (len(ordered) - 1)
    _check_grid(positions, step)
    return SliceStack(ordered, step)


def _single_step(one: ImageSlice) -> Vector:
    if one.depth_mm is None:
        raise VolumeRefused(f"a single slice without {named('SliceThickness')} has no depth")
    step: Vector = one.normal * one.depth_mm
    return step


def _check_gaps(steps: npt.NDArray[np.float64], thickness_mm: float | None) -> None:
    """Refuse steps along the normal that are not even; all in mm."""
    usual = float(np.median(steps))
    if len(steps) == 1:
        if thickness_mm is not None and usual > PAIR_GAP_THICKNESSES * thickness_mm:
            raise VolumeRefused(f"two slices of {thickness_mm:.2f} mm lie {usual:.2f} mm apart")
        return
    odd = np.flatnonzero(np.abs(steps - usual) > max(OFF_GRID_MM, OFF_GRID_STEPS * usual))
    if not len(odd):
        return
    ratios = steps[odd] / usual
    if np.all(ratios > 1.5) and np.all(np.abs(ratios - np.round(ratios)) <= WHOLE_STEPS):
        missing = int(np.sum(np.round(ratios) - 1))
        at = int(odd[0])
        raise VolumeRefused(
            f"{missing} {'slice is' if missing == 1 else 'slices are'} missing, the first after slice {at + 1} of "
            f"{len(steps) + 1}: a gap of {steps[at]:.2f} mm where slices are {usual:.2f} mm apart"
        )
    raise VolumeRefused(
        f"slices lie between {steps.min():.2f} and {steps.max():.2f} mm apart; a volume needs even spacing"
    )


def _check_grid(positions: npt.NDArray[np.float64], step: Vector) -> None:
    """Refuse slices that drift off the straight line from the first to the last; mm."""
    expected = positions[0] + np.arange(len(positions))[:, None] * step
    off = float(np.linalg.norm(positions - expected, axis=1).max())
    if off > max(OFF_GRID_MM, OFF_GRID_STEPS * float(np.linalg.norm(step))):
        raise VolumeRefused(f"slices lie up to {off:.2f} mm off an even grid")

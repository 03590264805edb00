"""How large a segment is by its own pixels, and how much its border leaves open (PS3.3 C.8.20.2)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from service.objects.checking.frame_table import Frame, numbers_of
from service.objects.checking.object_case import ObjectCase
from service.objects.checking.stored_frames import can_be_picked, frames_of, native_frame

_LARGE: Final = 2_000_000
"""Voxels above which a border of one voxel is less than the share that is allowed anyway."""
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Extent:
    """A segment's size in mm³ and mm.

    Parameters
    ----------
    least_mm3, most_mm3 : without the voxels at its border, and with those that touch it
    diagonal_mm : of the box round it, over its voxels' outer corners
    """

    volume_mm3: float
    least_mm3: float
    most_mm3: float
    diagonal_mm: float


def extents_of(case: ObjectCase, segments: Collection[int]) -> dict[int, Extent]:
    """The segments' sizes; without those whose pixels or places cannot be read."""
    planes: dict[int, list[tuple[Frame, Mask]]] = {number: [] for number in segments}
    for frame, number, mask in _masks(case, frozenset(segments)):
        planes[number].append((frame, mask))
    step = _step_mm(case)
    found = {number: _extent(frames, step) for number, frames in planes.items() if frames}
    return {number: extent for number, extent in found.items() if extent is not None}


def _masks(case: ObjectCase, segments: frozenset[int]) -> Iterator[tuple[Frame, int, Mask]]:
    """The frames that show one of the segments, each with its number and where it is set."""
    frames = case.frames.frames
    if case.data_set.get("SegmentationType") == "LABELMAP":
        for frame, pixels in zip(frames, frames_of(case.data_set), strict=False):
            for number in segments & set(np.unique(pixels).tolist()):
                yield frame, number, pixels == number
        return
    wanted = [(place, frame) for place, frame in enumerate(frames) if frame.segment in segments]
    if can_be_picked(case.data_set):
        for place, frame in wanted:
            picked = native_frame(case.data_set, place)
            if picked is not None:
                yield frame, frame.segment or 0, picked.astype(bool)
        return
    for frame, pixels in zip(frames, frames_of(case.data_set), strict=False):
        if frame.segment in segments:
            yield frame, frame.segment or 0, pixels.astype(bool)


def _step_mm(case: ObjectCase) -> float | None:
    """The distance between neighbouring frames' planes, over all segments; else the slices' own thickness."""
    frames = [frame for frame in case.frames.frames if frame.position and frame.orientation]
    if frames:
        orientation = frames[0].orientation or ()
        normal = np.cross(orientation[:3], orientation[3:])
        places = np.unique(np.round([float(np.dot(frame.position or (), normal)) for frame in frames], 3))
        if len(places) > 1:
            return float(np.diff(places).min())
    for group in case.data_set.get("SharedFunctionalGroupsSequence") or ():
        for measures in group.get("PixelMeasuresSequence") or ():
            for keyword in ("SpacingBetweenSlices", "SliceThickness"):
                given = numbers_of(measures, keyword, 1)
                if given and given[0] > 0:
                    return given[0]
    return None


def _extent(frames: list[tuple[Frame, Mask]], step_mm: float | None) -> Extent | None:
    first = frames[0][0]
    if step_mm is None or first.spacing_mm is None or first.orientation is None or first.position is None:
        return None
    if any(frame.spacing_mm != first.spacing_mm or frame.orientation != first.orientation for frame, _ in frames):
        return None
    stack = _stack(frames, first.orientation, step_mm)
    voxels = int(stack.sum())
    if not voxels:
        return None
    size = np.array([step_mm, *first.spacing_mm])
    each = float(size.prod())
    inner, outer = (voxels, voxels) if voxels > _LARGE else _without_and_with_border(stack)
    marked = [np.flatnonzero(stack.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    box = np.array([places[-1] - places[0] + 1 for places in marked])
    return Extent(voxels * each, inner * each, outer * each, float(np.linalg.norm(box * size)))


def _stack(frames: list[tuple[Frame, Mask]], orientation: tuple[float, ...], step_mm: float) -> npt.NDArray[Any]:
    """Frames laid at their places along the normal, cut to the rows and columns that are marked, an empty rim round."""
    normal = np.cross(orientation[:3], orientation[3:])
    along = np.array([float(np.dot(frame.position or (), normal)) for frame, _ in frames])
    places = np.round((along - along.min()) / step_mm).astype(int)
    rows = np.any([mask.any(axis=1) for _, mask in frames], axis=0)
    columns = np.any([mask.any(axis=0) for _, mask in frames], axis=0)
    if not rows.any():
        return np.zeros((1, 1, 1), dtype=bool)
    (top, bottom), (left, right) = ((np.flatnonzero(one)[[0, -1]]) for one in (rows, columns))
    stack = np.zeros((places.max() + 3, bottom - top + 3, right - left + 3), dtype=bool)
    for place, (_, mask) in zip(places, frames, strict=True):
        stack[place + 1, 1:-1, 1:-1] |= mask[top : bottom + 1, left : right + 1]
    return stack


def _without_and_with_border(stack: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Voxels all of whose six neighbours are set, and voxels that are set or have a neighbour that is."""
    inner, outer = stack.copy(), stack.copy()
    for axis in range(3):
        for step in (1, -1):
            beside = np.roll(stack, step, axis=axis)  # the rim is empty, so nothing comes in from the other side
            inner &= beside
            outer |= beside
    return int(inner.sum()), int(outer.sum())

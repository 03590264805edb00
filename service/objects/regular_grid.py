"""A read segmentation on a regular grid of its own, for who has no source at hand: missing planes put in, an affine."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.source_frames import SourceFrame, SourceFrames, Space
from service.core.volume import Affine
from service.errors import ObjectInvalid
from service.objects.regular_steps import STEP_TOLERANCE, distances_along_normal
from service.objects.segmentation_reading import ReadSegmentation

_ALLOWED: Final = 0.02
"""Share of a step by which a plane may be off its place on the grid."""
_LEAST_ALLOWED_MM: Final = 0.01
_MOST_PLANES: Final = 65536
_Vector = npt.NDArray[np.float64]


def on_regular_grid(read: ReadSegmentation) -> tuple[ReadSegmentation, Affine]:
    """The same with a place for each plane between its first and last, where frames were left out as empty too.

    Returns
    -------
    the segmentation, and the affine of its arrays: index (plane, row, column, 1) → mm, LPS

    Raises
    ------
    ObjectInvalid : its frames have no place in the patient, more than one at a place, or are no regular stack
    """
    places = read.places
    if places.space is not Space.PATIENT:
        raise ObjectInvalid("the segmentation has no place in the patient, so it is no volume")
    first = places.frames[0]
    if first.orientation is None or first.spacing_mm is None:
        raise ObjectInvalid("the segmentation does not say its orientation or its spacing")
    if len({(frame.orientation, frame.spacing_mm) for frame in places.frames}) > 1:
        raise ObjectInvalid("frames of the segmentation differ in orientation or spacing")
    numbers, step = _numbers_and_step(places)
    start = np.array(first.position)
    frames = [_empty(first, start + step * number) for number in range(int(numbers[-1]) + 1)]
    for number, frame in zip(numbers, places.frames, strict=True):
        frames[number] = frame
    filled = replace(places, frames=tuple(frames), slice_distance_mm=_along_normal(first, step))
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = np.array(first.orientation[3:]) * first.spacing_mm[0]
    affine[:3, 2] = np.array(first.orientation[:3]) * first.spacing_mm[1]
    affine[:3, 3] = start
    return replace(read, places=filled, place_of_frame=numbers[read.place_of_frame]), affine


def _numbers_and_step(places: SourceFrames) -> tuple[npt.NDArray[np.intp], _Vector]:
    """On which plane of the grid each place lies, and the step from plane to plane in mm."""
    positions = np.array([frame.position for frame in places.frames], dtype=np.float64)
    along = distances_along_normal(places.frames)
    along = along - along[0]
    if len(along) == 1:
        return np.zeros(1, dtype=np.intp), _normal(places.frames[0]) * (
            places.slice_distance_mm or places.thickness_mm or 1.0
        )
    least = float(np.diff(along).min())
    if least <= STEP_TOLERANCE:
        raise ObjectInvalid("the segmentation has several frames at one place: it is more than a volume")
    for distance in (places.slice_distance_mm, least):
        if distance is not None and (found := _fitted(positions, along, distance)) is not None:
            return found
    raise ObjectInvalid("the planes of the segmentation are not evenly spaced")


def _fitted(
    positions: _Vector, along: npt.NDArray[np.float64], distance: float
) -> tuple[npt.NDArray[np.intp], _Vector] | None:
    """Planes a distance apart, where every place lies on one."""
    numbers = np.rint(along / distance).astype(np.intp)
    if not 0 < numbers[-1] < _MOST_PLANES or np.any(np.diff(numbers) < 1):
        return None
    step = (positions[-1] - positions[0]) / numbers[-1]
    off = np.linalg.norm(positions - (positions[0] + np.outer(numbers, step)), axis=1)
    return (numbers, step) if np.all(off <= max(_ALLOWED * distance, _LEAST_ALLOWED_MM)) else None


def _normal(frame: SourceFrame) -> _Vector:
    orientation = frame.orientation or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    normal: _Vector = np.cross(orientation[:3], orientation[3:])
    return normal / float(np.linalg.norm(normal))


def _along_normal(frame: SourceFrame, step: _Vector) -> float:
    return abs(float(step @ _normal(frame)))


def _empty(first: SourceFrame, position: _Vector) -> SourceFrame:
    """A plane that no frame shows."""
    x, y, z = (float(value) for value in position)
    return SourceFrame("", "", (), (x, y, z), first.orientation, first.spacing_mm)

"""Rules of where the frames of a segmentation or parametric map lie: on their sources, and inside them (C.7.6.16.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from service.objects.checking.frame_table import Frame, SourceFrame, numbers_of
from service.objects.checking.object_case import ObjectCase
from service.objects.checking.stored_frames import can_be_picked, native_frame
from service.objects.image_plane import ImagePlane
from service.objects.known_instances import number_of_frames
from service.objects.rule_catalogue import Breach

Vector = npt.NDArray[np.float64]

_UNIT: Final = 0.001
"""By how much a direction may miss being of length 1, or at a right angle to the other."""
_PARALLEL: Final = 0.999
"""Cosine of the angle, some 2.5 degrees, below which two planes are not parallel."""
_LEAST_DISTANCE_MM: Final = 0.1
_PIXELS: Final = 1.0
"""By how much of a source's pixels a frame may reach over its edge."""


def frame_geometry_breaches(case: ObjectCase, *, marks: bool) -> Iterator[Breach]:
    """Orientations that are none, frames beside the images they name, and masks that leave them.

    Parameters
    ----------
    marks : the pixels mark something, so that they have to lie on what they mark; a map may show more than its source
    """
    frames = case.frames.frames
    for orientation in dict.fromkeys(frame.orientation for frame in frames):
        if orientation is not None and not is_orientation(orientation):
            yield "GEO-ORIENTATION", "an orientation is not two unit vectors at a right angle"
            return
    if not case.known.sources:
        return
    judge = _Judge(case)
    found: dict[str, int] = {}
    for number, frame in enumerate(frames):
        rule = judge.rule_broken(number, frame)
        if rule and (marks or rule != "GEO-INSIDE"):
            found[rule] = found.get(rule, 0) + 1
    words = {
        "GEO-SOURCE": "do not lie on the image that they name as their source",
        "GEO-INSIDE": "reach outside their source image, or lie beside every source",
    }
    for rule, count in found.items():
        yield rule, f"{count} frames {words[rule]}"


def is_orientation(values: Sequence[float]) -> bool:
    """Whether six numbers are two unit vectors at a right angle (C.7.6.2.1.1)."""
    first, second = np.asarray(values[:3]), np.asarray(values[3:])
    lengths = abs(float(np.linalg.norm(first)) - 1), abs(float(np.linalg.norm(second)) - 1)
    return max(*lengths, abs(float(first @ second))) <= _UNIT


@dataclass(frozen=True, slots=True, eq=False)
class _Planes:
    """Source planes with their places as arrays, so that the nearest of hundreds is found at once."""

    planes: tuple[ImagePlane, ...]
    positions: Vector
    normals: Vector

    @classmethod
    def of(cls, planes: Sequence[ImagePlane]) -> _Planes:
        positions = np.array([plane.position for plane in planes]).reshape(-1, 3)
        normals = np.array([plane.normal for plane in planes]).reshape(-1, 3)
        return cls(tuple(planes), positions, normals)

    def nearest(self, frame: Frame) -> tuple[ImagePlane, float] | None:
        """The nearest plane that is parallel to a frame, and its distance in mm; None where none is parallel."""
        if not self.planes or frame.orientation is None:
            return None
        normal = np.cross(frame.orientation[:3], frame.orientation[3:])
        parallel = np.abs(self.normals @ normal) >= _PARALLEL
        if not parallel.any():
            return None
        away = np.abs(((np.asarray(frame.position) - self.positions) * self.normals).sum(axis=1))
        place = int(np.where(parallel, away, np.inf).argmin())
        return self.planes[place], float(away[place])


class _Judge:
    """Frames mostly lie in the same few hundred places, so each place is looked at once."""

    def __init__(self, case: ObjectCase) -> None:
        self._case = case
        self._rows, self._columns = int(case.data_set.get("Rows") or 0), int(case.data_set.get("Columns") or 0)
        self._named: dict[SourceFrame, list[ImagePlane]] = {}
        self._judged: dict[tuple[object, ...], str] = {}

    def rule_broken(self, number: int, frame: Frame) -> str:
        """The rule that a frame breaks, empty where it breaks none or nothing can be said."""
        if frame.position is None or frame.orientation is None or frame.spacing_mm is None or self._case.is_tiled_full:
            return ""
        key = frame.position, frame.orientation, frame.spacing_mm, frame.sources
        if key not in self._judged:
            self._judged[key] = self._judge(frame)
        rule = self._judged[key]
        return "" if rule == "GEO-INSIDE" and not self._marks_outside(number, frame) else rule

    def _judge(self, frame: Frame) -> str:
        kept = [source for source in frame.sources if source.keeps_place]
        named = [plane for source in kept for plane in self._planes_of(source)]
        if kept and not named:
            return ""  # that they are not known, or lie nowhere, is another rule's
        if not named and not self._case.known.covers_series:
            return ""  # the image that it lies on may be one that is not at hand
        found = (_Planes.of(named) if named else self._every_plane).nearest(frame)
        if found is None:
            return "GEO-SOURCE" if named else ""
        plane, distance = found
        if distance > self._tolerance_mm(plane):
            return "GEO-SOURCE" if named else "GEO-INSIDE"
        return "" if self._is_inside(plane, self._corners(frame)) else "GEO-INSIDE"

    def _planes_of(self, source: SourceFrame) -> list[ImagePlane]:
        if source not in self._named:
            known = self._case.known.sources.get(source.sop_instance_uid)
            last = 0 if known is None else number_of_frames(known)
            frames = [source.frame] if source.frame else range(1, last + 1)
            planes = (self._case.known.plane(source.sop_instance_uid, frame) for frame in frames)
            self._named[source] = [plane for plane in planes if plane is not None]
        return self._named[source]

    @cached_property
    def _every_plane(self) -> _Planes:
        """The planes of all sources in the object's Frame of Reference."""
        reference = self._case.data_set.get("FrameOfReferenceUID")
        planes = (
            self._case.known.plane(str(source.SOPInstanceUID), frame)
            for source, frame in self._case.known.frames()
            if source.get("FrameOfReferenceUID") == reference
        )
        return _Planes.of([plane for plane in planes if plane is not None])

    def _tolerance_mm(self, plane: ImagePlane) -> float:
        """Half of what a source slice is thick."""
        source = self._case.known.sources[plane.sop_instance_uid]
        shared = list(source.get("SharedFunctionalGroupsSequence") or ())
        measures = [source, *(item for group in shared for item in group.get("PixelMeasuresSequence") or ())]
        thicknesses = [numbers_of(item, "SliceThickness", 1) for item in measures]
        thickness = next((one[0] for one in thicknesses if one), 1.0)
        return max(thickness / 2, _LEAST_DISTANCE_MM)

    def _corners(self, frame: Frame, box: tuple[float, float, float, float] | None = None) -> list[Vector]:
        """Corners in mm of the frame, or of a box (first row, first column, last row, last column) of its pixels."""
        if frame.position is None or frame.orientation is None or frame.spacing_mm is None:
            return []
        top, left, bottom, right = box or (0, 0, self._rows - 1, self._columns - 1)
        along, down = np.asarray(frame.orientation[:3]), np.asarray(frame.orientation[3:])
        origin = np.asarray(frame.position)
        return [
            origin + along * column * frame.spacing_mm[1] + down * row * frame.spacing_mm[0]
            for row in (top, bottom)
            for column in (left, right)
        ]

    def _is_inside(self, plane: ImagePlane, corners: Sequence[Vector]) -> bool:
        source = self._case.known.sources[plane.sop_instance_uid]
        pixels = plane.to_pixels([(float(x), float(y), float(z)) for x, y, z in corners])
        limits = np.array([float(source.get("Columns") or 0), float(source.get("Rows") or 0)])
        return bool((pixels >= -_PIXELS).all() and (pixels <= limits + _PIXELS).all())

    def _marks_outside(self, number: int, frame: Frame) -> bool:
        """Whether a pixel that is set lies outside; where pixels cannot be read, the whole frame counts."""
        data_set = self._case.data_set
        if not can_be_picked(data_set):
            return True
        pixels = native_frame(data_set, number)
        if pixels is None:
            return True
        marked = np.argwhere(pixels)
        if not len(marked):
            return False
        (top, left), (bottom, right) = marked.min(axis=0), marked.max(axis=0)
        corners = self._corners(frame, (float(top), float(left), float(bottom), float(right)))
        found = self._every_plane.nearest(frame)
        return found is None or found[1] > self._tolerance_mm(found[0]) or not self._is_inside(found[0], corners)

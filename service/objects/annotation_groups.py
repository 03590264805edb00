"""Many annotations of one class, as arrays: what Microscopy Bulk Simple Annotations hold (PS3.3 C.37.1.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from service.core.annotations import Author
from service.core.codes import Code
from service.core.geometry import Place, ShapeKind
from service.errors import ObjectInvalid

POINTS_EACH: Final = {
    ShapeKind.POINT: 1,
    ShapeKind.RECTANGLE: 4,
    ShapeKind.ELLIPSE: 4,
    ShapeKind.POLYLINE: None,
    ShapeKind.POLYGON: None,
}
"""Kinds that a group may be of; how many points each annotation has, None where it says itself."""
LONGEST_LABEL: Final = 64
_LEAST: Final = {ShapeKind.POLYLINE: 2, ShapeKind.POLYGON: 3}
Coordinates = npt.NDArray[np.float32] | npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class GroupMeasurement:
    """One number for each annotation of a group.

    Parameters
    ----------
    values : float32, shape (annotations,); NaN where an annotation has none
    """

    name: Code
    unit: Code
    values: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class AnnotationGroup:
    """Annotations of one class and one kind.

    Parameters
    ----------
    uid : of the group; the tracking UID where the group is one finding
    points : shape (points, 2): (column, row) of an image or its Total Pixel Matrix, (0, 0) being its top left corner;
        shape (points, 3): (x, y, z) in a Frame of Reference, of a slide mm; float64 are written as double
    starts : shape (annotations,), ascending from 0: number of the first point of each
    colour : sRGB 0 to 255; None where the group recommends none
    description : free words

    Raises
    ------
    ObjectInvalid : there is no annotation, or the arrays do not fit each other or the kind
    """

    label: str
    uid: str
    category: Code
    type: Code
    kind: ShapeKind
    points: Coordinates = field(repr=False)
    starts: npt.NDArray[np.int64] = field(repr=False)
    measurements: tuple[GroupMeasurement, ...] = ()
    site: Code | None = None
    laterality: Code | None = None
    colour: tuple[int, int, int] | None = None
    description: str = ""

    def __post_init__(self) -> None:
        fault = self._fault()
        if fault:
            raise ObjectInvalid(f"annotation group {self.label}: {fault}")

    @classmethod
    def of_fixed_size(cls, *, kind: ShapeKind, points: Coordinates, **more: Any) -> AnnotationGroup:
        """Points, rectangles or ellipses, one after the other; ``more`` is what a group takes besides.

        Raises
        ------
        ObjectInvalid : as for the group
        """
        return cls(kind=kind, points=points, starts=np.arange(0, len(points), POINTS_EACH[kind] or 1), **more)

    def __len__(self) -> int:
        return len(self.starts)

    def points_of(self, number: int) -> Coordinates:
        """The points of one annotation, counted from 0."""
        end = self.starts[number + 1] if number + 1 < len(self.starts) else len(self.points)
        return self.points[self.starts[number] : end]

    def _fault(self) -> str:
        if not self.label or len(self.label) > LONGEST_LABEL or "\\" in self.label or self.label != self.label.strip():
            return f"a label is of 1 to {LONGEST_LABEL} characters, without a backslash and spaces around it"
        if self.kind not in POINTS_EACH:
            known = ", ".join(POINTS_EACH)
            return f"{self.kind} is no kind of bulk annotation; draw {known}, or write a report"
        if self.points.ndim != 2 or self.points.shape[1] not in (2, 3) or self.points.dtype.kind != "f":
            return "its points are no floating point numbers of two or three coordinates"
        if not len(self.starts):
            return "it holds no annotation; leave it out"
        bad = np.flatnonzero(~np.isfinite(self.points).all(axis=1))
        if len(bad):
            return f"point {bad[0] + 1} has a coordinate that is no number"
        return self._fault_of_starts() or self._fault_of_measurements()

    def _fault_of_starts(self) -> str:
        counts = np.diff(np.append(self.starts, len(self.points)))
        each = POINTS_EACH[self.kind]
        wrong = counts != each if each is not None else counts < _LEAST[self.kind]
        if self.starts[0] != 0:
            return "the first annotation does not begin with the first point"
        if wrong.any():
            number = int(np.flatnonzero(wrong)[0])
            needed = f"{each}" if each is not None else f"{_LEAST[self.kind]} or more"
            return f"annotation {number + 1} has {counts[number]} points, and a {self.kind} has {needed}"
        return ""

    def _fault_of_measurements(self) -> str:
        for one in self.measurements:
            if one.values.shape != (len(self),):
                return f"{one.name.meaning}: {len(one.values)} values for {len(self)} annotations; NaN stands for none"
            if np.isnan(one.values).all():
                return f"{one.name.meaning}: no annotation has a value; leave it out"
            if np.isinf(one.values).any():
                return f"{one.name.meaning}: an infinite value"
        return ""


@dataclass(frozen=True, slots=True, eq=False)
class BulkAnnotations:
    """All groups of one author on one image, or in the frame of reference of one."""

    author: Author
    place: Place
    groups: tuple[AnnotationGroup, ...]

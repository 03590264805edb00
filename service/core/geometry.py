"""Shapes that are drawn: on an image, in its pixels, or in the patient, in millimetres.

Two coordinate systems, never mixed in one shape. In the patient: (x, y, z), LPS, mm (PS3.3 C.7.6.2.1.1). On an image:
(column, row), (0, 0) being the top left corner of the first pixel, whose centre is (0.5, 0.5) (PS3.3 C.18.6.1.1).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

Point = tuple[float, float, float]


class ShapeKind(StrEnum):
    """What was drawn."""

    POINT = "point"
    KEYPOINTS = "keypoints"
    """Points with names, and the edges of a skeleton between them."""
    LINE = "line"
    POLYLINE = "polyline"
    """Open."""
    POLYGON = "polygon"
    """Closed; the last point joins the first and is not repeated."""
    FREEHAND = "freehand"
    """Closed like a polygon, drawn without lifting."""
    RECTANGLE = "rectangle"
    """Four corners in order round it; a bounding box on an image."""
    CIRCLE = "circle"
    """The centre and a point on the circumference."""
    ELLIPSE = "ellipse"
    """Both ends of the long axis, then of the short one."""
    ANGLE = "angle"
    """A point on one leg, the vertex, a point on the other."""
    COBB_ANGLE = "cobb-angle"
    """Both ends of one line, then of the other."""
    BOX = "box"
    """Along the axes of the patient: the corner with the lowest coordinates, then the one with the highest."""
    ELLIPSOID = "ellipsoid"
    """Both ends of each of three axes."""
    FRAMES = "frames"
    """Images as a whole: an image, some frames of it, a range of time. No points."""


_COUNTS: Final[dict[ShapeKind, tuple[int, int | None]]] = {
    ShapeKind.POINT: (1, 1),
    ShapeKind.KEYPOINTS: (1, None),
    ShapeKind.LINE: (2, 2),
    ShapeKind.POLYLINE: (2, None),
    ShapeKind.POLYGON: (3, None),
    ShapeKind.FREEHAND: (3, None),
    ShapeKind.RECTANGLE: (4, 4),
    ShapeKind.CIRCLE: (2, 2),
    ShapeKind.ELLIPSE: (4, 4),
    ShapeKind.ANGLE: (3, 3),
    ShapeKind.COBB_ANGLE: (4, 4),
    ShapeKind.BOX: (2, 2),
    ShapeKind.ELLIPSOID: (6, 6),
    ShapeKind.FRAMES: (0, 0),
}
CLOSED_KINDS: Final = frozenset(
    {ShapeKind.POLYGON, ShapeKind.FREEHAND, ShapeKind.RECTANGLE, ShapeKind.CIRCLE, ShapeKind.ELLIPSE}
)
"""Kinds that enclose an area of a plane."""
_IN_SPACE: Final = frozenset({ShapeKind.BOX, ShapeKind.ELLIPSOID})


@dataclass(frozen=True, slots=True)
class ImagePlace:
    """On an image: coordinates are its pixels.

    Parameters
    ----------
    frames : numbers from 1 of the frames of a multi-frame image that are meant; none is the image as a whole
    """

    sop_class_uid: str
    sop_instance_uid: str
    frames: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PatientPlace:
    """In the patient: coordinates are mm (LPS) in a frame of reference; empty is that of the images at hand."""

    frame_of_reference_uid: str = ""


Place = ImagePlace | PatientPlace
IN_PATIENT: Final = PatientPlace()


@dataclass(frozen=True, slots=True)
class Shape:
    """Something drawn.

    Parameters
    ----------
    points : (x, y, z) in the patient, (column, row) on an image; how many, and what each is, says ``ShapeKind``
    names : of keypoints, one for each and each once
    skeleton : pairs of numbers of keypoints, from 0, that are joined

    Raises
    ------
    ValueError : the points are not those of such a shape; the message says which rule they break
    """

    kind: ShapeKind
    points: tuple[tuple[float, ...], ...]
    place: Place = IN_PATIENT
    names: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        fault = _fault(self)
        if fault:
            raise ValueError(f"{self.kind}: {fault}")

    @property
    def on_image(self) -> ImagePlace | None:
        """The image that it is drawn on, None where it is drawn in the patient."""
        return self.place if isinstance(self.place, ImagePlace) else None

    @property
    def length_mm(self) -> float:
        """Distance between the first two points of a shape in the patient, in millimetres.

        Raises
        ------
        ValueError : it is drawn in pixels, or has fewer points
        """
        if self.on_image is not None or len(self.points) < 2:
            raise ValueError(f"{self.kind}: has no length in the patient")
        return math.dist(self.points[0], self.points[1])


def _fault(shape: Shape) -> str:
    """Why a shape is none; empty where it is one."""
    least, most = _COUNTS[shape.kind]
    count = len(shape.points)
    axes = 2 if shape.on_image is not None else 3
    if count < least or (most is not None and count > most):
        return f"{count} points, and not {least}" + ("" if most == least else " or more")
    if any(len(point) != axes for point in shape.points):
        return f"a point of other than {axes} coordinates"
    if not all(math.isfinite(value) for point in shape.points for value in point):
        return "a coordinate that is no number"
    return _fault_of_place(shape) or _fault_of_kind(shape) or _fault_of_names(shape)


def _fault_of_place(shape: Shape) -> str:
    image = shape.on_image
    if image is None:
        return "it is no place in the patient" if shape.kind is ShapeKind.FRAMES else ""
    if shape.kind in _IN_SPACE:
        return "it does not fit on an image"
    if any(frame < 1 for frame in image.frames) or len(set(image.frames)) < len(image.frames):
        return "frames are numbered from 1, and each is named once"
    return ""


def _fault_of_kind(shape: Shape) -> str:
    if shape.kind is ShapeKind.BOX and any(low > high for low, high in zip(*shape.points, strict=True)):
        return "the first corner is not the lowest"
    if shape.kind in CLOSED_KINDS and len(shape.points) > 2 and shape.points[0] == shape.points[-1]:
        return "the last point repeats the first"
    if shape.kind is ShapeKind.CIRCLE and shape.points[0] == shape.points[1]:
        return "it has no radius"
    return ""


def _fault_of_names(shape: Shape) -> str:
    if shape.kind is not ShapeKind.KEYPOINTS:
        return "names and a skeleton are for keypoints" if shape.names or shape.skeleton else ""
    if len(shape.names) != len(shape.points) or len(set(shape.names)) < len(shape.names) or not all(shape.names):
        return "each keypoint has a name of its own"
    if any(name != " ".join(name.split()) for name in shape.names):
        return "a keypoint's name is one line, without spaces around it"
    if any(not 0 <= end < len(shape.points) for edge in shape.skeleton for end in edge):
        return "the skeleton joins a keypoint that is not there"
    return ""


def line(start: Iterable[float], end: Iterable[float], place: Place = IN_PATIENT) -> Shape:
    """A straight line between two points."""
    return Shape(ShapeKind.LINE, _points((start, end)), place)


def point(at: Iterable[float], place: Place = IN_PATIENT) -> Shape:
    """A single point."""
    return Shape(ShapeKind.POINT, _points((at,)), place)


def polygon(points: Iterable[Iterable[float]], place: Place = IN_PATIENT) -> Shape:
    """A closed contour; the last point joins the first and is not repeated."""
    return Shape(ShapeKind.POLYGON, _points(points), place)


def box(low: Iterable[float], high: Iterable[float]) -> Shape:
    """A box along the axes of the patient between opposite corners, mm (LPS)."""
    return Shape(ShapeKind.BOX, _points((low, high)))


def rectangle(left: float, top: float, right: float, bottom: float, place: ImagePlace) -> Shape:
    """A bounding box on an image: its edges as columns and rows."""
    return Shape(ShapeKind.RECTANGLE, ((left, top), (right, top), (right, bottom), (left, bottom)), place)


def frames(place: ImagePlace) -> Shape:
    """An image, or frames of it, as a whole."""
    return Shape(ShapeKind.FRAMES, (), place)


def _points(points: Iterable[Iterable[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(value) for value in point) for point in points)

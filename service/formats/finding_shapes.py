"""Where a finding shows on the slices of a volume: the one place that looks into a finding for its regions.

Coordinates are (column, row) with (0, 0) at the top left corner of the first pixel (PS3.3 C.18.6.1.1), which is what
COCO and YOLO count from as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.findings import Finding, Mask
from service.core.geometry import CLOSED_KINDS, ImagePlace, Point, ShapeKind
from service.core.geometry import Shape as Drawn
from service.core.mask_outline import outlines_of
from service.core.volume_slices import VolumeSlices
from service.errors import FormatRefused, ObjectInvalid
from service.formats.flat_images import FlatImages
from service.objects.box_outline import outline_on
from service.objects.ellipsoid_outline import ellipsoid_outline_on
from service.objects.image_plane import ImagePlane, plane_of

PixelPoint = tuple[float, float]
_CORNERS: Final = 72
"""Of the polygon that a circle or an ellipse becomes."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskShape:
    """Pixels of one slice: ``inside`` begins at ``row`` and ``column``."""

    inside: npt.NDArray[np.bool_] = field(repr=False)
    row: int
    column: int

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """First column and row, last column and row, between pixel edges."""
        rows, columns = np.flatnonzero(self.inside.any(axis=1)), np.flatnonzero(self.inside.any(axis=0))
        left, top = self.column + float(columns[0]), self.row + float(rows[0])
        return left, top, self.column + float(columns[-1]) + 1, self.row + float(rows[-1]) + 1

    @property
    def area(self) -> float:
        """In pixels."""
        return float(np.count_nonzero(self.inside))

    def polygons(self) -> list[tuple[PixelPoint, ...]]:
        """Outlines of its pieces along pixel edges; holes are not among them."""
        return [
            tuple((float(self.column + x), float(self.row + y)) for x, y in outline.corners)
            for outline in outlines_of(self.inside)
            if not outline.is_hole
        ]


@dataclass(frozen=True, slots=True)
class PolygonShape:
    """A closed outline on one slice; ``is_box`` where it is a box along rows and columns."""

    points: tuple[PixelPoint, ...]
    is_box: bool = False

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """First column and row, last column and row."""
        columns, rows = zip(*self.points, strict=True)
        return min(columns), min(rows), max(columns), max(rows)

    @property
    def area(self) -> float:
        """In pixels."""
        following = (*self.points[1:], self.points[0])
        turned = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(self.points, following, strict=True))
        return abs(turned) / 2

    def polygons(self) -> list[tuple[PixelPoint, ...]]:
        """Itself."""
        return [self.points]


@dataclass(frozen=True, slots=True)
class PointsShape:
    """A point on one slice, or keypoints with their names.

    Parameters
    ----------
    names : one for each; none where it is a point without a name
    skeleton : pairs of numbers of points, from 0, that are joined
    """

    points: tuple[PixelPoint, ...]
    names: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """First column and row, last column and row."""
        columns, rows = zip(*self.points, strict=True)
        return min(columns), min(rows), max(columns), max(rows)

    area = 0.0

    def polygons(self) -> list[tuple[PixelPoint, ...]]:
        """None: points have no outline."""
        return []


Shape = MaskShape | PolygonShape | PointsShape


class SlicePlanes:
    """The planes of a volume's slices, by which points find their slice."""

    def __init__(self, volume: VolumeSlices) -> None:
        self.planes: list[ImagePlane] = [plane_of(one.source, one.frame_number) for one in volume.slices]
        self._volume = volume
        normal = self.planes[0].normal
        self._half = abs(float(volume.stack.step @ normal)) / 2 + 1e-6
        self._numbers = {(one.sop_instance_uid, one.frame_number): at for at, one in enumerate(self.planes)}

    def slice_of(self, points: Sequence[Sequence[float]]) -> int | None:
        """The slice on which all of the points lie, to half a slice distance; None where they leave it."""
        away = [max(plane.distance_mm(point) for point in points) for plane in self.planes]
        nearest = int(np.argmin(away))
        return nearest if away[nearest] <= self._half else None

    def pixels(self, number: int, points: Sequence[Sequence[float]]) -> tuple[PixelPoint, ...]:
        """Points as (column, row) of a slice."""
        return tuple((float(x), float(y)) for x, y in self.planes[number].to_pixels(points))

    def through(self, number: int, points: Sequence[Sequence[float]]) -> ImagePlane:
        """A slice moved to the middle of some points."""
        x, y, z = np.mean(points, axis=0).tolist()
        return replace(self.planes[number], position=(x, y, z))

    def place(self, number: int) -> ImagePlace:
        """A slice as a place to draw on."""
        plane = self.planes[number]
        frames = () if plane.frame_number is None else (plane.frame_number,)
        return ImagePlace(plane.sop_class_uid, plane.sop_instance_uid, frames)

    def drawn_on(self, shape: Drawn) -> list[tuple[int, tuple[PixelPoint, ...]]]:
        """The slices on which a shape lies, and its points there as (column, row): one, or each frame that it names.

        Raises
        ------
        FormatRefused : it lies on none
        """
        place = shape.on_image
        if place is None:
            number = _on_slice(self.slice_of(shape.points), f"a {shape.kind}")
            return [(number, self.pixels(number, shape.points))]
        points = tuple((column, row) for column, row in shape.points)
        return [
            (_on_slice(self._numbers.get((place.sop_instance_uid, frame)), f"a {shape.kind}"), points)
            for frame in place.frames or (None,)
        ]


class FlatPlanes(SlicePlanes):
    """Images that lie nowhere: what is drawn on them names its image."""

    def __init__(self, images: FlatImages) -> None:
        self.planes = []
        self._places = [one.place for one in images.slices]

    def slice_of(self, points: Sequence[Sequence[float]]) -> int | None:  # noqa: ARG002 (nothing of the patient lies here)
        """None: nothing in the patient lies on them."""
        return None

    def place(self, number: int) -> ImagePlace:
        """A picture as a place to draw on."""
        return self._places[number]

    def drawn_on(self, shape: Drawn) -> list[tuple[int, tuple[PixelPoint, ...]]]:
        """The pictures on which a shape lies; one that names no frame of its image lies on all of them."""
        drawn = shape.on_image
        found = [] if drawn is None else [at for at, one in enumerate(self._places) if _is_on(drawn, one)]
        points = tuple((point[0], point[1]) for point in shape.points)
        return [(number, points) for number in found] or [(_on_slice(None, f"a {shape.kind}"), points)]


def _is_on(drawn: ImagePlace, picture: ImagePlace) -> bool:
    if drawn.sop_instance_uid != picture.sop_instance_uid:
        return False
    return not drawn.frames or (picture.frames or (1,))[0] in drawn.frames


def planes_of(images: VolumeSlices | FlatImages) -> SlicePlanes:
    """What finds the slices of drawn shapes."""
    return FlatPlanes(images) if isinstance(images, FlatImages) else SlicePlanes(images)


def shapes_of(finding: Finding, mask: Mask | None, planes: SlicePlanes) -> Iterator[tuple[int, Shape]]:
    """Every region of a finding with the slice on which it lies (from 0).

    Boxes and ellipsoids show on each slice that cuts them. Closed outlines that were measured are regions too; lines
    and angles are measurements alone.

    Raises
    ------
    FormatRefused : a region lies on no slice of the volume
    """
    if mask is not None:
        for layer, inside in enumerate(mask.voxels):
            if inside.any():
                yield mask.origin[0] + layer, MaskShape(inside, mask.origin[1], mask.origin[2])
    measured = [one.shape for one in finding.measurements if one.shape is not None]
    for shape in dict.fromkeys([*finding.shapes, *measured]):
        if shape.kind in (ShapeKind.BOX, ShapeKind.ELLIPSOID):
            yield from _cuts(shape, planes)
        elif shape.kind in CLOSED_KINDS:
            yield from ((number, _closed(shape.kind, points)) for number, points in planes.drawn_on(shape))
        elif shape.kind in (ShapeKind.POINT, ShapeKind.KEYPOINTS):
            found = planes.drawn_on(shape)
            yield from ((number, PointsShape(points, shape.names, shape.skeleton)) for number, points in found)


def _closed(kind: ShapeKind, points: tuple[PixelPoint, ...]) -> PolygonShape:
    """An outline as a polygon; a rectangle along rows and columns is a box."""
    if kind is ShapeKind.RECTANGLE:
        columns, rows = zip(*points, strict=True)
        return _hull(points) if len(set(columns)) == len(set(rows)) == 2 else PolygonShape(points)
    if kind not in (ShapeKind.CIRCLE, ShapeKind.ELLIPSE):
        return PolygonShape(points)
    centre, one, other = _axes(kind, np.asarray(points))
    turn = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    around = centre + np.outer(np.cos(turn), one) + np.outer(np.sin(turn), other)
    return PolygonShape(tuple((float(x), float(y)) for x, y in around))


def _axes(kind: ShapeKind, points: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], ...]:
    """Centre and both half axes of a circle or an ellipse."""
    if kind is ShapeKind.ELLIPSE:
        return (points[0] + points[1]) / 2, (points[1] - points[0]) / 2, (points[3] - points[2]) / 2
    radius = float(np.linalg.norm(points[1] - points[0]))
    return points[0], np.array([radius, 0.0]), np.array([0.0, radius])


def _on_slice(number: int | None, what: str) -> int:
    if number is None:
        raise FormatRefused(f"{what} of a finding lies on no slice of its series")
    return number


def _cuts(shape: Drawn, planes: SlicePlanes) -> Iterator[tuple[int, PolygonShape]]:
    """A box or an ellipsoid by each slice that cuts it; one that lies between two slices on the nearer one."""
    is_box = shape.kind is ShapeKind.BOX
    ends = list(product(*zip(*shape.points, strict=True))) if is_box else shape.points
    flat = planes.slice_of(ends)
    found = False
    for number, plane in enumerate(planes.planes) if flat is None else [(flat, planes.through(flat, ends))]:
        if (outline := _outline(plane, shape)) is not None:
            found = True
            points = planes.pixels(number, outline)
            yield number, _hull(points) if is_box else PolygonShape(points)
    if not found:
        number = _on_slice(flat, f"a {shape.kind}")
        yield number, _hull(planes.pixels(number, ends))  # without thickness


def _outline(plane: ImagePlane, shape: Drawn) -> Sequence[Point] | None:
    try:
        return outline_on(plane, shape) if shape.kind is ShapeKind.BOX else ellipsoid_outline_on(plane, shape)
    except ObjectInvalid:
        return None


def _hull(points: Sequence[PixelPoint]) -> PolygonShape:
    """The smallest box along rows and columns round some points."""
    left, top, right, bottom = PolygonShape(tuple(points)).extent
    return PolygonShape(((left, top), (right, top), (right, bottom), (left, bottom)), is_box=True)

"""What a finding marks as the contours of ROIs (PS3.3 C.8.8.6), in mm (LPS)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.contour_masks import slice_outlines
from service.core.findings import Finding, Mask
from service.core.geometry import CLOSED_KINDS, ImagePlace, PatientPlace, Shape, ShapeKind
from service.core.volume import Volume
from service.errors import ObjectInvalid
from service.objects.box_outline import outline_on
from service.objects.image_plane import ImagePlane, planes_of
from service.objects.source_images import SourceImages

CLOSED_PLANAR: Final = "CLOSED_PLANAR"
OPEN_PLANAR: Final = "OPEN_PLANAR"
OPEN_NONPLANAR: Final = "OPEN_NONPLANAR"
POINT: Final = "POINT"

CORNERS_OF_ROUND: Final = 120
"""Corners of the polygon that a circle or an ellipse becomes: it lacks 0.05 % of its area."""
_FLAT_MM: Final = 0.05
"""Points this near to a plane lie in it."""

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class DrawnContour:
    """One contour.

    Parameters
    ----------
    type : Contour Geometric Type
    points : mm (LPS), shape (points, 3); the last point of a closed one joins the first
    plane : the image that it lies on, if it lies on one
    between_pixels : it follows the edges of pixels, so that its last digits decide nothing
    """

    type: str
    points: Points
    plane: ImagePlane | None
    between_pixels: bool = False


def region_contours(finding: Finding, mask: Mask, volume: Volume) -> list[DrawnContour]:
    """The contours of a mask, slice by slice; each piece is one, with its holes as keyholes (PS3.3 C.8.8.6.3).

    Raises
    ------
    ObjectInvalid : the mask is empty or lies outside the volume
    """
    if not mask.voxels.any():
        raise ObjectInvalid(f"{finding.label}: the mask has no voxel")
    if min(mask.origin) < 0 or np.any(np.add(mask.origin, mask.voxels.shape) > volume.shape):
        raise ObjectInvalid(f"{finding.label}: the mask lies outside its volume")
    planes = planes_of(volume)
    return [
        DrawnContour(CLOSED_PLANAR, np.array(planes[number].to_patient(outline)), planes[number], between_pixels=True)
        for number, outlines in slice_outlines(mask)
        for outline in outlines
    ]


def shape_contours(shape: Shape, sources: SourceImages) -> list[DrawnContour]:
    """The contours of something drawn; none of what no contour can be: angles, whole frames, what lies nowhere.

    Circles and ellipses become polygons, keypoints a point each, a box its cut by each slice.

    Raises
    ------
    ObjectInvalid : it is drawn on an image that is none of these, or in another Frame of Reference
    """
    place = shape.place
    if isinstance(place, PatientPlace):
        if place.frame_of_reference_uid not in ("", sources.frame_of_reference_uid):
            raise ObjectInvalid("a shape is drawn in another Frame of Reference than that of the images")
        return list(_in_patient(shape, sources))
    sources.header_of(place)
    return [contour for plane in _planes_of_place(place, sources) for contour in _on_plane(shape, plane)]


def _planes_of_place(place: ImagePlace, sources: SourceImages) -> list[ImagePlane]:
    return [
        plane
        for plane in sources.planes
        if plane.sop_instance_uid == place.sop_instance_uid
        and (not place.frames or (plane.frame_number or 1) in place.frames)
    ]


def _on_plane(shape: Shape, plane: ImagePlane) -> Iterator[DrawnContour]:
    def contour(kind: str, pixels: npt.ArrayLike) -> DrawnContour:
        return DrawnContour(kind, np.array(plane.to_patient(pixels)), plane)

    points = np.array(shape.points, dtype=np.float64)
    if shape.kind in CLOSED_KINDS:
        across = points[-1] - points[0]
        yield contour(CLOSED_PLANAR, _corners(shape.kind, points, np.array([-across[1], across[0]])))
    elif shape.kind in (ShapeKind.LINE, ShapeKind.POLYLINE):
        yield contour(OPEN_PLANAR, points)
    elif shape.kind in (ShapeKind.POINT, ShapeKind.KEYPOINTS):
        for point in points:
            yield contour(POINT, [point])


def _in_patient(shape: Shape, sources: SourceImages) -> Iterator[DrawnContour]:
    points = np.array(shape.points, dtype=np.float64)
    plane = sources.plane_through(shape.points) if shape.points else None
    if shape.kind in CLOSED_KINDS:
        if shape.kind is ShapeKind.CIRCLE and plane is None:
            return
        across = np.cross(plane.normal, points[-1] - points[0]) if plane is not None else points[0]
        corners = _corners(shape.kind, points, across)
        if _is_flat(corners):
            yield DrawnContour(CLOSED_PLANAR, corners, plane)
    elif shape.kind in (ShapeKind.LINE, ShapeKind.POLYLINE):
        yield DrawnContour(OPEN_PLANAR if _is_flat(points) else OPEN_NONPLANAR, points, plane)
    elif shape.kind in (ShapeKind.POINT, ShapeKind.KEYPOINTS):
        for point in points:
            yield DrawnContour(POINT, point[None], sources.plane_through([point]))
    elif shape.kind is ShapeKind.BOX:
        yield from _cuts(shape, sources.planes)


def _cuts(box: Shape, planes: Sequence[ImagePlane]) -> Iterator[DrawnContour]:
    for plane in planes:
        try:
            yield DrawnContour(CLOSED_PLANAR, np.array(outline_on(plane, box)), plane)
        except ObjectInvalid:
            continue


def _corners(kind: ShapeKind, points: Points, across: Points) -> Points:
    """Corners of a closed shape; ``across`` is a circle's radius turned by a right angle in its plane."""
    if kind is ShapeKind.CIRCLE:
        return _round(points[0], points[1] - points[0], across)
    if kind is ShapeKind.ELLIPSE:
        return _round((points[0] + points[1]) / 2, (points[1] - points[0]) / 2, (points[3] - points[2]) / 2)
    return points


def _round(centre: Points, one: Points, other: Points) -> Points:
    angles = np.arange(CORNERS_OF_ROUND) * (2 * math.pi / CORNERS_OF_ROUND)
    corners: Points = centre + np.outer(np.cos(angles), one) + np.outer(np.sin(angles), other)
    return corners


def _is_flat(points: Points) -> bool:
    """Whether points lie in one plane."""
    if len(points) < 4:
        return True
    away = points - points.mean(axis=0)
    normal = np.linalg.svd(away, full_matrices=False)[2][2]
    return bool(np.abs(away @ normal).max() <= _FLAT_MM)

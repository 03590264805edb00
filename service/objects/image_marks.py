"""Findings as they show on single images: each thing drawn in the pixels of the image or frame that it lies on.

For objects that know no patient coordinates and no segments: presentation states, key objects, pictures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from service.core.findings import Finding, Mask, Measurement
from service.core.geometry import ImagePlace, Point, Shape, ShapeKind, polygon
from service.core.mask_outline import outlines_of
from service.core.source_frames import Space
from service.errors import ObjectInvalid
from service.objects.box_outline import outline_on
from service.objects.ellipsoid_outline import ellipsoid_outline_on
from service.objects.image_plane import ImagePlane, nearest_plane
from service.objects.shape_items import placed
from service.objects.source_images import SourceImages
from service.objects.tracking import bare_shapes

_CIRCLE_CORNERS: Final = 72
_TOUCHES: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class ImageMark:
    """One thing drawn for a finding, on one image or frame.

    Parameters
    ----------
    place : with one frame at most; none is the image with all its frames
    shape : in the pixels of that image, its own ``place`` the same; ``FRAMES`` where the image as a whole is meant
    measurements : the numbers that were taken from it
    voxels : of the mask that it is the outline of, on the whole image; 0 where it is none
    projected : whether it leaves the image that it is drawn on
    """

    finding: Finding
    place: ImagePlace
    shape: Shape
    measurements: tuple[Measurement, ...] = ()
    voxels: int = 0
    projected: bool = False


def marks_of(finding: Finding, sources: SourceImages) -> list[ImageMark]:
    """Everything drawn for a finding, on every image that it shows on; nothing where it has no place.

    What lies between slices is drawn on the nearest one, ``projected``.

    Raises
    ------
    ObjectInvalid : it lies on none of these images
    """
    drawn: dict[Shape, list[Measurement]] = {}
    for measurement in finding.measurements:
        if measurement.shape is not None:
            drawn.setdefault(measurement.shape, []).append(measurement)
    for shape in bare_shapes(finding):
        drawn.setdefault(shape, [])
    marks = [
        ImageMark(finding, place, on_image, tuple(measured), projected=projected)
        for shape, measured in drawn.items()
        for place, on_image, projected in _on_images(shape, sources)
    ]
    if finding.mask is not None:
        marks += _outlines(finding, finding.mask, sources)
    return marks


def places_of(marks: Iterable[ImageMark]) -> list[ImagePlace]:
    """The images and frames of marks, each once, in the order of the marks."""
    return list(dict.fromkeys(mark.place for mark in marks))


def main_place(marks: Sequence[ImageMark]) -> ImagePlace:
    """Where most of a finding shows: most voxels of its mask, else a measured shape, else the widest one.

    Raises
    ------
    ValueError : there are no marks
    """
    weights = dict.fromkeys(places_of(marks), (0, 0, 0.0))
    for mark in marks:
        voxels, measured, extent = weights[mark.place]
        weights[mark.place] = (
            max(voxels, mark.voxels),
            max(measured, len(mark.measurements)),
            max(extent, _extent(mark.shape)),
        )
    return max(weights, key=lambda place: weights[place])


def _extent(shape: Shape) -> float:
    return float(np.ptp(np.asarray(shape.points), axis=0).sum()) if shape.points else 0.0


def _on_images(shape: Shape, sources: SourceImages) -> Iterator[tuple[ImagePlace, Shape, bool]]:
    """A shape on each image or frame that it shows on, and whether it leaves that one."""
    on_slice = placed(shape, sources)
    place = on_slice.on_image
    if place is None:
        for plane, points, projected in _cuts(on_slice, sources):
            at = _place_of(plane)
            yield at, replace(_flat(on_slice, plane, points), place=at), projected
        return
    if shape.on_image is None and on_slice.kind is ShapeKind.CIRCLE:
        on_slice = _round(on_slice, sources.spacing_mm(place) or (1.0, 1.0))
    for at in [replace(place, frames=(frame,)) for frame in place.frames] or [place]:
        yield at, replace(on_slice, place=at), False


def _cuts(shape: Shape, sources: SourceImages) -> Iterator[tuple[ImagePlane, Sequence[Sequence[float]], bool]]:
    """Planes, and the points (mm, LPS) of what to draw on each for a shape in the patient."""
    reference = getattr(shape.place, "frame_of_reference_uid", "")
    if not sources.planes or reference != sources.frame_of_reference_uid:
        raise ObjectInvalid(
            f"{shape.kind}: drawn in another Frame of Reference than these images; write it as a report, "
            "or beside the images that it was drawn on"
        )
    outline = {ShapeKind.BOX: outline_on, ShapeKind.ELLIPSOID: ellipsoid_outline_on}.get(shape.kind)
    x, y, z = np.mean(shape.points, axis=0).tolist()
    middle: Point = (x, y, z)
    if outline is None:
        yield _nearest(shape, middle, sources), shape.points, True
        return
    cut = False
    for plane in sources.planes:
        try:
            points = outline(plane, shape)
        except ObjectInvalid:
            continue
        cut = True
        yield plane, points, False
    if not cut:
        plane = _nearest(shape, middle, sources)
        yield plane, outline(replace(plane, position=middle), shape), True


def _nearest(shape: Shape, middle: Sequence[float], sources: SourceImages) -> ImagePlane:
    plane = nearest_plane(sources.planes, [middle])
    if plane.distance_mm(middle) > sources.slice_distance_mm + _TOUCHES:
        raise ObjectInvalid(f"{shape.kind}: it lies beyond the images; hand over those that it lies on")
    return plane


def _flat(shape: Shape, plane: ImagePlane, points: Sequence[Sequence[float]]) -> Shape:
    """What is drawn of a shape in the patient, by its points on a plane, in the plane's pixels."""
    pixels = tuple((float(column), float(row)) for column, row in plane.to_pixels(points))
    if shape.kind in (ShapeKind.BOX, ShapeKind.ELLIPSOID):
        return polygon(pixels, _place_of(plane))
    return Shape(shape.kind, pixels, _place_of(plane), shape.names, shape.skeleton)


def _place_of(plane: ImagePlane) -> ImagePlace:
    frames = () if plane.frame_number is None else (plane.frame_number,)
    return ImagePlace(plane.sop_class_uid, plane.sop_instance_uid, frames)


def _round(circle: Shape, spacing_mm: tuple[float, float]) -> Shape:
    """A circle in the patient on its slice: no circle in pixels that are not square."""
    if math.isclose(*spacing_mm):
        return circle
    row_mm, column_mm = spacing_mm
    (column, row), (edge_column, edge_row) = circle.points
    radius = math.hypot((edge_column - column) * column_mm, (edge_row - row) * row_mm)
    turns = np.linspace(0, 2 * math.pi, _CIRCLE_CORNERS, endpoint=False)
    corners = zip(column + radius / column_mm * np.cos(turns), row + radius / row_mm * np.sin(turns), strict=True)
    return polygon(corners, circle.place)


def _outlines(finding: Finding, mask: Mask, sources: SourceImages) -> Iterator[ImageMark]:
    """The outline of a mask along the edges of its pixels, slice by slice."""
    shape, places = _grid(finding, sources)
    if min(mask.origin) < 0 or np.any(np.add(mask.origin, mask.voxels.shape) > shape):
        raise ObjectInvalid(f"{finding.label}: the mask lies outside its images")
    first, row, column = mask.origin
    for number in np.flatnonzero(mask.voxels.any(axis=(1, 2))):
        voxels = mask.voxels[number]
        place = places[first + int(number)]
        for outline in outlines_of(voxels):
            corners = [(x + column, y + row) for x, y in outline.corners]
            yield ImageMark(finding, place, polygon(corners, place), voxels=int(voxels.sum()))


def _grid(finding: Finding, sources: SourceImages) -> tuple[tuple[int, int, int], Sequence[ImagePlace]]:
    """What masks are given in, and the image or frame of each of its slices."""
    if sources.volume is not None:
        return sources.volume.shape, [_place_of(plane) for plane in sources.planes]
    frames = sources.frames
    if frames is None:
        raise ObjectInvalid(f"{finding.label}: a mask is drawn in a volume; hand over the volume that it was made for")
    if frames.space is Space.SLIDE:
        raise ObjectInvalid(f"{finding.label}: a mask on the tiles of a slide is not drawn; fetch the segmentation")
    return frames.shape, [one.place for one in frames.frames]

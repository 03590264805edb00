"""Graphics and texts of a presentation state, in the pixels of an image (PS3.3 C.10.5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pydicom.dataset import Dataset

from service.core.findings import Finding
from service.core.geometry import CLOSED_KINDS, ShapeKind
from service.objects.image_marks import ImageMark

_PIXEL: Final = "PIXEL"
_TILES: Final = "MATRIX"
_MOST_POINTS: Final = 8000
"""In one graphic: Graphic Data are FL, whose length in Explicit VR has 16 bits (PS3.5 7.1.2)."""
_LONGEST_TEXT: Final = 1024
_BANNER: Final = ((0.01, 0.01), (0.99, 0.25))
_BESIDE: Final = 2.0
"""Pixels between what is drawn and its label."""
_LINE_BREAK: Final = "\r\n"

Points = Sequence[tuple[float, ...]]


def graphics_of(mark: ImageMark, *, in_tiles: bool = False) -> Iterator[Dataset]:
    """What is drawn of a mark; nothing where it is an image as a whole.

    Parameters
    ----------
    in_tiles : the coordinates are those of the Total Pixel Matrix, not of one frame
    """
    for kind, points in _lines(mark):
        for part in _parts(points):
            closed = kind != "POINT" and (kind != "POLYLINE" or (len(part) > 2 and part[0] == part[-1]))
            item = Dataset()
            item.GraphicAnnotationUnits = _TILES if in_tiles else _PIXEL
            item.GraphicDimensions = 2
            item.NumberOfGraphicPoints = len(part)
            item.GraphicData = [float(value) for point in part for value in point]
            item.GraphicType = kind
            if closed:
                item.GraphicFilled = "N"
            _track(item, mark.finding)
            yield item


def _lines(mark: ImageMark) -> Iterator[tuple[str, Points]]:
    """Graphic types and their points."""
    shape = mark.shape
    points = shape.points
    if shape.kind in (ShapeKind.CIRCLE, ShapeKind.ELLIPSE, ShapeKind.POINT):
        yield str(shape.kind).upper(), points
    elif shape.kind is ShapeKind.KEYPOINTS:
        for point in points:
            yield "POINT", (point,)
        for one, other in shape.skeleton:
            if one != other:
                yield "POLYLINE", (points[one], points[other])
    elif shape.kind is ShapeKind.COBB_ANGLE:
        yield "POLYLINE", points[:2]
        yield "POLYLINE", points[2:]
    elif shape.kind is not ShapeKind.FRAMES:
        yield "POLYLINE", (*points, points[0]) if shape.kind in CLOSED_KINDS else points


def _parts(points: Points) -> Iterator[Points]:
    """A long line in parts that each begin where the one before ends."""
    if len(points) <= _MOST_POINTS:
        yield points
        return
    for first in range(0, len(points) - 1, _MOST_POINTS - 1):
        yield points[first : first + _MOST_POINTS]


def text_at(words: str, at: Sequence[float], size: tuple[int, int], *, in_tiles: bool = False) -> Dataset:
    """Words beside a place.

    Parameters
    ----------
    at : (column, row); moved into the image where it lies outside
    size : columns and rows of the image
    """
    item = Dataset()
    item.AnchorPointAnnotationUnits = _TILES if in_tiles else _PIXEL
    item.AnchorPoint = [min(max(float(value), 0.5), most - 0.5) for value, most in zip(at, size, strict=True)]
    item.AnchorPointVisibility = "N"
    item.UnformattedTextValue = words[:_LONGEST_TEXT]
    return item


def banner(lines: Iterable[str]) -> Dataset:
    """Words at the top of what is shown, wherever that lies in the image."""
    item = Dataset()
    item.BoundingBoxAnnotationUnits = "DISPLAY"
    item.BoundingBoxTopLeftHandCorner, item.BoundingBoxBottomRightHandCorner = (list(corner) for corner in _BANNER)
    item.BoundingBoxTextHorizontalJustification = "LEFT"
    item.UnformattedTextValue = _LINE_BREAK.join(lines)[:_LONGEST_TEXT]
    return item


def name_texts(mark: ImageMark, size: tuple[int, int], *, in_tiles: bool = False) -> list[Dataset]:
    """The names of keypoints, each beside its own."""
    pairs = zip(mark.shape.names, mark.shape.points, strict=False)
    return [text_at(name, point, size, in_tiles=in_tiles) for name, point in pairs]


def label_place(marks: Iterable[ImageMark]) -> tuple[float, float]:
    """Where the label of marks on one image stands: beside the upper right of them."""
    points = [point for mark in marks for point in mark.shape.points]
    return max(point[0] for point in points) + _BESIDE, min(point[1] for point in points)


def _track(item: Dataset, finding: Finding) -> None:
    item.TrackingID = finding.label
    item.TrackingUID = finding.tracking_uid

"""Shapes as content items of a report: SCOORD where they lie on an image, SCOORD3D elsewhere (PS3.3 C.18.6, C.18.9).

Graphic Types are fewer than kinds of shapes. What a reader could not tell from the coordinates alone is said by a
text at the end of the group, one word for each of its coordinates (`SHAPE_KINDS`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from service.core.codes import Code
from service.core.geometry import ImagePlace, PatientPlace, Place, Shape, ShapeKind
from service.errors import ObjectInvalid
from service.objects import concepts, own_concepts
from service.objects.content_items import (
    CONTAINS,
    INFERRED_FROM,
    image_at,
    scoord3d,
    scoord_at,
    text,
)
from service.objects.content_tree import children, name_of
from service.objects.source_images import SourceImages
from service.objects.tracking import KIND_OF_TOOL

ALONE: Final = "-alone"
"""After a kind: the shape is the finding's own, and the number above it was only computed from it."""
ILLUSTRATION: Final = "illustration"
"""In place of a kind: drawn for the viewer, and nothing that anybody marked."""

_CLOSED_LINES: Final = frozenset({ShapeKind.POLYGON, ShapeKind.FREEHAND, ShapeKind.RECTANGLE})
_ON_IMAGE: Final = {
    ShapeKind.POINT: "POINT",
    ShapeKind.KEYPOINTS: "MULTIPOINT",
    ShapeKind.CIRCLE: "CIRCLE",
    ShapeKind.ELLIPSE: "ELLIPSE",
}
_IN_SPACE: Final = {
    ShapeKind.POINT: "POINT",
    ShapeKind.KEYPOINTS: "MULTIPOINT",
    ShapeKind.POLYGON: "POLYGON",
    ShapeKind.FREEHAND: "POLYGON",
    ShapeKind.RECTANGLE: "POLYGON",
    ShapeKind.ELLIPSE: "ELLIPSE",
    ShapeKind.ELLIPSOID: "ELLIPSOID",
    ShapeKind.BOX: "MULTIPOINT",
}


def placed(shape: Shape, sources: SourceImages) -> Shape:
    """The shape on the slice that it lies on, in pixels; in its frame of reference where it lies on none.

    Raises
    ------
    ObjectInvalid : it is drawn on an image that is none of these
    """
    if shape.on_image is not None:
        sources.header_of(shape.on_image)
        return shape
    reference = getattr(shape.place, "frame_of_reference_uid", "") or sources.frame_of_reference_uid
    in_space = replace(shape, place=PatientPlace(reference))
    if shape.kind in (ShapeKind.BOX, ShapeKind.ELLIPSOID) or reference != sources.frame_of_reference_uid:
        return in_space
    plane = sources.plane_through(shape.points)
    if plane is None:
        return in_space
    frames = () if plane.frame_number is None else (plane.frame_number,)
    # A ten-thousandth of a pixel: what is left of computing with millimetres would put edges outside the image.
    points = tuple(
        (round(float(column), 4) + 0.0, round(float(row), 4) + 0.0) for column, row in plane.to_pixels(shape.points)
    )
    place = ImagePlace(plane.sop_class_uid, plane.sop_instance_uid, frames)
    return Shape(shape.kind, points, place, shape.names, shape.skeleton)


def coordinates(
    shape: Shape, sources: SourceImages, *, name: Code | None = None, relationship: str = INFERRED_FROM
) -> Dataset:
    """The SCOORD or SCOORD3D of a shape, SELECTED FROM its image.

    Raises
    ------
    ObjectInvalid : it lies on no image of these, or nowhere
    """
    shape = placed(shape, sources)
    place = shape.on_image
    if place is None:
        return _in_space(shape, name, relationship)
    if shape.kind is ShapeKind.FRAMES:
        header = sources.header_of(place)
        right, bottom = float(header.Columns), float(header.Rows)
        outline = ((0.0, 0.0), (right, 0.0), (right, bottom), (0.0, bottom), (0.0, 0.0))
        return scoord_at("POLYLINE", outline, place, name=name, relationship=relationship)
    points = (*shape.points, shape.points[0]) if shape.kind in _CLOSED_LINES else shape.points
    return scoord_at(_ON_IMAGE.get(shape.kind, "POLYLINE"), points, place, name=name, relationship=relationship)


def _in_space(shape: Shape, name: Code | None, relationship: str) -> Dataset:
    reference = getattr(shape.place, "frame_of_reference_uid", "")
    if not reference:
        raise ObjectInvalid(f"{shape.kind}: drawn in the patient, on images that have no Frame of Reference")
    if shape.kind is ShapeKind.CIRCLE:
        raise ObjectInvalid(
            "circle: it lies on no slice of its series; draw an ellipse, which says in which plane it is"
        )
    points = (*shape.points, shape.points[0]) if shape.kind in _CLOSED_LINES else shape.points
    return scoord3d(_IN_SPACE.get(shape.kind, "POLYLINE"), points, reference, name=name, relationship=relationship)


def frames_item(place: ImagePlace) -> Dataset:
    """An image, or frames of it, as what a group is about (TID 1501 row 10b)."""
    return image_at(place, name=own_concepts.WHOLE_IMAGE, relationship=CONTAINS)


def naming_items(shape: Shape) -> list[Dataset]:
    """Names and skeleton of keypoints; nothing for others."""
    if shape.kind is not ShapeKind.KEYPOINTS:
        return []
    items = [text(own_concepts.KEYPOINT_NAMES, "\n".join(shape.names))]
    if shape.skeleton:
        joined = " ".join(f"{one + 1}-{other + 1}" for one, other in shape.skeleton)
        items.append(text(own_concepts.SKELETON, joined))
    return items


def kinds_item(words: Sequence[str], shown: Sequence[Dataset], tool: str) -> list[Dataset]:
    """What each of a group's coordinates is, where a reader could not tell."""
    if list(words) == [str(kind_of(item, tool)) for item in shown]:
        return []
    return [text(own_concepts.SHAPE_KINDS, " ".join(words))]


def kind_of(item: Dataset, tool: str = "") -> ShapeKind:
    """The kind that coordinates show by themselves, and by the tool of OHIF that drew them."""
    graphic, numbers = str(item.GraphicType), item.GraphicData
    axes = 2 if item.ValueType == "SCOORD" else 3
    count = len(numbers) // axes
    if graphic == "MULTIPOINT":
        return ShapeKind.KEYPOINTS
    if graphic not in ("POLYLINE", "POLYGON"):
        return ShapeKind(graphic.lower())
    closed = count > 3 and list(numbers[:axes]) == list(numbers[-axes:])
    drawn = KIND_OF_TOOL.get(tool)
    if graphic == "POLYGON" or closed:
        fits = drawn is ShapeKind.FREEHAND or (drawn is ShapeKind.RECTANGLE and count == 4 + closed)
        return drawn if drawn is not None and fits else ShapeKind.POLYGON
    if (drawn, count) in ((ShapeKind.ANGLE, 3), (ShapeKind.COBB_ANGLE, 4)):
        return drawn or ShapeKind.POLYLINE
    return ShapeKind.LINE if count == 2 else ShapeKind.POLYLINE


@dataclass(frozen=True, slots=True)
class Naming:
    """What a group says of one set of keypoints: its names, a line each, and pairs of their numbers ("1-2 2-3")."""

    names: str = ""
    skeleton: str = ""


def shape_from(item: Dataset, kind: ShapeKind, naming: Naming | None = None) -> Shape:
    """The shape of an SCOORD or SCOORD3D, keypoints with the names that its group has for them.

    Raises
    ------
    ObjectInvalid : the coordinates are none of such a shape, or name no image
    """
    place = place_of(item)
    axes = 2 if isinstance(place, ImagePlace) else 3
    numbers = [float(value) for value in item.GraphicData]
    points = [tuple(numbers[first : first + axes]) for first in range(0, len(numbers), axes)]
    if kind is ShapeKind.FRAMES:
        points = []
    elif kind in _CLOSED_LINES and len(points) > 1 and points[0] == points[-1]:
        points.pop()
    try:
        names, skeleton = _named(naming or Naming(), len(points)) if kind is ShapeKind.KEYPOINTS else ((), ())
        return Shape(kind, tuple(points), place, names, skeleton)
    except ValueError as error:
        raise ObjectInvalid(f"coordinates that are no {error}") from error


def place_of(item: Dataset) -> Place:
    """Where coordinates lie: on the image that they were selected from, or in a frame of reference.

    Raises
    ------
    ObjectInvalid : an SCOORD that was selected from no image
    """
    if item.ValueType == "SCOORD3D":
        return PatientPlace(str(item.get("ReferencedFrameOfReferenceUID", "")))
    for below in item.get("ContentSequence") or ():
        references = below.get("ReferencedSOPSequence")
        if below.get("ValueType") == "IMAGE" and references:
            return image_place(references[0])
    raise ObjectInvalid("coordinates that were selected from no image")


def image_place(reference: Dataset) -> ImagePlace:
    """An item of Referenced SOP Sequence as a place."""
    numbers = reference.get("ReferencedFrameNumber")
    frames = () if numbers in (None, "") else numbers if isinstance(numbers, MultiValue | list) else [numbers]
    return ImagePlace(
        str(reference.ReferencedSOPClassUID), str(reference.ReferencedSOPInstanceUID), tuple(int(one) for one in frames)
    )


def namings_of(group: Dataset) -> list[Naming]:
    """Names and skeleton of each of a group's sets of keypoints, in the order of the document."""
    found: list[Naming] = []
    for item in children(group):
        name = name_of(item)
        if name is None or item.get("ValueType") != "TEXT":
            continue
        if concepts.same(name, own_concepts.KEYPOINT_NAMES):
            found.append(Naming(str(item.get("TextValue", ""))))
        elif found and concepts.same(name, own_concepts.SKELETON):
            found[-1] = replace(found[-1], skeleton=str(item.get("TextValue", "")))
    return found


def _named(naming: Naming, count: int) -> tuple[tuple[str, ...], tuple[tuple[int, int], ...]]:
    """Names for so many keypoints, and which are joined; numbers where there are not as many names.

    A name that comes again, as where unknown words were taken out of names, gets its number after it.
    """
    names = naming.names.split("\n")
    if len(names) != count:
        names = [str(number) for number in range(1, count + 1)]
    told = tuple(
        name if name and name not in names[:place] else f"{name} {place + 1}".strip()
        for place, name in enumerate(names)
    )
    edges = (edge.split("-") for edge in naming.skeleton.split())
    return told, tuple((int(one) - 1, int(other) - 1) for one, other in edges)

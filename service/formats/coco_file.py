"""COCO files read back: which image of the archive each region is on, and what it marks there."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from service.errors import BadRequest, FormatRefused
from service.formats.coco_keypoints import is_number, skeleton_in
from service.formats.finding_shapes import PointsShape
from service.formats.labels import Label, LabelMapping
from service.formats.place_list import PictureList, PicturePlace

_EDGE: Final = 1e-3
"""In pixels: what rounding may put a corner beyond an image."""
_POINTS: Final = ("point", "keypoints")
PixelPoints = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class CocoRegion:
    """One annotation.

    Parameters
    ----------
    name : by which messages know it ("annotation 7")
    polygons : closed lines of (column, row); (0, 0) is the top left corner of the first pixel
    box : left, top, right, bottom
    run_lengths : COCO's segmentation, where it is a mask
    tracking_uid : joins regions of one thing on several pictures; "" where the file gives none
    """

    name: str
    label: Label
    text: str
    width: int
    height: int
    place: PicturePlace
    tracking_uid: str = ""
    confidence: float | None = None
    run_lengths: Mapping[str, Any] | None = field(default=None, repr=False)
    polygons: tuple[PixelPoints, ...] = ()
    box: tuple[float, float, float, float] | None = None
    points: PointsShape | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CocoContent:
    """What a file marks: regions by series, what is wrong by series, and what is wrong with no series' regions."""

    regions: Mapping[str, list[CocoRegion]]
    faults: Mapping[str, list[str]]
    elsewhere: tuple[str, ...]


def read_coco(file: Path, mapping: LabelMapping, pictures: PictureList | None) -> CocoContent:
    """Every region of a file.

    Parameters
    ----------
    pictures : where pictures come from that do not say it themselves

    Raises
    ------
    BadRequest : it is not a COCO file
    """
    try:
        document = json.loads(file.read_bytes())
        lists = [document[key] for key in ("images", "annotations", "categories")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadRequest(f"{file.name} is not a COCO file with images, annotations and categories") from error
    if not all(isinstance(one, list) and all(isinstance(item, dict) for item in one) for one in lists):
        raise BadRequest(f"{file.name}: images, annotations and categories are lists of objects")
    images, annotations, categories = lists
    by_id = {_key(image, "id"): image for image in images}
    by_number = {_key(category, "id"): category for category in categories}
    regions: dict[str, list[CocoRegion]] = defaultdict(list)
    faults: dict[str, list[str]] = defaultdict(list)
    elsewhere: list[str] = []
    for annotation in annotations:
        name = f"annotation {annotation.get('id')}"
        try:
            image = _image(annotation, by_id)
            place = _place(image, pictures)
        except FormatRefused as error:
            elsewhere.append(f"{name}: {error}")
            continue
        try:
            regions[place.series_uid].append(_region(name, annotation, image, place, by_number, mapping))
        except FormatRefused as error:
            faults[place.series_uid].append(f"{name}: {error}")
    return CocoContent(regions, faults, tuple(elsewhere))


def _key(item: Mapping[str, Any], name: str) -> Any:
    """An identifier; None where it is neither a number nor a text."""
    value = item.get(name)
    return value if isinstance(value, int | str) else None


def _image(annotation: Mapping[str, Any], by_id: Mapping[Any, dict[str, Any]]) -> dict[str, Any]:
    key = _key(annotation, "image_id")
    if key is None or key not in by_id:
        raise FormatRefused(f"it refers to image {key}, which is not in the file: add it to images, or leave this out")
    return by_id[key]


def _place(image: Mapping[str, Any], pictures: PictureList | None) -> PicturePlace:
    own = image.get("annogate")
    if isinstance(own, dict) and own.get("series_uid") and own.get("sop_instance_uid"):
        frame = own.get("frame")
        return PicturePlace(
            str(own["series_uid"]), str(own["sop_instance_uid"]), frame if isinstance(frame, int) else 1
        )
    if pictures is None:
        raise FormatRefused(
            f"image {image.get('id')} does not say which image of the archive it is: give the list of pictures of the "
            "dataset that it comes from (--pictures tables/pictures.csv)"
        )
    return pictures.place_of(str(image.get("file_name", "")))


def _region(
    name: str,
    annotation: Mapping[str, Any],
    image: Mapping[str, Any],
    place: PicturePlace,
    categories: Mapping[Any, Mapping[str, Any]],
    mapping: LabelMapping,
) -> CocoRegion:
    number = _key(annotation, "category_id")
    if number is None or number not in categories:
        raise FormatRefused(f"it refers to category {number}, which is not in the file: add it to categories")
    category = categories[number]
    label = mapping.named(str(category.get("name", "")))
    width, height = image.get("width"), image.get("height")
    if not isinstance(width, int) or not isinstance(height, int) or min(width, height) < 1:
        raise FormatRefused("its image has no width and height")
    own = annotation.get("annogate")
    own = own if isinstance(own, dict) else {}
    segmentation = annotation.get("segmentation")
    is_box = own.get("kind") == "box" or not segmentation
    points = _key_points(annotation, category)
    polygons = tuple(_polygons(segmentation)) if isinstance(segmentation, list) and not is_box else ()
    is_point = own.get("kind") in _POINTS or (points is not None and not segmentation and not _has_size(annotation))
    box = _box(annotation) if is_box and not is_point else None
    for corners in (
        *polygons,
        () if points is None else points.points,
        () if box is None else ((box[0], box[1]), (box[2], box[3])),
    ):
        _refuse_outside(corners, width, height)
    return CocoRegion(
        name=name,
        label=label,
        text=str(own.get("finding") or label.name),
        width=width,
        height=height,
        place=place,
        tracking_uid=str(own.get("tracking_uid") or ""),
        confidence=_confidence(annotation.get("score")),
        run_lengths=segmentation if isinstance(segmentation, dict) and not is_box else None,
        polygons=polygons,
        box=box,
        points=points,
    )


def _numbers(values: Any, what: str) -> list[float]:
    if not isinstance(values, list) or not all(is_number(value) for value in values):
        raise FormatRefused(f"its {what} is not a list of numbers")
    return [float(value) for value in values]


def _box(annotation: Mapping[str, Any]) -> tuple[float, float, float, float]:
    values = _numbers(annotation.get("bbox"), "bbox")
    if len(values) != 4 or values[2] <= 0 or values[3] <= 0:
        raise FormatRefused("its bbox is not left, top, width and height, the last two above 0")
    left, top, width, height = values
    return left, top, left + width, top + height


def _has_size(annotation: Mapping[str, Any]) -> bool:
    values = annotation.get("bbox")
    return (
        isinstance(values, list)
        and len(values) == 4
        and all(isinstance(one, int | float) and one > 0 for one in values[2:])
    )


def _polygons(segmentation: list[Any]) -> Iterator[PixelPoints]:
    for polygon in segmentation:
        values = _numbers(polygon, "polygon")
        if len(values) < 6 or len(values) % 2:
            raise FormatRefused("a polygon of it has not three points at least, two numbers each")
        yield tuple(zip(values[::2], values[1::2], strict=True))


def _key_points(annotation: Mapping[str, Any], category: Mapping[str, Any]) -> PointsShape | None:
    """Those that are labelled, with the names that its category has for them."""
    values = _numbers(annotation.get("keypoints") or [], "keypoints")
    return skeleton_in(category).points_in(values) if values else None


def _refuse_outside(points: PixelPoints, width: int, height: int) -> None:
    for column, row in points:
        off = max(-column, column - width, -row, row - height)
        if off > _EDGE:
            raise FormatRefused(
                f"it reaches {off:.4g} pixels beyond its image of {width} × {height}: cut it to the image"
            )


def _confidence(score: Any) -> float | None:
    if score is None:
        return None
    if not is_number(score) or not 0 <= score <= 1:
        raise FormatRefused("its score is not a number from 0 to 1")
    return float(score)

"""Regions of COCO files as findings on volumes: masks, contours, boxes and points."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.findings import Finding
from service.core.geometry import ImagePlace, Shape, ShapeKind, point, polygon, rectangle
from service.core.volume_slices import VolumeSlices
from service.errors import FormatRefused
from service.formats.annotation_import import Marks
from service.formats.coco_file import CocoRegion, read_coco
from service.formats.finding_shapes import PointsShape, SlicePlanes, planes_of
from service.formats.flat_images import FlatImages
from service.formats.intake import ImportedItem, ImportStatus
from service.formats.labels import LabelMapping
from service.formats.mask_files import finding_of_label
from service.formats.place_list import PictureList
from service.formats.run_lengths import decoded
from service.formats.slice_layers import mask_of_layers, slice_of_image, slices_by_image
from service.formats.stable_uids import content_digest, uid_of

_MOST_FAULTS: Final = 5


def marks_of_coco(file: Path, mapping: LabelMapping, pictures: PictureList | None) -> Iterator[Marks | ImportedItem]:
    """The regions of a file, those of a series together: a series is taken in whole or not at all.

    Raises
    ------
    BadRequest : it is not a COCO file
    """
    content = read_coco(file, mapping, pictures)
    for fault in content.elsewhere:
        yield ImportedItem(file.name, ImportStatus.REFUSED, fault)
    digest = content_digest(file)
    for series_uid in sorted({*content.regions, *content.faults}):
        if faults := content.faults.get(series_uid):
            more = f"; and {len(faults) - _MOST_FAULTS} more" if len(faults) > _MOST_FAULTS else ""
            reason = "; ".join(faults[:_MOST_FAULTS]) + more
            yield ImportedItem(file.name, ImportStatus.REFUSED, reason, series_uid=series_uid)
            continue
        yield Marks(
            source=file.name,
            series_uid=series_uid,
            digest=uid_of(digest, mapping.digest),
            findings_on=lambda volume, found=content.regions[series_uid]: _findings(found, volume),  # type: ignore[misc]
        )


def _findings(regions: Sequence[CocoRegion], volume: VolumeSlices | FlatImages) -> list[Finding]:
    """A finding for each thing: regions of one tracking UID together, any other by itself."""
    slices = slices_by_image(volume)
    planes = planes_of(volume)
    things: dict[tuple[str, str], list[tuple[CocoRegion, int]]] = defaultdict(list)
    for region in regions:
        number = slice_of_image(slices, (region.place.sop_instance_uid, region.place.frame), volume, region.name)
        if (region.height, region.width) != volume.shape[1:]:
            raise FormatRefused(
                f"{region.name}: its picture has {region.width} × {region.height} pixels, the image "
                f"{volume.shape[2]} × {volume.shape[1]}: bring regions to the size of the image"
            )
        key = ("thing", region.tracking_uid) if region.tracking_uid else ("region", region.name)
        things[key].append((region, number))
    return [_finding(found, planes) for found in things.values()]


def _finding(found: Sequence[tuple[CocoRegion, int]], planes: SlicePlanes) -> Finding:
    first = found[0][0]
    finding = finding_of_label(first.label, first.text, tracking_uid=first.tracking_uid, confidence=first.confidence)
    layers: dict[int, npt.NDArray[np.bool_]] = {}
    shapes: list[Shape] = []
    for region, number in found:
        place = planes.place(number)
        if region.run_lengths is not None:
            inside = _inside(region)
            layers[number] = inside | layers[number] if number in layers else inside
        shapes += [polygon(corners, place) for corners in region.polygons]
        shapes += _drawn_points(region.points, place)
        if region.box is not None:
            shapes.append(rectangle(*region.box, place))
    return replace(finding, mask=mask_of_layers(layers), shapes=tuple(shapes))


def _drawn_points(points: PointsShape | None, place: ImagePlace) -> list[Shape]:
    if points is None:
        return []
    if points.names:
        return [Shape(ShapeKind.KEYPOINTS, points.points, place, points.names, points.skeleton)]
    return [point(at, place) for at in points.points]


def _inside(region: CocoRegion) -> npt.NDArray[np.bool_]:
    try:
        inside = decoded(dict(region.run_lengths or {}), region.height, region.width)
    except FormatRefused as error:
        raise FormatRefused(f"{region.name}: {error}") from error
    if not inside.any():
        raise FormatRefused(f"{region.name}: its mask has no pixel")
    return inside

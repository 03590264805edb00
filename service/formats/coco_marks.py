"""Regions of COCO files as findings on volumes: masks, contours, boxes and points."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.findings import Box, Contour, Finding, Point
from service.core.volume_slices import VolumeSlices
from service.errors import FormatRefused
from service.formats.annotation_import import Marks
from service.formats.coco_file import CocoRegion, read_coco
from service.formats.finding_shapes import SlicePlanes
from service.formats.intake import ImportedItem, ImportStatus
from service.formats.labels import LabelMapping
from service.formats.mask_files import finding_of_label
from service.formats.place_list import PictureList
from service.formats.run_lengths import decoded
from service.formats.slice_layers import mask_of_layers, slices_by_image
from service.formats.stable_uids import content_digest, uid_of

_MOST_FAULTS: Final = 5
_ALONG_PATIENT: Final = 1e-6
_BOX_SHARE: Final = 0.25
"""Of the distance between slices: how far a box reaches to either side of the slice that it was drawn on."""


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


def _findings(regions: Sequence[CocoRegion], volume: VolumeSlices) -> list[Finding]:
    """A finding for each thing: regions of one tracking UID together, any other by itself."""
    slices = slices_by_image(volume)
    planes = SlicePlanes(volume)
    things: dict[tuple[str, str], list[tuple[CocoRegion, int]]] = defaultdict(list)
    for region in regions:
        number = slices.get((region.place.sop_instance_uid, region.place.frame))
        if number is None:
            raise FormatRefused(f"{region.name}: its image is not in the series any more")
        if (region.height, region.width) != volume.shape[1:]:
            raise FormatRefused(
                f"{region.name}: its picture has {region.width} × {region.height} pixels, the image "
                f"{volume.shape[2]} × {volume.shape[1]}: bring regions to the size of the image"
            )
        key = ("thing", region.tracking_uid) if region.tracking_uid else ("region", region.name)
        things[key].append((region, number))
    return [_finding(found, volume, planes) for found in things.values()]


def _finding(found: Sequence[tuple[CocoRegion, int]], volume: VolumeSlices, planes: SlicePlanes) -> Finding:
    first = found[0][0]
    finding = finding_of_label(first.label, first.text, tracking_uid=first.tracking_uid, confidence=first.confidence)
    layers: dict[int, npt.NDArray[np.bool_]] = {}
    contours: list[Contour] = []
    boxes: list[Box] = []
    points: list[Point] = []
    for region, number in found:
        to_patient = planes.planes[number].to_patient
        if region.run_lengths is not None:
            inside = _inside(region)
            layers[number] = inside | layers[number] if number in layers else inside
        contours += [Contour(to_patient(polygon)) for polygon in region.polygons]
        points += to_patient(region.points) if region.points else ()
        if region.box is not None:
            left, top, right, bottom = region.box
            corners = to_patient([(left, top), (right, top), (right, bottom), (left, bottom)])
            if (box := _box(corners, volume, number)) is not None:
                boxes.append(box)
            else:
                contours.append(Contour(corners))
    return replace(
        finding,
        mask=mask_of_layers(layers),
        contours=tuple(contours),
        boxes=tuple(boxes),
        points=tuple(points),
    )


def _inside(region: CocoRegion) -> npt.NDArray[np.bool_]:
    try:
        inside = decoded(dict(region.run_lengths or {}), region.height, region.width)
    except FormatRefused as error:
        raise FormatRefused(f"{region.name}: {error}") from error
    if not inside.any():
        raise FormatRefused(f"{region.name}: its mask has no pixel")
    return inside


def _box(corners: Sequence[Point], volume: VolumeSlices, number: int) -> Box | None:
    """A box along the patient's axes, as boxes are kept; None where the slice's rows or columns run otherwise."""
    one = volume.slices[number]
    axes = np.abs([one.along_columns, one.along_rows])
    if np.any(axes.max(axis=1) < 1 - _ALONG_PATIENT):
        return None
    across = one.normal * abs(float(volume.stack.step @ one.normal)) * _BOX_SHARE
    ends = np.concatenate([np.asarray(corners) - across, np.asarray(corners) + across])
    low, high = ends.min(axis=0), ends.max(axis=0)
    return Box((float(low[0]), float(low[1]), float(low[2])), (float(high[0]), float(high[1]), float(high[2])))

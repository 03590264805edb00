"""Rules of softcopy presentation states (PS3.3 A.33, C.10.5, C.11.10): layers, graphics, and where they lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from pydicom.dataset import Dataset

from service.objects.checking.object_case import ObjectCase
from service.objects.known_instances import instance_uids_in
from service.objects.rule_catalogue import Breach

_POINTS: Final = {"POINT": (1, 1), "POLYLINE": (2, 0), "INTERPOLATED": (2, 0), "CIRCLE": (2, 2), "ELLIPSE": (4, 4)}
"""Least and most points of each Graphic Type, 0 any number (C.10.5.1.2)."""
_EDGE: Final = 1.0
"""Pixels: coordinates count from (1, 1), the top left pixel, and what marks an edge may lie on it (C.10.5.1.2)."""


def presentation_state_breaches(case: ObjectCase) -> Iterator[Breach]:
    """Layers and graphics."""
    annotations = list(case.data_set.get("GraphicAnnotationSequence") or ())
    layers = [str(layer.get("GraphicLayer", "")) for layer in case.data_set.get("GraphicLayerSequence") or ()]
    missing = {str(one.get("GraphicLayer", "")) for one in annotations} - set(layers) - {""}
    if missing:
        yield "PR-LAYERS", f"{len(missing)} graphic layers are used that are not defined"
    if len(set(layers)) < len(layers):
        yield "PR-LAYERS", "a graphic layer is defined twice"
    for annotation in annotations:
        for graphic in annotation.get("GraphicObjectSequence") or ():
            yield from _graphic_breaches(graphic)
            yield from _image_breaches(case, annotation, graphic)


def _graphic_breaches(graphic: Dataset) -> Iterator[Breach]:
    numbers, kind = list(graphic.get("GraphicData") or ()), str(graphic.get("GraphicType", ""))
    declared, limits = graphic.get("NumberOfGraphicPoints"), _POINTS.get(kind)
    if not numbers or declared is None or limits is None:
        return  # what is missing, or unknown, is another rule's
    if len(numbers) != 2 * int(declared):
        yield "PR-GRAPHIC", f"a {kind} has {len(numbers)} numbers for {declared} points"
    elif int(declared) < limits[0] or (limits[1] and int(declared) > limits[1]):
        yield "PR-GRAPHIC", f"{declared} points do not make a {kind}"


def _image_breaches(case: ObjectCase, annotation: Dataset, graphic: Dataset) -> Iterator[Breach]:
    """A graphic in pixels lies on each image that it is for."""
    numbers = list(graphic.get("GraphicData") or ())
    if graphic.get("GraphicAnnotationUnits") != "PIXEL" or not numbers or len(numbers) % 2:
        return
    points = np.array([float(number) for number in numbers]).reshape(-1, 2)
    if not np.isfinite(points).all():
        return
    for uid in _images_of(case.data_set, annotation):
        source = case.known.sources.get(uid)
        if source is None or not source.get("Rows") or not source.get("Columns"):
            continue
        limits = np.array([float(source.Columns), float(source.Rows)])
        if (points < -_EDGE).any() or (points > limits + _EDGE).any():
            yield "PR-INSIDE", "a graphic lies outside its image"
            return


def _images_of(data_set: Dataset, annotation: Dataset) -> list[str]:
    own = list(instance_uids_in(annotation.get("ReferencedImageSequence")))
    return own or [
        uid
        for series in data_set.get("ReferencedSeriesSequence") or ()
        for uid in instance_uids_in(series.get("ReferencedImageSequence"))
    ]

"""Rules of Microscopy Bulk Simple Annotations (PS3.3 A.87, C.37.1): groups, their coordinates, their measurements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from service.objects.checking.object_case import ObjectCase
from service.objects.rule_catalogue import Breach

MICROSCOPY_BULK_ANNOTATIONS: Final = "1.2.840.10008.5.1.4.1.1.91.1"

_POINTS_EACH: Final = {"POINT": 1, "ELLIPSE": 4, "RECTANGLE": 4}
_LISTED: Final = {"POLYLINE": 2, "POLYGON": 3}
"""Least points of shapes whose beginnings are listed."""
_WORDS: Final = {
    "PointCoordinatesData": "<f4",
    "DoublePointCoordinatesData": "<f8",
    "LongPrimitivePointIndexList": "<u4",
}
_ROUNDING: Final = 0.01
Numbers = npt.NDArray[Any]


def bulk_annotation_breaches(case: ObjectCase) -> Iterator[Breach]:
    """Every group by itself, and all of them together."""
    groups = list(case.data_set.get("AnnotationGroupSequence") or ())
    numbers = [group.get("AnnotationGroupNumber") for group in groups]
    uids = [str(group.get("AnnotationGroupUID", "")) for group in groups]
    if numbers != list(range(1, len(numbers) + 1)):
        yield "ANN-NUMBERS", f"{len(numbers)} groups are not numbered from 1 in steps of 1"
    if len(set(uids)) < len(uids):
        yield "ANN-NUMBERS", "two groups share an Annotation Group UID"
    for group in groups:
        yield from _group_breaches(case, group)


def _group_breaches(case: ObjectCase, group: Dataset) -> Iterator[Breach]:
    place = f"group {group.get('AnnotationGroupNumber')}"
    coordinates = _coordinates(group)
    if coordinates is None:
        return
    each = 3 if case.data_set.get("AnnotationCoordinateType") == "3D" and "CommonZCoordinateValue" not in group else 2
    if len(coordinates) % each:
        yield "ANN-COUNT", f"{place}: {len(coordinates)} numbers are no points of {each}"
        return
    points, kind = len(coordinates) // each, str(group.get("GraphicType", ""))
    declared = group.get("NumberOfAnnotations")
    if kind in _POINTS_EACH and declared is not None and points != _POINTS_EACH[kind] * int(declared):
        yield "ANN-COUNT", f"{place}: {points} points are not {declared} annotations"
    elif kind in _LISTED and declared is not None:
        yield from _index_breaches(group, place, points, each, int(declared))
    yield from _measurement_breaches(group, place)
    if each == 2 and case.data_set.get("AnnotationCoordinateType") == "2D":
        yield from _image_breaches(case, coordinates.reshape(-1, 2), place)


def _coordinates(group: Dataset) -> Numbers | None:
    found = _words(group, "PointCoordinatesData")
    return _words(group, "DoublePointCoordinatesData") if found is None else found


def _words(group: Dataset, keyword: str) -> Numbers | None:
    """The numbers of an element of binary VR; None where it is missing or not whole."""
    value, kind = group.get(keyword), np.dtype(_WORDS[keyword])
    if not isinstance(value, bytes) or len(value) % kind.itemsize:
        return None
    return np.frombuffer(value, kind)


def _index_breaches(group: Dataset, place: str, points: int, each: int, declared: int) -> Iterator[Breach]:
    """Where each shape begins: from 1, counted in numbers, ascending, long enough for its kind (C.37.1.2)."""
    starts = _words(group, "LongPrimitivePointIndexList")
    if starts is None:
        return
    if len(starts) != declared:
        yield "ANN-INDEX", f"{place}: {len(starts)} beginnings are listed for {declared} annotations"
        return
    ends = np.append(starts.astype(np.int64), points * each + 1)
    lengths = np.diff(ends)
    least = _LISTED[str(group.GraphicType)] * each
    if len(starts) and (ends[0] != 1 or (lengths < least).any() or (lengths % each).any()):
        yield "ANN-INDEX", f"{place}: what is listed does not cut the points into shapes"


def _measurement_breaches(group: Dataset, place: str) -> Iterator[Breach]:
    """As many values as annotations, or as many as are listed for them (C.37.1.2)."""
    for measurement in group.get("MeasurementsSequence") or ():
        for values in measurement.get("MeasurementValuesSequence") or ():
            count = _length(values.get("FloatingPointValues"), 4)
            listed = values.get("AnnotationIndexList")
            expected = group.get("NumberOfAnnotations") if listed is None else _length(listed, 4)
            if count is not None and expected is not None and count != int(expected):
                yield "ANN-MEASUREMENTS", f"{place}: {count} values are given for {expected} annotations"


def _length(value: Any, width: int) -> int | None:
    return len(value) // width if isinstance(value, bytes) else None


def _image_breaches(case: ObjectCase, points: Numbers, place: str) -> Iterator[Breach]:
    for item in case.data_set.get("ReferencedImageSequence") or ():
        source = case.known.sources.get(str(item.get("ReferencedSOPInstanceUID", "")))
        if source is None:
            continue
        is_volume = case.data_set.get("PixelOriginInterpretation") == "VOLUME"
        names = ("TotalPixelMatrixColumns", "TotalPixelMatrixRows") if is_volume else ("Columns", "Rows")
        limits = np.array([float(source.get(name) or 0) for name in names])
        finite = points[np.isfinite(points).all(axis=1)]
        if limits.all() and ((finite < -_ROUNDING).any() or (finite > limits + _ROUNDING).any()):
            yield "ANN-INSIDE", f"{place}: annotations lie outside their image"

"""Rules of RT Structure Set (PS3.3 A.19, C.8.8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from pydicom.dataset import Dataset

from service.objects.checking.flatness import is_flat
from service.objects.checking.object_case import ObjectCase
from service.objects.rule_catalogue import Breach

_PLANAR: Final = frozenset({"OPEN_PLANAR", "CLOSED_PLANAR", "CLOSEDPLANAR_XOR"})
_LEAST: Final = {"CLOSED_PLANAR": 3, "CLOSEDPLANAR_XOR": 3, "OPEN_PLANAR": 2, "OPEN_NONPLANAR": 2, "POINT": 1}
"""Points that make a contour of each Contour Geometric Type (C.8.8.6.1)."""


def structure_set_breaches(case: ObjectCase) -> Iterator[Breach]:
    """ROI numbers, contours and the frames of reference that they are drawn in."""
    yield from _roi_breaches(case.data_set)
    for roi in case.data_set.get("ROIContourSequence") or ():
        for contour in roi.get("ContourSequence") or ():
            yield from _contour_breaches(roi, contour)


def _roi_breaches(data_set: Dataset) -> Iterator[Breach]:
    rois = list(data_set.get("StructureSetROISequence") or ())
    numbers = [roi.get("ROINumber") for roi in rois]
    if len(set(numbers)) < len(numbers):
        yield "RT-ROI", "an ROI number is used twice"
    for keyword in ("ROIContourSequence", "RTROIObservationsSequence"):
        strange = {item.get("ReferencedROINumber") for item in data_set.get(keyword) or ()} - set(numbers)
        if strange:
            yield "RT-ROI", f"{keyword} refers to {len(strange)} ROIs that are not there"
    declared = {
        str(item.get("FrameOfReferenceUID")) for item in data_set.get("ReferencedFrameOfReferenceSequence") or ()
    }
    used = {str(roi.ReferencedFrameOfReferenceUID) for roi in rois if roi.get("ReferencedFrameOfReferenceUID")}
    if declared and used - declared:
        yield "RT-FRAME-OF-REFERENCE", f"ROIs lie in {len(used - declared)} frames of reference that are not listed"


def _contour_breaches(roi: Dataset, contour: Dataset) -> Iterator[Breach]:
    points, numbers = contour.get("NumberOfContourPoints"), list(contour.get("ContourData") or ())
    kind, place = str(contour.get("ContourGeometricType", "")), f"ROI {roi.get('ReferencedROINumber')}"
    if points is None or not numbers:
        return  # that they are missing is another rule's
    if len(numbers) != 3 * int(points):
        yield "RT-CONTOUR", f"{place}: {points} points, but {len(numbers)} coordinates"
        return
    if int(points) < _LEAST.get(kind, 1) or (kind == "POINT" and int(points) > 1):
        yield "RT-CONTOUR", f"{place}: {points} points do not make a {kind} contour"
        return
    try:
        coordinates = np.array([float(number) for number in numbers]).reshape(-1, 3)
    except (TypeError, ValueError):
        return  # how they are written is another rule's
    if kind in _PLANAR and np.isfinite(coordinates).all() and not is_flat(coordinates):
        yield "RT-PLANAR", f"{place}: the points of a {kind} contour do not lie in one plane"

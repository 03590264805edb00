"""Rules of RT Structure Set (PS3.3 A.19, C.8.8)."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from service.objects.known_instances import KnownInstances, instance_uids_in
from service.objects.rule_catalogue import Breach


def structure_set_breaches(data_set: Dataset, known: KnownInstances) -> Iterator[Breach]:
    """ROI numbers, contours and the images that they were drawn on."""
    yield from _roi_breaches(data_set)
    for roi in data_set.get("ROIContourSequence") or ():
        for contour in roi.get("ContourSequence") or ():
            points, numbers = contour.get("NumberOfContourPoints"), len(contour.get("ContourData") or ())
            if points is None or numbers != 3 * int(points):
                yield "RT-CONTOUR", f"ROI {roi.get('ReferencedROINumber')}: {points} points, but {numbers} coordinates"
    yield from _source_breaches(data_set, known)


def _roi_breaches(data_set: Dataset) -> Iterator[Breach]:
    numbers = [roi.get("ROINumber") for roi in data_set.get("StructureSetROISequence") or ()]
    if len(set(numbers)) < len(numbers):
        yield "RT-ROI", "an ROI number is used twice"
    for keyword in ("ROIContourSequence", "RTROIObservationsSequence"):
        strange = {item.get("ReferencedROINumber") for item in data_set.get(keyword) or ()} - set(numbers)
        if strange:
            yield "RT-ROI", f"{keyword} refers to {len(strange)} ROIs that are not there"


def _source_breaches(data_set: Dataset, known: KnownInstances) -> Iterator[Breach]:
    listed = {
        uid
        for frame in data_set.get("ReferencedFrameOfReferenceSequence") or ()
        for study in frame.get("RTReferencedStudySequence") or ()
        for series in study.get("RTReferencedSeriesSequence") or ()
        for uid in instance_uids_in(series.get("ContourImageSequence"))
    }
    drawn_on = {
        uid
        for roi in data_set.get("ROIContourSequence") or ()
        for contour in roi.get("ContourSequence") or ()
        for uid in instance_uids_in(contour.get("ContourImageSequence"))
    }
    if drawn_on - listed:
        yield "RT-SOURCES", f"{len(drawn_on - listed)} contour images are not listed under their series"
    if known.sources and drawn_on - set(known.sources):
        yield "RT-SOURCES", f"{len(drawn_on - set(known.sources))} contour images are not known"

"""Every reference of an object to an instance, from where its IOD has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage, RTStructureSetStorage

from service.objects.checking.condition import values_of
from service.objects.checking.frame_table import FrameTable
from service.objects.content_tree import descendants
from service.objects.known_instances import instance_uids_in

_SEGMENTATIONS: Final = frozenset(
    {"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7", "1.2.840.10008.5.1.4.1.1.66.5"}
)
_SR: Final = "1.2.840.10008.5.1.4.1.1.88."
DRAWN_ON: Final = ("GraphicAnnotationSequence", "DisplayedAreaSelectionSequence", "SoftcopyVOILUTSequence")
"""Where a presentation state names the images that something is for (PS3.3 C.10.5, C.10.4, C.11.8)."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference to an instance.

    Parameters
    ----------
    is_image : it is drawn on, or derived from
    """

    sop_class_uid: str
    sop_instance_uid: str
    frames: tuple[int, ...] = ()
    segments: tuple[int, ...] = ()
    is_image: bool = True


def references_of(data_set: Dataset, frames: FrameTable) -> Iterator[Reference]:
    """All of them, some more than once."""
    sop_class = str(data_set.get("SOPClassUID", ""))
    for source in {source for frame in (frames.shared, *frames.frames) for source in frame.sources}:
        yield Reference(source.sop_class_uid, source.sop_instance_uid, (source.frame,) if source.frame else ())
    if sop_class.startswith(_SR):
        yield from _content_references(data_set)
        return
    if sop_class == RTStructureSetStorage:
        yield from (reference for reference, _ in contour_references(data_set))
    yield from _of_items(data_set.get("ReferencedImageSequence"))
    yield from _of_items(data_set.get("SourceImageSequence"))
    for series in data_set.get("ReferencedSeriesSequence") or ():
        yield from _of_items(series.get("ReferencedInstanceSequence"))
        yield from _of_items(series.get("ReferencedImageSequence"))
    for keyword in DRAWN_ON:
        for item in data_set.get(keyword) or ():
            yield from _of_items(item.get("ReferencedImageSequence"))


def _content_references(root: Dataset) -> Iterator[Reference]:
    """What is drawn on or selected is an image that has to be known; what a report lists may be elsewhere."""
    selects = root.get("SOPClassUID") == KeyObjectSelectionDocumentStorage
    for parent, item in descendants(root):
        is_drawn_on = item.get("ValueType") == "IMAGE" and (selects or parent.get("ValueType") == "SCOORD")
        yield from _of_items(item.get("ReferencedSOPSequence"), is_image=is_drawn_on)


def _of_items(items: Any, *, is_image: bool = True) -> Iterator[Reference]:
    for item in items or ():
        uid, sop_class = str(item.get("ReferencedSOPInstanceUID") or ""), str(item.get("ReferencedSOPClassUID") or "")
        if uid:
            numbers = [
                tuple(int(value) for value in values_of(item, keyword) if value.isdigit())
                for keyword in ("ReferencedFrameNumber", "ReferencedSegmentNumber")
            ]
            yield Reference(sop_class, uid, numbers[0], numbers[1], is_image and sop_class not in _SEGMENTATIONS)


def contour_references(data_set: Dataset) -> Iterator[tuple[Reference, bool]]:
    """The images of contours, each with whether it is listed among the structure set's own series."""
    listed = {
        uid
        for frame in data_set.get("ReferencedFrameOfReferenceSequence") or ()
        for study in frame.get("RTReferencedStudySequence") or ()
        for series in study.get("RTReferencedSeriesSequence") or ()
        for uid in instance_uids_in(series.get("ContourImageSequence"))
    }
    for roi in data_set.get("ROIContourSequence") or ():
        for contour in roi.get("ContourSequence") or ():
            for reference in _of_items(contour.get("ContourImageSequence")):
                yield reference, reference.sop_instance_uid in listed

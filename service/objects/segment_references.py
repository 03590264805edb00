"""Which segments a report speaks of (TID 1411 row 7)."""

from __future__ import annotations

from pydicom.dataset import Dataset

from service.objects import concepts
from service.objects.content_tree import child, children


def segments_by_tracking_uid(report: Dataset) -> dict[str, tuple[str, int]]:
    """For each tracking UID the segmentation (SOP Instance UID) and the number of the segment that its group names."""
    found: dict[str, tuple[str, int]] = {}
    for measurements in children(report, concepts.IMAGING_MEASUREMENTS):
        for group in children(measurements, concepts.MEASUREMENT_GROUP):
            tracking, reference = child(group, concepts.TRACKING_UID), child(group, concepts.REFERENCED_SEGMENT)
            if tracking is None or reference is None:
                continue
            image = reference.ReferencedSOPSequence[0]
            numbers = image.get("ReferencedSegmentNumber") or 0
            number = numbers if isinstance(numbers, int) else next(iter(numbers))
            found.setdefault(str(tracking.get("UID", "")), (str(image.ReferencedSOPInstanceUID), int(number)))
    return found

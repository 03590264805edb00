"""Segments of any maker as findings: what they are called, what and where they are, and their masks."""

from __future__ import annotations

from dataclasses import replace
from uuid import NAMESPACE_OID, uuid5

from service.core.codes import Code
from service.core.findings import Finding, Mask
from service.errors import ObjectInvalid
from service.objects.read_segments import ReadSegment
from service.objects.segmentation_arrays import masks_of
from service.objects.segmentation_reading import ReadSegmentation
from service.objects.tracking import label_of


def findings_of_segmentation(read: ReadSegmentation) -> list[Finding]:
    """A finding for each segment that is anywhere, in their order, its mask in the grid of ``places``.

    A segment without a tracking UID gets one that is always the same for it. Labels that stand more than once are told
    apart by the segment's number.

    Raises
    ------
    ObjectInvalid : a segment has no category or type; pixels of a label map are in no segment that is described
    InstanceUnreadable : a frame cannot be decoded
    """
    masks = masks_of(read)
    labels = [_label(one) for one in read.segments]
    repeated = {label for label in labels if labels.count(label) > 1} if len(set(labels)) < len(labels) else set()
    return [
        _finding(read, one, f"{label} ({one.number})" if label in repeated else label, masks[one.number])
        for one, label in zip(read.segments, labels, strict=True)
        if one.number in masks
    ]


def _label(segment: ReadSegment) -> str:
    """The label that people know, in full where the tracking identifier is one of ours."""
    known = label_of(segment.tracking_id)
    return known if known and known != segment.tracking_id else segment.label


def _finding(read: ReadSegmentation, segment: ReadSegment, label: str, mask: Mask) -> Finding:
    finding = Finding(
        label=label,
        tracking_uid=tracking_uid_of(read, segment),
        category=_coded(segment, "category", segment.category),
        type=_coded(segment, "type", segment.type),
        site=segment.site,
        laterality=segment.laterality,
        mask=mask,
    )
    return finding if segment.colour is None else replace(finding, colour=segment.colour)


def _coded(segment: ReadSegment, what: str, code: Code | None) -> Code:
    if code is None or not code.value or not code.scheme:
        raise ObjectInvalid(f"segment {segment.number} has no coded property {what} with its coding scheme")
    return code


def tracking_uid_of(read: ReadSegmentation, segment: ReadSegment) -> str:
    """A segment's tracking UID; one that has none gets one that is always the same for it."""
    return segment.tracking_uid or _lasting_uid(read, segment)


def _lasting_uid(read: ReadSegmentation, segment: ReadSegment) -> str:
    name = f"{read.header.get('SOPInstanceUID', '')} segment {segment.number}"
    return f"2.25.{uuid5(NAMESPACE_OID, name).int}"

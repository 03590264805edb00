"""Rules of references: to what is known, under its class, to frames and segments that it has, and listed (C.12.2)."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage

from service.objects.checking.object_case import ObjectCase
from service.objects.checking.references import DRAWN_ON, Reference, contour_references
from service.objects.known_instances import instance_uids_in, number_of_frames
from service.objects.rule_catalogue import Breach


def reference_breaches(case: ObjectCase) -> Iterator[Breach]:
    """Every reference against what is known; of an object that is not known only that it is not."""
    references = case.references
    unknown = sum(
        1 for one in references if _has_to_be_known(case, one) and case.known.get(one.sop_instance_uid) is None
    )
    if unknown:
        yield "REF-KNOWN", f"{unknown} of {len(references)} references lead to what is not known"
    for reference in references:
        target = case.known.get(reference.sop_instance_uid)
        if target is not None:
            yield from _target_breaches(reference, target)
    yield from _listing_breaches(case)
    yield from _predecessor_breaches(case)


def _has_to_be_known(case: ObjectCase, reference: Reference) -> bool:
    """Where images are given, each image; where everything is known, all that is referred to."""
    known = case.known
    return known.is_complete or ((known.was_searched or bool(known.sources)) and reference.is_image)


def _target_breaches(reference: Reference, target: Dataset) -> Iterator[Breach]:
    if reference.sop_class_uid and reference.sop_class_uid != str(target.get("SOPClassUID", "")):
        yield "REF-CLASS", "an instance is referred to under a SOP class that it is not of"
    frames = number_of_frames(target)
    if any(not 1 <= frame <= frames for frame in reference.frames):
        yield "REF-FRAME", f"a frame is referred to that an image of {frames} frames does not have"
    described = {segment.get("SegmentNumber") for segment in target.get("SegmentSequence") or ()}
    if described and any(number not in described for number in reference.segments):
        yield "REF-SEGMENT", "a segment is referred to that the segmentation does not have"


def _listing_breaches(case: ObjectCase) -> Iterator[Breach]:
    """What frames were derived from, and what contours and graphics were drawn on, stands under its series."""
    data_set = case.data_set
    if case.sop_class_uid == RTStructureSetStorage:
        missing = {one.sop_instance_uid for one, is_listed in contour_references(data_set) if not is_listed}
        if missing:
            yield "REF-LISTED", f"{len(missing)} contour images are not listed under their series"
        return
    holders = (data_set, *(data_set.get("StudiesContainingOtherReferencedInstancesSequence") or ()))
    series = [one for holder in holders for one in holder.get("ReferencedSeriesSequence") or ()]
    listed = {uid for one in series for uid in instance_uids_in(one.get("ReferencedInstanceSequence"))}
    listed |= {uid for one in series for uid in instance_uids_in(one.get("ReferencedImageSequence"))}
    used = {source.sop_instance_uid for frame in case.frames.frames for source in frame.sources} | {
        source.sop_instance_uid for source in case.frames.shared.sources
    }
    for keyword in DRAWN_ON:
        for item in data_set.get(keyword) or ():
            used |= set(instance_uids_in(item.get("ReferencedImageSequence")))
    unlisted = used - listed
    if listed and unlisted:
        yield "REF-LISTED", f"{len(unlisted)} instances that are referred to are not listed under their series"


def _predecessor_breaches(case: ObjectCase) -> Iterator[Breach]:
    """An earlier version is another document, and where everything is known, one of those."""
    if str(case.data_set.get("SOPInstanceUID", "")) in case.predecessors:
        yield "SR-PREDECESSOR", "the document names itself as its own predecessor"
    elif case.known.is_complete and any(case.known.get(uid) is None for uid in case.predecessors):
        yield "SR-PREDECESSOR", "a predecessor is not known"

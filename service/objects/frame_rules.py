"""Rules that segmentations and parametric maps share: how many frames, their dimensions, where they lie."""

from __future__ import annotations

from collections.abc import Iterator

from service.objects.checking.object_case import ObjectCase
from service.objects.known_instances import number_of_frames
from service.objects.rule_catalogue import Breach


def frame_count_breaches(case: ObjectCase) -> Iterator[Breach]:
    """Items of Per-Frame Functional Groups against Number of Frames."""
    groups, frames = len(case.frames.frames), number_of_frames(case.data_set)
    if "PerFrameFunctionalGroupsSequence" in case.data_set and groups != frames and not case.is_tiled_full:
        rule = "SEG-FRAMES" if groups < frames else "SEG-FRAMES-LEFT"
        yield rule, f"{frames} frames, but {groups} items of Per-Frame Functional Groups"


def dimension_breaches(case: ObjectCase) -> Iterator[Breach]:
    """Dimension Index Values against the Dimension Index Sequence, and its organizations against those declared."""
    indices = list(case.data_set.get("DimensionIndexSequence") or [])
    declared = {
        str(item.get("DimensionOrganizationUID")) for item in case.data_set.get("DimensionOrganizationSequence") or []
    }
    for number, item in enumerate(indices, 1):
        uid = item.get("DimensionOrganizationUID")
        if uid and str(uid) not in declared:
            yield "SEG-DIMENSIONS", f"dimension {number} belongs to an organization that is not declared"
    for number, frame in enumerate(case.frames.frames, 1):
        if "FrameContentSequence" not in frame.groups:
            continue  # that it is missing is another rule's
        if frame.indices and len(frame.indices) != len(indices):
            yield (
                "SEG-DIMENSIONS",
                f"frame {number} has {len(frame.indices)} index values for {len(indices)} dimensions",
            )
            return
        if any(value < 1 for value in frame.indices):
            yield "SEG-DIMENSIONS", f"frame {number} has an index value below 1"
            return

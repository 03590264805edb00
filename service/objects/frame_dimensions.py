"""By what the frames of a segmentation differ, and which index each has (PS3.3 C.7.6.17, C.7.6.16.2.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.dataset import Dataset

from service.core.source_frames import SourceFrame, SourceFrames, Space
from service.objects.regular_steps import STEP_TOLERANCE, distances_along_normal, steps_are_regular

_STACK: Final = "1"
_Key = Callable[[int], Any]


@dataclass(frozen=True, slots=True)
class _Dimension:
    """One dimension: the attribute that it counts, its functional group, and each source frame's index."""

    keyword: str
    group: str
    ranks: dict[int, int]


@dataclass(frozen=True, slots=True)
class FrameDimensions:
    """The dimensions of a segmentation's frames.

    Parameters
    ----------
    segments : how many there are, where each frame belongs to one, which is then the first dimension; None in a label
        map
    """

    source: SourceFrames
    segments: int | None
    _dimensions: tuple[_Dimension, ...] = field(repr=False)
    _content: dict[int, dict[str, int | str]] = field(repr=False)

    @classmethod
    def of(cls, source: SourceFrames, shown: Sequence[int], segments: int | None) -> FrameDimensions:
        """The dimensions of those frames of a source that are shown."""
        content: dict[int, dict[str, int | str]] = {number: {} for number in shown}
        dimensions = []
        frames = source.frames
        if any(frames[number].temporal_index is not None for number in shown):
            dimensions.append(_counted("TemporalPositionIndex", shown, lambda n: frames[n].temporal_index or 0))
            for number in shown:
                content[number]["TemporalPositionIndex"] = frames[number].temporal_index or 1
        if source.space is Space.PATIENT:
            dimensions += _patient_dimensions(source, shown, content)
        elif source.space is Space.SLIDE:
            dimensions += _slide_dimensions(source, shown)
        elif not dimensions and (len(frames) > 1 or segments is None):
            dimensions.append(_counted("InStackPositionNumber", shown, lambda n: n))
            for number in shown:
                content[number] |= {"StackID": _STACK, "InStackPositionNumber": number + 1}
        return cls(source, segments, tuple(dimensions), content)

    @property
    def organization_type(self) -> str | None:
        """Dimension Organization Type (0020,9311): tiles, or planes where nothing but their place tells them apart."""
        if self.source.space is Space.SLIDE:
            return "TILED_SPARSE"
        if self.source.space is not Space.PATIENT or len(self._dimensions) > 1 or (self.segments or 1) > 1:
            return None
        places = [self.source.frames[number] for number in self._content]
        return "3D" if len(places) > 1 and steps_are_regular(places) else None

    def index_sequence(self, organization_uid: str) -> list[Dataset]:
        """The items of Dimension Index Sequence (0020,9222)."""
        named = [("ReferencedSegmentNumber", "SegmentIdentificationSequence")] if self.segments is not None else []
        named += [(one.keyword, one.group) for one in self._dimensions]
        return [_index_item(keyword, group, organization_uid) for keyword, group in named]

    def values(self, frame: int, segment: int) -> list[int]:
        """Dimension Index Values (0020,9157) of a segment's frame; ``segment`` counts from 1."""
        ranks = [one.ranks[frame] for one in self._dimensions]
        return [segment, *ranks] if self.segments is not None else ranks

    def content(self, frame: int) -> dict[str, int | str]:
        """What else Frame Content says of a frame, by keyword."""
        return self._content[frame]


def _index_item(keyword: str, group: str, organization_uid: str) -> Dataset:
    item = Dataset()
    pointer = tag_for_keyword(keyword) or 0
    item.DimensionOrganizationUID = organization_uid
    item.DimensionIndexPointer = pointer
    item.FunctionalGroupPointer = tag_for_keyword(group)
    item.DimensionDescriptionLabel = dictionary_description(pointer)
    return item


def _counted(keyword: str, shown: Sequence[int], key: _Key, group: str = "FrameContentSequence") -> _Dimension:
    """A dimension whose indices are the ranks, from 1, of the values that are there."""
    values: dict[int, Hashable] = {number: key(number) for number in shown}
    order = {value: rank for rank, value in enumerate(sorted(set(values.values())), start=1)}  # type: ignore[type-var]
    return _Dimension(keyword, group, {number: order[value] for number, value in values.items()})


def _patient_dimensions(
    source: SourceFrames, shown: Sequence[int], content: dict[int, dict[str, int | str]]
) -> list[_Dimension]:
    """The place along the normal; before it the stack, where several frames show one place at one time."""
    places = [source.frames[number] for number in shown]
    rounded = np.rint(distances_along_normal(places) / STEP_TOLERANCE)
    along = dict(zip(shown, rounded.tolist(), strict=True))
    seen: Counter[Hashable] = Counter()
    stacks: dict[int, int] = {}
    for number in shown:
        frame = source.frames[number]
        place = (frame.temporal_index, frame.position)
        seen[place] += 1
        stacks[number] = seen[place]
    position = _counted(
        "ImagePositionPatient", shown, lambda n: (along[n], source.frames[n].position), "PlanePositionSequence"
    )
    if max(stacks.values(), default=1) == 1:
        return [position]
    for number, stack in stacks.items():
        content[number] |= {"StackID": str(stack), "InStackPositionNumber": position.ranks[number]}
    return [_counted("StackID", shown, lambda n: stacks[n]), position]


def _slide_dimensions(source: SourceFrames, shown: Sequence[int]) -> list[_Dimension]:
    group = "PlanePositionSlideSequence"
    found = [
        _counted("RowPositionInTotalImagePixelMatrix", shown, lambda n: _tile(source.frames[n])[0], group),
        _counted("ColumnPositionInTotalImagePixelMatrix", shown, lambda n: _tile(source.frames[n])[1], group),
    ]
    if len(source.focal_planes) > 1:
        found.append(_counted("ZOffsetInSlideCoordinateSystem", shown, lambda n: _depth(source.frames[n]), group))
    return found


def _tile(frame: SourceFrame) -> tuple[int, int]:
    return frame.matrix_position or (1, 1)


def _depth(frame: SourceFrame) -> float:
    return frame.position[2] if frame.position is not None else 0.0

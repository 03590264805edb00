"""Functional groups of a segmentation's frames, shared and for each frame (PS3.3 A.51.5, C.7.6.16.2, C.8.20.3).

A segment in some hundred slices has as many frames, and what a frame says of its place and its source is said by every
segment that has something there. Each such element is made once and stands in all of those frames: whoever wants to
change one copies it first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as ItemSequence
from pydicom.tag import Tag
from pydicom.valuerep import DSfloat, format_number_as_ds

from service.core.source_frames import SourceFrame, SourceFrames, Space
from service.objects import concepts
from service.objects.content_items import code_item, image_reference
from service.objects.frame_dimensions import FrameDimensions

_FRAME_CONTENT: Final = 0x00209111
_DIMENSION_INDEX_VALUES: Final = Tag(0x00209157)
_DERIVATION_IMAGE: Final = 0x00089124
_PLANE_POSITION: Final = 0x00209113
_PLANE_POSITION_SLIDE: Final = 0x0048021A
_PLANE_ORIENTATION: Final = 0x00209116
_PIXEL_MEASURES: Final = 0x00289110
_PURPOSE_OF_REFERENCE: Final = 0x0040A170
_DERIVATION_CODE: Final = 0x00089215
_SEGMENT_IDENTIFICATION: Final = 0x0062000A
_SAME_COSINE: Final = 1e-3
_SAME_SPACING: Final = 1e-4


def decimals(values: Iterable[float]) -> list[DSfloat]:
    """Numbers as DS, in at most 16 characters."""
    return [DSfloat(format_number_as_ds(float(value))) for value in values]


def sequence(tag: int, *items: Dataset) -> DataElement:
    """A sequence as an element that may stand in several data sets."""
    return DataElement(tag, "SQ", ItemSequence(items))


class FrameGroups:
    """Makes the functional groups of the frames that a segmentation shows.

    Parameters
    ----------
    source : what the frames lie on
    shown : those of its frames that are written
    """

    def __init__(self, source: SourceFrames, shown: Sequence[int], dimensions: FrameDimensions) -> None:
        self._source = source
        self._space = source.space
        self._dimensions = dimensions
        self._purpose = sequence(_PURPOSE_OF_REFERENCE, code_item(concepts.SOURCE_FOR_PROCESSING))
        self._derived_by = sequence(_DERIVATION_CODE, code_item(concepts.SEGMENTATION))
        self._by_segment: dict[int, DataElement] = {}
        places = [source.frames[number] for number in shown]
        self._shared = _alike(places)
        self._by_frame = {
            number: {element.tag: element for element in self._elements_of(source.frames[number])} for number in shown
        }

    def shared(self) -> Dataset:
        """The item of Shared Functional Groups: what holds for all frames."""
        item = Dataset()
        if self._shared:
            for element in self._plane_elements(next(iter(self._source.frames))):
                item.add(element)
        return item

    def of_frame(self, frame: int, segment: int, number: int | None) -> Dataset:
        """The item of Per-Frame Functional Groups of one frame.

        Parameters
        ----------
        frame : index of the source frame
        segment, number : the segment's place, from 1, and its number; None in a label map
        """
        # Data sets from dictionaries: setting elements one by one would take most of the time of many small frames.
        values = DataElement(_DIMENSION_INDEX_VALUES, "UL", self._dimensions.values(frame, segment))
        content = Dataset({_DIMENSION_INDEX_VALUES: values})
        for keyword, value in self._dimensions.content(frame).items():
            setattr(content, keyword, value)
        item = Dataset(dict(self._by_frame[frame]))
        item.add(sequence(_FRAME_CONTENT, content))
        if number is not None:
            item.add(self._identification(number))
        return item

    def _identification(self, number: int) -> DataElement:
        """In every frame's own group, never in the shared one, where some viewers do not look."""
        if number not in self._by_segment:
            item = Dataset()
            item.ReferencedSegmentNumber = number
            self._by_segment[number] = sequence(_SEGMENT_IDENTIFICATION, item)
        return self._by_segment[number]

    def _elements_of(self, frame: SourceFrame) -> Iterator[DataElement]:
        if frame.sop_instance_uid:
            yield sequence(_DERIVATION_IMAGE, self._derivation(frame))
        if self._space is Space.SLIDE:
            yield sequence(_PLANE_POSITION_SLIDE, _position_on_slide(frame))
        elif self._space is Space.PATIENT:
            position = Dataset()
            position.ImagePositionPatient = decimals(frame.position or ())
            yield sequence(_PLANE_POSITION, position)
        if not self._shared:
            yield from self._plane_elements(frame)

    def _derivation(self, frame: SourceFrame) -> Dataset:
        """An item of Derivation Image Sequence (PS3.3 C.7.6.16.2.6): what the mask was drawn on.

        Several frames are an item each: not every reader takes more than one number in an item.
        """
        sources = []
        for number in frame.frame_numbers or (None,):
            source = image_reference(frame.sop_class_uid, frame.sop_instance_uid)
            if number is not None:
                source.ReferencedFrameNumber = number
            source.SpatialLocationsPreserved = "YES"
            source.add(self._purpose)
            sources.append(source)
        derivation = Dataset()
        derivation.SourceImageSequence = sources
        derivation.add(self._derived_by)
        return derivation

    def _plane_elements(self, frame: SourceFrame) -> Iterator[DataElement]:
        """Orientation and pixel measures; the orientation of a slide stands at the root."""
        if self._space is Space.PATIENT and frame.orientation is not None:
            orientation = Dataset()
            orientation.ImageOrientationPatient = decimals(frame.orientation)
            yield sequence(_PLANE_ORIENTATION, orientation)
        # Where there is no place, the spacing is the source's own affair: at its detector, in its region, or unknown.
        if self._space is not Space.NOWHERE and frame.spacing_mm is not None:
            yield sequence(_PIXEL_MEASURES, self._measures(frame))

    def _measures(self, frame: SourceFrame) -> Dataset:
        measures = Dataset()
        distance, thickness = self._source.slice_distance_mm, self._source.thickness_mm
        measures.SliceThickness = decimals([thickness or distance or 1.0])[0]
        if distance is not None:
            measures.SpacingBetweenSlices = decimals([distance])[0]
        measures.PixelSpacing = decimals(frame.spacing_mm or ())
        return measures


def _alike(frames: Sequence[SourceFrame]) -> bool:
    """Whether all frames have the first one's orientation and spacing, but for rounding."""
    first = frames[0]
    return all(
        _near(frame.orientation, first.orientation, _SAME_COSINE)
        and _near(frame.spacing_mm, first.spacing_mm, _SAME_SPACING)
        for frame in frames
    )


def _near(one: Sequence[float] | None, other: Sequence[float] | None, tolerance: float) -> bool:
    if one is None or other is None:
        return one is other
    return all(abs(a - b) <= tolerance for a, b in zip(one, other, strict=True))


def _position_on_slide(frame: SourceFrame) -> Dataset:
    """An item of Plane Position (Slide) Sequence (PS3.3 C.8.12.6.1)."""
    item = Dataset()
    x, y, z = decimals(frame.position or (0.0, 0.0, 0.0))
    row, column = frame.matrix_position or (1, 1)
    item.XOffsetInSlideCoordinateSystem = x
    item.YOffsetInSlideCoordinateSystem = y
    item.ZOffsetInSlideCoordinateSystem = z
    item.RowPositionInTotalImagePixelMatrix = row
    item.ColumnPositionInTotalImagePixelMatrix = column
    return item

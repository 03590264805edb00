"""A segmentation read: its segments, where its frames lie, and their pixels as arrays or one frame at a time.

Of any maker that keeps PS3.3 C.8.20: BINARY, FRACTIONAL and label maps, sparse or TILED_FULL, native or compressed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from service.core.data_set_writing import encode_explicit
from service.core.encoded_data_set import EXPLICIT_LITTLE_ENDIAN
from service.core.source_frames import SourceFrames
from service.core.volume import Volume
from service.errors import ObjectInvalid
from service.objects.encoded_segmentation import EncodedSegmentation, open_segmentation
from service.objects.frame_place_reading import FramePlace, FramePlaceReader, Reference
from service.objects.read_segments import ReadSegment, background_values, segments_of
from service.objects.segmentation_form import SegmentationKind
from service.objects.segmentation_pixels import SegmentationPixels
from service.objects.segmentation_places import Indices, own_places, places_on
from service.objects.segmentation_rules import LABEL_MAP, SEGMENTATION
from service.objects.source_frames_reader import frames_of_volume
from service.objects.tile_positions import offset_of_tile, tiles_in_order

_IN_FRAME_CONTENT: Final = frozenset({0x00209128, 0x00209056})
"""Dimensions that are told in Frame Content: time and stack."""


@dataclass(frozen=True, slots=True, eq=False)
class SegmentationFrame:
    """One frame as it is written.

    Parameters
    ----------
    number : from 1
    segment : its segment; None in a label map, whose pixels say it
    place : index in ``places.frames``
    pixels : shape (rows, columns): bool; uint8 from 0 to the largest fraction; or numbers of segments, 0 for none
    """

    number: int
    segment: int | None
    place: int
    pixels: npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class ReadSegmentation:
    """A segmentation of which nothing but the header was decoded yet; arrays are made by `segmentation_arrays`.

    Parameters
    ----------
    header : without Per-Frame Functional Groups and pixels
    segments : in their order, without the background of a label map
    places : what the frames lie on: of the segmentation itself, each place once, or of the source that it was put on
    place_of_frame : index in ``places.frames`` of each frame; shape (frames,)
    segment_of_frame : Segment Number of each frame, 0 in a label map; shape (frames,)
    """

    header: Dataset = field(repr=False)
    kind: SegmentationKind
    segments: tuple[ReadSegment, ...]
    places: SourceFrames = field(repr=False)
    place_of_frame: Indices = field(repr=False)
    segment_of_frame: Indices = field(repr=False)
    pixels: SegmentationPixels = field(repr=False)
    _said: tuple[FramePlace, ...] = field(repr=False)

    @property
    def largest_fraction(self) -> int:
        """Maximum Fractional Value (0062,000E)."""
        return int(self.header.get("MaximumFractionalValue") or 1)

    def segment(self, number: int) -> ReadSegment:
        """A segment by its number.

        Raises
        ------
        ObjectInvalid : there is none
        """
        for one in self.segments:
            if one.number == number:
                return one
        raise ObjectInvalid(f"the segmentation has no segment {number}")

    def on(self, source: Volume | SourceFrames) -> ReadSegmentation:
        """The same on the frames of its source, so that arrays have the source's grid.

        Raises
        ------
        ObjectInvalid : it was made on another source, or its geometry is another
        """
        frames = frames_of_volume(source) if isinstance(source, Volume) else source
        return replace(self, places=frames, place_of_frame=places_on(self._said, self.places, frames))

    def frames(self) -> Iterator[SegmentationFrame]:
        """Every frame, one after the other; no more than one is in memory.

        Raises
        ------
        InstanceUnreadable : a frame cannot be decoded
        """
        background = background_values(self.header)
        for number in range(self.pixels.frames):
            pixels = self.pixels.frame(number)
            segment: int | None = int(self.segment_of_frame[number])
            if self.kind is SegmentationKind.LABELMAP:
                segment = None
                if background - {0}:
                    pixels = np.where(np.isin(pixels, list(background)), 0, pixels).astype(pixels.dtype)
            elif self.kind is SegmentationKind.BINARY:
                pixels = pixels.astype(bool)
            yield SegmentationFrame(number + 1, segment, int(self.place_of_frame[number]), pixels)


def read_segmentation(source: Path | bytes | Dataset) -> ReadSegmentation:
    """Read a segmentation from its file, the bytes of one, or a data set.

    Raises
    ------
    InstanceUnreadable : it is no DICOM file, or its encoding is broken
    ObjectInvalid : it is no segmentation, or one whose frames do not say what they are
    TransferSyntaxNotSupported : no codec here reads its pixels
    """
    encoded = open_segmentation(source)
    header = encoded.header
    kind = _kind_of(header)
    pixels = SegmentationPixels(encoded)
    segments = segments_of(header, kind)
    said = tuple(_places_said(encoded, pixels.frames, len(segments)))
    numbers = _segment_numbers(said, kind, {one.number for one in segments})
    places, index = own_places(header, said)
    if kind is SegmentationKind.LABELMAP and len(places.frames) < pixels.frames:
        raise ObjectInvalid("several frames of a label map lie on one place, so that its segments overlap")
    return ReadSegmentation(header, kind, segments, places, index, numbers, pixels, said)


def _kind_of(header: Dataset) -> SegmentationKind:
    if header.get("SOPClassUID") not in (SEGMENTATION, LABEL_MAP):
        raise ObjectInvalid("it is no Segmentation and no Label Map Segmentation")
    said = str(header.get("SegmentationType", ""))
    if said == "FRACTIONAL":
        said = str(header.get("SegmentationFractionalType", ""))
    if said == "LABELMAP" and header.get("SegmentsOverlap") == "YES":
        raise ObjectInvalid("a label map says that its segments overlap, which its pixels cannot")
    try:
        return SegmentationKind(said)
    except ValueError:
        raise ObjectInvalid("its Segmentation Type is neither BINARY, FRACTIONAL nor LABELMAP") from None


def _places_said(encoded: EncodedSegmentation, frames: int, segments: int) -> Iterator[FramePlace]:
    """What each frame says of itself, with what is shared by all."""
    header = encoded.header
    shared = _shared(header)
    if encoded.groups:
        if len(encoded.groups) != frames:
            raise ObjectInvalid(f"{frames} frames, but {len(encoded.groups)} items of Per-Frame Functional Groups")
        pointers = {int(one.get("DimensionIndexPointer") or 0) for one in header.get("DimensionIndexSequence") or ()}
        in_content = bool(pointers & _IN_FRAME_CONTENT)
        reader = FramePlaceReader(encoded.content, encoded.group_encoding, in_content=in_content)
        for start, end in encoded.groups:
            yield reader.read(start, end, shared)
    elif str(header.get("DimensionOrganizationType", "")) == "TILED_FULL":
        yield from _tiled_places(header, shared, frames, segments)
    elif frames == 1:
        yield shared
    else:
        raise ObjectInvalid("several frames without Per-Frame Functional Groups, and it is not TILED_FULL")


def _shared(header: Dataset) -> FramePlace:
    """What Shared Functional Groups say, read like a frame's."""
    items = list(header.get("SharedFunctionalGroupsSequence") or ())
    if not items:
        return FramePlace()
    content = memoryview(encode_explicit(items[0]))
    said = FramePlaceReader(content, EXPLICIT_LITTLE_ENDIAN, in_content=True).read(0, len(content))
    orientation = header.get("ImageOrientationSlide")
    if orientation is None:
        return said
    return replace(said, orientation=tuple(float(value) for value in orientation))


def _tiled_places(header: Dataset, shared: FramePlace, frames: int, segments: int) -> Iterator[FramePlace]:
    """Tiles in their order, for each segment anew (PS3.3 C.7.6.17.3)."""
    orientation, spacing = shared.orientation, shared.spacing_mm
    if orientation is None or spacing is None:
        raise ObjectInvalid("its tiles do not say their orientation or spacing")
    tiles = list(tiles_in_order(header, frames))
    shared = replace(shared, references=shared.references or _only_source(header))
    labelled = str(header.get("SegmentationType")) == "LABELMAP"
    rounds = 1 if labelled else max(segments, 1)
    if frames % rounds:
        raise ObjectInvalid(f"{frames} tiles are not the same number for each of {rounds} segments")
    for number, (depth, row, column) in enumerate(tiles):
        x, y, _ = offset_of_tile(header, row, column, orientation, spacing)
        yield replace(
            shared,
            segment=None if labelled else number // (frames // rounds) + 1,
            position=(x, y, depth),
            matrix_position=(row, column),
        )


def _only_source(header: Dataset) -> tuple[Reference, ...]:
    """The one image that the whole was made from, where tiles do not say theirs."""
    images = list(header.get("SourceImageSequence") or ())
    if len(images) != 1 or not images[0].get("ReferencedSOPInstanceUID"):
        return ()
    return ((str(images[0].get("ReferencedSOPClassUID", "")), str(images[0].ReferencedSOPInstanceUID), ()),)


def _segment_numbers(said: tuple[FramePlace, ...], kind: SegmentationKind, described: set[int]) -> Indices:
    if kind is SegmentationKind.LABELMAP:
        return np.zeros(len(said), dtype=np.intp)
    numbers = [one.segment if one.segment is not None else -1 for one in said]
    strange = set(numbers) - described
    if strange:
        frame = next(place for place, number in enumerate(numbers, start=1) if number in strange)
        raise ObjectInvalid(f"frame {frame} belongs to a segment that is not described")
    return np.array(numbers, dtype=np.intp)

"""The frames that masks lie on: slices of a volume, projection images, pictures of a cine loop, tiles of a slide.

Beside `Volume`, which is one regular grid with values: here is only said which image or frame shows what lies where, as
far as its header knows. Many sources know nothing of a place (CR, MG, ultrasound, endoscopy): they are marked by pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from pydicom.dataset import Dataset

from service.core.geometry import ImagePlace

Triple = tuple[float, float, float]


class Space(Enum):
    """In what frames have a place (PS3.3 C.7.4.1)."""

    NOWHERE = "nowhere"
    """No Frame of Reference: a mask is known by its source image alone."""
    PATIENT = "patient"
    """Millimetres, LPS (PS3.3 C.7.6.2.1.1)."""
    SLIDE = "slide"
    """Millimetres from the slide's corner (PS3.3 C.8.12.2.1), in tiles of a total pixel matrix."""


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """One place that can be marked, and the image that shows it.

    Parameters
    ----------
    frame_numbers : the frames of the image that show it, from 1: none for a single-frame image, one for most others,
        several where a slide has more than one optical path
    position : centre of its first pixel in mm: Image Position (Patient), or the offset in the slide's coordinate system
    orientation : direction along a row, then down a column, as Image Orientation (Patient or Slide)
    spacing_mm : Pixel Spacing: between rows, then between columns
    matrix_position : row and column of its first pixel in the total pixel matrix of a slide, from 1
    temporal_index : Temporal Position Index (0020,9128), from 1, where frames differ in time
    """

    sop_class_uid: str
    sop_instance_uid: str
    frame_numbers: tuple[int, ...] = ()
    position: Triple | None = None
    orientation: tuple[float, ...] | None = None
    spacing_mm: tuple[float, float] | None = None
    matrix_position: tuple[int, int] | None = None
    temporal_index: int | None = None

    @property
    def place(self) -> ImagePlace:
        """It as a place to draw on."""
        return ImagePlace(self.sop_class_uid, self.sop_instance_uid, self.frame_numbers)


@dataclass(frozen=True, slots=True, eq=False)
class SourceFrames:
    """Frames of one size from one series, as masks are drawn on them.

    A mask's indices are (frame, row, column), frames counted in the order of ``frames``. On a slide they are (focal
    plane, row, column) of the total pixel matrix, and its tiles are cut out by whoever writes.

    Parameters
    ----------
    frames : in their order; focal planes of a slide ascend
    rows, columns : of one frame, in pixels
    header : the first source, without pixel data: patient, study and what else a result takes over
    frame_of_reference_uid : empty where there is none
    matrix : rows and columns of a slide's total pixel matrix
    slice_distance_mm, thickness_mm : along the normal, where known
    """

    frames: tuple[SourceFrame, ...]
    rows: int
    columns: int
    header: Dataset = field(repr=False)
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str = ""
    matrix: tuple[int, int] | None = None
    slice_distance_mm: float | None = None
    thickness_mm: float | None = None

    @property
    def space(self) -> Space:
        """In what its frames have a place."""
        if self.matrix is not None:
            return Space.SLIDE
        known = self.frame_of_reference_uid and all(frame.position is not None for frame in self.frames)
        return Space.PATIENT if known else Space.NOWHERE

    @property
    def focal_planes(self) -> tuple[float, ...]:
        """Distances of a slide's focal planes from its surface in mm, ascending."""
        return tuple(sorted({frame.position[2] for frame in self.frames if frame.position is not None}))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the grid in which masks are given: frames, rows, columns, or focal planes, rows, columns of a slide."""
        if self.matrix is not None:
            return len(self.focal_planes), *self.matrix
        return len(self.frames), self.rows, self.columns

    def corners(self) -> list[tuple[int, int, int]]:
        """The index in that grid of each frame's first pixel; tiles at a slide's edge reach beyond the grid."""
        if self.matrix is None:
            return [(number, 0, 0) for number in range(len(self.frames))]
        planes = {distance: number for number, distance in enumerate(self.focal_planes)}
        return [
            (planes[frame.position[2]], frame.matrix_position[0] - 1, frame.matrix_position[1] - 1)
            for frame in self.frames
            if frame.position is not None and frame.matrix_position is not None
        ]

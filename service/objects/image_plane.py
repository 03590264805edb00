"""Where a slice lies in the patient: between mm (LPS) and the pixels of one source frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from service.core.geometry import Point
from service.core.volume import Volume
from service.errors import ObjectInvalid

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ImagePlane:
    """One frame's plane (PS3.3 C.7.6.2.1.1).

    Parameters
    ----------
    frame_number : from 1 for a frame of a multi-frame image, None for a single-frame image
    position : Image Position (Patient), the centre of the first pixel; mm
    orientation : Image Orientation (Patient): direction along a row, then down a column
    spacing_mm : Pixel Spacing: between rows, then between columns
    """

    sop_class_uid: str
    sop_instance_uid: str
    frame_number: int | None
    position: tuple[float, float, float]
    orientation: tuple[float, ...]
    spacing_mm: tuple[float, float]

    @property
    def normal(self) -> Points:
        """The unit normal of the plane."""
        cross = np.cross(self.orientation[:3], self.orientation[3:])
        return np.asarray(cross / np.linalg.norm(cross))

    def distance_mm(self, point: Sequence[float]) -> float:
        """How far a point is from the plane, without sign."""
        return abs(float(np.dot(np.subtract(point, self.position), self.normal)))

    def to_pixels(self, points_mm: Sequence[Sequence[float]]) -> Points:
        """Image-relative coordinates (column, row) of points, projected on the plane; shape (n, 2).

        (0, 0) is the top left corner of the first pixel, so its centre is (0.5, 0.5) (PS3.3 C.18.6.1.1).
        """
        away = np.asarray(points_mm, dtype=np.float64) - np.asarray(self.position)
        column = away @ np.asarray(self.orientation[:3]) / self.spacing_mm[1]
        row = away @ np.asarray(self.orientation[3:]) / self.spacing_mm[0]
        return np.stack([column, row], axis=-1) + 0.5

    def to_patient(self, pixels: npt.ArrayLike) -> tuple[Point, ...]:
        """Points (mm, LPS) of image-relative coordinates (column, row), shape (n, 2)."""
        offsets = np.asarray(pixels, dtype=np.float64).reshape(-1, 2) - 0.5
        along_row = np.outer(offsets[:, 0] * self.spacing_mm[1], self.orientation[:3])
        down_column = np.outer(offsets[:, 1] * self.spacing_mm[0], self.orientation[3:])
        return tuple((float(x), float(y), float(z)) for x, y, z in np.asarray(self.position) + along_row + down_column)


def _frame_item(source: Dataset, frame_number: int, group: str) -> Dataset:
    """The item of a functional group that holds for a frame: its own, else the shared one (PS3.3 C.7.6.16.1)."""
    per_frame = source.PerFrameFunctionalGroupsSequence[frame_number - 1]
    holder = per_frame if group in per_frame else source.SharedFunctionalGroupsSequence[0]
    item: Dataset = holder[group].value[0]
    return item


def plane_of(source: Dataset, frame_number: int = 1) -> ImagePlane:
    """The plane of a source image, or of one frame of an enhanced multi-frame image.

    Raises
    ------
    ObjectInvalid : the header does not say where the slice lies
    """
    multi_frame = "PerFrameFunctionalGroupsSequence" in source
    try:
        if multi_frame:
            position = _frame_item(source, frame_number, "PlanePositionSequence").ImagePositionPatient
            orientation = _frame_item(source, frame_number, "PlaneOrientationSequence").ImageOrientationPatient
            spacing = _frame_item(source, frame_number, "PixelMeasuresSequence").PixelSpacing
        else:
            position, orientation = source.ImagePositionPatient, source.ImageOrientationPatient
            spacing = source.PixelSpacing
    except (AttributeError, KeyError, IndexError) as err:
        raise ObjectInvalid(f"source {source.get('SOPInstanceUID', '')} has no plane position or spacing") from err
    x, y, z = (float(value) for value in position)
    return ImagePlane(
        sop_class_uid=str(source.SOPClassUID),
        sop_instance_uid=str(source.SOPInstanceUID),
        frame_number=frame_number if multi_frame else None,
        position=(x, y, z),
        orientation=tuple(float(value) for value in orientation),
        spacing_mm=(float(spacing[0]), float(spacing[1])),
    )


def planes_of(volume: Volume) -> tuple[ImagePlane, ...]:
    """The plane of each slice of a volume, from each slice's own header."""
    pairs = zip(volume.sources, volume.frame_numbers, strict=True)
    return tuple(plane_of(source, frame_number) for source, frame_number in pairs)


def slice_distance_mm(volume: Volume) -> float:
    """Distance between neighbouring planes along their normal (shorter than the step where the gantry is tilted)."""
    step, down, along = volume.affine[:3, 0], volume.affine[:3, 1], volume.affine[:3, 2]
    normal = np.cross(along, down)
    return abs(float(np.dot(step, normal / np.linalg.norm(normal))))


def slice_thickness_mm(source: Dataset, frame_number: int) -> float | None:
    """Slice Thickness of an image, or of a frame of an enhanced one; None where it is not said."""
    holder = source
    if "PerFrameFunctionalGroupsSequence" in source:
        try:
            holder = _frame_item(source, frame_number, "PixelMeasuresSequence")
        except (AttributeError, KeyError, IndexError):
            return None
    thickness = holder.get("SliceThickness")
    return float(thickness) if thickness is not None and float(thickness) > 0 else None


def nearest_plane(planes: Iterable[ImagePlane], points: Sequence[Sequence[float]]) -> ImagePlane:
    """The plane from which the farthest of the points is least far."""
    return min(planes, key=lambda plane: max(plane.distance_mm(point) for point in points))

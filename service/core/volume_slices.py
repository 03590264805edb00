"""Volumes of a series before their voxels: where they lie, what they hold, and each slice when it is asked for.

See ``image_slices`` for what can be a slice, ``slice_stacks`` for which slices make a volume and within which
tolerances, ``stored_pixels`` for what their values mean.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from dicom_nodes.errors import GatewayError
from service.core.image_slices import ImageSlice, read_slices
from service.core.slice_stacks import SliceStack, stack_slices
from service.core.stored_pixels import padding_of, real_values
from service.core.volume import Affine, Volume
from service.errors import VolumeRefused

StoredPixels = Callable[[int], npt.NDArray[Any]]


class FramesOfSeries:
    """Single frames of stored pixels; keeps the instance it decoded last, since frames come one after the other."""

    def __init__(self, pixels: StoredPixels) -> None:
        self._pixels = pixels
        self._index: int | None = None
        self._decoded: npt.NDArray[Any] = np.empty((0, 0, 0))

    def of(self, one: ImageSlice) -> npt.NDArray[Any]:
        """Stored values of one slice, shape (rows, columns).

        Raises
        ------
        VolumeRefused : the decoded pixels are not what Rows, Columns and Number of Frames promise
        """
        if self._index != one.source_index:
            decoded = self._pixels(one.source_index)
            self._decoded = decoded if decoded.ndim == 3 else decoded[np.newaxis]
            self._index = one.source_index
        if self._decoded.ndim != 3 or self._decoded.shape[1:] != (one.rows, one.columns):
            raise VolumeRefused("the pixel data do not fill Rows (0028,0010) × Columns (0028,0011)")
        if one.frame_number > len(self._decoded):
            raise VolumeRefused("there are fewer frames in the pixel data than Number of Frames (0028,0008)")
        frame: npt.NDArray[Any] = self._decoded[one.frame_number - 1]
        return frame

    def same_content(self, a: ImageSlice, b: ImageSlice) -> bool:
        """Whether two slices hold the same values; pixels that cannot be read are the same as nothing."""
        if (a.rescale.slope, a.rescale.intercept) != (b.rescale.slope, b.rescale.intercept):
            return False
        try:
            return np.array_equal(self.of(a).copy(), self.of(b))
        except GatewayError:
            return False


@dataclass(frozen=True, slots=True, eq=False)
class VolumeSlices:
    """One volume of a series whose voxels stay where they are until a slice is asked for.

    Parameters
    ----------
    stack : its slices in order along their normal
    frames : reads the stored pixels of a slice
    """

    stack: SliceStack
    frames: FramesOfSeries = field(repr=False)

    @property
    def slices(self) -> tuple[ImageSlice, ...]:
        """Its slices in order."""
        return self.stack.slices

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of slices, rows and columns."""
        first = self.slices[0]
        return len(self.slices), first.rows, first.columns

    @property
    def affine(self) -> Affine:
        """Index (slice, row, column, 1) → mm, LPS (PS3.3 C.7.6.2.1.1); its first column carries a gantry's tilt."""
        first = self.slices[0]
        affine = np.eye(4)
        affine[:3, 0] = self.stack.step
        affine[:3, 1] = first.along_rows * first.spacing_mm[0]
        affine[:3, 2] = first.along_columns * first.spacing_mm[1]
        affine[:3, 3] = first.position
        return affine

    def real_slice(self, number: int) -> npt.NDArray[np.float32]:
        """Real values of slice ``number`` (from 0), shape (rows, columns), in the volume's unit.

        Raises
        ------
        VolumeRefused : its pixels cannot be read
        TransferSyntaxNotSupported : no codec here reads them
        """
        one = self.slices[number]
        return real_values(self.frames.of(one), one.rescale, padding_of(one.source))

    def whole(self) -> Volume:
        """The volume with its voxels in memory.

        Raises
        ------
        VolumeRefused : pixels of a slice cannot be read
        """
        array = np.empty(self.shape, dtype=np.float32)
        # Instance by instance rather than slice by slice: each multi-frame instance is decoded once.
        places = defaultdict(list)
        for place, one in enumerate(self.slices):
            places[one.source_index].append(place)
        for of_instance in places.values():
            for place in of_instance:
                array[place] = self.real_slice(place)
        return self._volume(array)

    def without_voxels(self) -> Volume:
        """The volume for those who need only its grid and its sources: every voxel reads zero and takes no memory."""
        return self._volume(np.broadcast_to(np.float32(0), self.shape))

    def _volume(self, array: npt.NDArray[np.float32]) -> Volume:
        first = self.slices[0]
        return Volume(
            array=array,
            affine=self.affine,
            sources=tuple(one.source for one in self.slices),
            frame_numbers=tuple(one.frame_number for one in self.slices),
            modality=str(first.source.get("Modality", "")),
            unit=first.rescale.unit,
            study_uid=str(first.source.get("StudyInstanceUID", "")),
            series_uid=str(first.source.get("SeriesInstanceUID", "")),
            frame_of_reference_uid=first.frame_of_reference_uid,
        )


@dataclass(frozen=True, slots=True, eq=False)
class OpenedSeries:
    """The volumes of one series, the one with the most slices first, and in words what became none.

    ``slices`` counts those that were found in it, whether they became part of a volume or not.
    """

    volumes: tuple[VolumeSlices, ...]
    refused: tuple[str, ...]
    slices: int


def open_volumes(data_sets: Sequence[Dataset], pixels: StoredPixels) -> OpenedSeries:
    """Find the volumes of one series.

    Parameters
    ----------
    data_sets : the instances of the series, in any order; pixel data are not looked at
    pixels : gives the stored pixel values of ``data_sets[i]``, shape (rows, columns) or (frames, rows, columns);
        asked while a slice is read, and before that only where nothing but their pixels tells slices apart
    """
    frames = FramesOfSeries(pixels)
    slices, refused = read_slices(data_sets)
    stacks, refused_stacks = stack_slices(slices, frames.same_content)
    if not data_sets:
        refused.append("the series has no instance")
    volumes = tuple(VolumeSlices(stack, frames) for stack in stacks)
    return OpenedSeries(volumes, (*refused, *refused_stacks), len(slices))

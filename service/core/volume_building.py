"""A series into volumes: one grid in patient coordinates each, real values, ordered along the normal.

See ``image_slices`` for what can be a slice, ``slice_stacks`` for which slices make a volume and within which
tolerances, ``stored_pixels`` for what their values mean. Nothing is interpolated: a voxel is a pixel.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from dicom_nodes.errors import GatewayError
from service.core.image_slices import ImageSlice, read_slices
from service.core.slice_stacks import SliceStack, stack_slices
from service.core.stored_pixels import padding_of, real_values
from service.core.volume import Affine, SeriesVolumes, Volume
from service.errors import VolumeRefused

StoredPixels = Callable[[int], npt.NDArray[Any]]


def build_volumes(data_sets: Sequence[Dataset], pixels: StoredPixels) -> SeriesVolumes:
    """Make the volumes of one series.

    Parameters
    ----------
    data_sets : the instances of the series, in any order; pixel data are not looked at
    pixels : gives the stored pixel values of ``data_sets[i]``, shape (rows, columns) or (frames, rows, columns), for
        instance ``decode_pixels`` of the file; asked only for instances that become part of a volume, and seldom
        twice for the same one

    Returns
    -------
    the volumes, the one with the most slices first, and in words what became none; a series may give both
    """
    frames = _Frames(pixels)
    slices, refused = read_slices(data_sets)
    stacks, refused_stacks = stack_slices(slices, frames.same_content)
    refused += refused_stacks
    volumes = []
    for stack in stacks:
        try:
            volumes.append(_volume(stack, frames))
        except GatewayError as err:
            refused.append(f"{len(stack.slices)} of {len(slices)} slices: {err}")
    if not data_sets:
        refused.append("the series has no instance")
    return SeriesVolumes(tuple(volumes), tuple(refused))


class _Frames:
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


def _volume(stack: SliceStack, frames: _Frames) -> Volume:
    first = stack.slices[0]
    array = np.empty((len(stack.slices), first.rows, first.columns), dtype=np.float32)
    # Instance by instance rather than slice by slice: each multi-frame instance is decoded once.
    places = defaultdict(list)
    for place, one in enumerate(stack.slices):
        places[one.source_index].append(place)
    for indices in places.values():
        for place in indices:
            one = stack.slices[place]
            array[place] = real_values(frames.of(one), one.rescale, padding_of(one.source))
    return Volume(
        array=array,
        affine=_affine(stack),
        sources=tuple(one.source for one in stack.slices),
        frame_numbers=tuple(one.frame_number for one in stack.slices),
        modality=str(first.source.get("Modality", "")),
        unit=first.rescale.unit,
        study_uid=str(first.source.get("StudyInstanceUID", "")),
        series_uid=str(first.source.get("SeriesInstanceUID", "")),
        frame_of_reference_uid=first.frame_of_reference_uid,
    )


def _affine(stack: SliceStack) -> Affine:
    """Index (slice, row, column, 1) → mm, LPS (PS3.3 C.7.6.2.1.1); its first column carries a gantry's tilt."""
    first = stack.slices[0]
    affine = np.eye(4)
    affine[:3, 0] = stack.step
    affine[:3, 1] = first.along_rows * first.spacing_mm[0]
    affine[:3, 2] = first.along_columns * first.spacing_mm[1]
    affine[:3, 3] = first.position
    return affine

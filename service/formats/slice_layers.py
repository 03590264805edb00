"""Marks on single slices, and the slices that they are on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from service.core.findings import Mask
from service.core.image_slices import ImageSlice
from service.core.volume_slices import VolumeSlices
from service.errors import FormatRefused
from service.formats.flat_images import FlatFrame, FlatImages

Image = tuple[str, int]
"""SOP Instance UID and frame number."""


def slices_by_image(volume: VolumeSlices | FlatImages) -> dict[Image, int]:
    """The slice that each image is, from 0."""
    slices: Sequence[ImageSlice | FlatFrame] = volume.slices
    return {(str(one.source.SOPInstanceUID), one.frame_number): number for number, one in enumerate(slices)}


def slice_of_image(slices: Mapping[Image, int], image: Image, images: VolumeSlices | FlatImages, what: str) -> int:
    """The slice on which marks of a file lie.

    Raises
    ------
    FormatRefused : there is none; ``what`` says whose marks
    """
    found = slices.get(image)
    if found is None:
        or_else = ", or of another size than others that are marked" if isinstance(images, FlatImages) else ""
        raise FormatRefused(f"{what}: its image is not in the series any more{or_else}")
    return found


def mask_of_layers(layers: Mapping[int, npt.NDArray[np.bool_]]) -> Mask | None:
    """Masks of slices, shape (rows, columns) each, as one box of voxels, the smallest; None without a voxel."""
    marked = {number: layer for number, layer in layers.items() if layer.any()}
    if not marked:
        return None
    first, last = min(marked), max(marked)
    rows = np.flatnonzero(np.any([layer.any(axis=1) for layer in marked.values()], axis=0))
    columns = np.flatnonzero(np.any([layer.any(axis=0) for layer in marked.values()], axis=0))
    box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    voxels = np.zeros((last - first + 1, box[0].stop - box[0].start, box[1].stop - box[1].start), dtype=bool)
    for number, layer in marked.items():
        voxels[number - first] = layer[box]
    return Mask(voxels, (first, box[0].start, box[1].start))

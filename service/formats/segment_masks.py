"""Segments of a stored segmentation as masks in the grid of the volume that they were drawn on.

What belongs where is told by the source image that each frame names, else by the frame's own place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from dicom_nodes.errors import GatewayError
from service.core.findings import Mask
from service.core.volume_slices import VolumeSlices
from service.errors import FormatRefused
from service.formats.flat_images import FlatImages
from service.formats.segmentation_frames import SegmentationFrames
from service.formats.slice_layers import Image, mask_of_layers, slices_by_image
from service.objects.image_plane import plane_of

_LABEL_MAP: Final = "LABELMAP"
_FRACTIONAL: Final = "FRACTIONAL"
_SAME_PLACE_STEPS: Final = 0.1
"""A frame that names no source lies on a slice when it is no further off, in slice distances."""
_SAME_DIRECTION: Final = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class SegmentMasks:
    """The segments of one segmentation on one volume.

    Parameters
    ----------
    header : the segmentation without its pixel data
    frames : reads its frames
    slices : for each of its frames, from 0, the slice of the volume that it lies on
    segments : for each of its frames the number of its segment; of a label map, whose frames hold them all, 0
    """

    header: Dataset = field(repr=False)
    frames: SegmentationFrames = field(repr=False)
    slices: tuple[int, ...]
    segments: tuple[int, ...]

    def mask(self, segment_number: int) -> Mask | None:
        """One segment; None where it has no voxel. Of a fractional one what is at least half inside.

        Raises
        ------
        FormatRefused : its frames cannot be read
        """
        layers: dict[int, npt.NDArray[np.bool_]] = {}
        for place, inside in self._inside(segment_number):
            if inside.any():
                layers[place] = inside | layers[place] if place in layers else inside
        return mask_of_layers(layers)

    def _inside(self, segment_number: int) -> Iterator[tuple[int, npt.NDArray[np.bool_]]]:
        kind = self.header.get("SegmentationType")
        largest = int(self.header.get("MaximumFractionalValue", 1))
        for number, (place, segment) in enumerate(zip(self.slices, self.segments, strict=True)):
            if kind == _LABEL_MAP:
                yield place, self.frames.frame(number) == segment_number
            elif segment == segment_number:
                values = self.frames.frame(number)
                yield place, (values.astype(np.uint16) * 2 >= largest if kind == _FRACTIONAL else values != 0)


def segment_masks(
    header: Dataset, frames: SegmentationFrames, volume: VolumeSlices | FlatImages
) -> SegmentMasks | None:
    """The segments of a segmentation on a volume; None where it lies elsewhere.

    Raises
    ------
    FormatRefused : it lies on the volume, in part or on another grid
    """
    by_image = slices_by_image(volume)
    count = int(header.get("NumberOfFrames") or 1)
    found = [_slice_of(header, number, by_image, volume) for number in range(count)]
    places = tuple(place for place in found if place is not None)
    if not places:
        return None
    if len(places) < count:
        raise FormatRefused(f"{count - len(places)} of {count} frames of its segmentation lie on no slice of it")
    size = int(header.Rows), int(header.Columns)
    if size != volume.shape[1:]:
        raise FormatRefused(
            f"its segmentation has {size[0]} × {size[1]} pixels a frame, the images have "
            f"{volume.shape[1]} × {volume.shape[2]}"
        )
    is_label_map = header.get("SegmentationType") == _LABEL_MAP
    segments = tuple(0 if is_label_map else _segment_of(header, number) for number in range(count))
    return SegmentMasks(header, frames, places, segments)


def _slice_of(
    header: Dataset, number: int, by_image: dict[Image, int], volume: VolumeSlices | FlatImages
) -> int | None:
    """The slice on which a frame (from 0) lies."""
    named = list(_source_images(header, number))
    for image in named:
        if image in by_image:
            return by_image[image]
    if named or isinstance(volume, FlatImages):
        return None
    return _slice_at(header, number, volume)


def _groups(header: Dataset, number: int, keyword: str) -> list[Dataset]:
    """The items of a functional group that hold for a frame: its own, else the shared ones (PS3.3 C.7.6.16.1)."""
    per_frame: list[Dataset] = list(header.get("PerFrameFunctionalGroupsSequence") or [])
    own = list(per_frame[number].get(keyword) or []) if number < len(per_frame) else []
    if own:
        return own
    return [item for group in header.get("SharedFunctionalGroupsSequence") or [] for item in group.get(keyword) or []]


def _source_images(header: Dataset, number: int) -> Iterator[tuple[str, int]]:
    """SOP Instance UID and frame number of each image that a frame was drawn on (PS3.3 C.7.6.16.2.6)."""
    for derivation in _groups(header, number, "DerivationImageSequence"):
        for image in derivation.get("SourceImageSequence") or []:
            frames: Any = image.get("ReferencedFrameNumber") or 1
            for frame in [frames] if isinstance(frames, int | str) else frames:
                yield str(image.get("ReferencedSOPInstanceUID", "")), int(frame)


def _slice_at(header: Dataset, number: int, volume: VolumeSlices) -> int | None:
    """The slice at the place of a frame, in the same Frame of Reference and of the same direction."""
    first = volume.slices[0]
    if str(header.get("FrameOfReferenceUID", "")) != first.frame_of_reference_uid:
        return None
    try:
        plane = plane_of(header, number + 1)
    except GatewayError:
        return None
    along = np.concatenate([first.along_columns, first.along_rows])
    if np.abs(np.asarray(plane.orientation) - along).max() > _SAME_DIRECTION:
        return None
    away = [float(np.linalg.norm(one.position - plane.position)) for one in volume.slices]
    nearest = int(np.argmin(away))
    return nearest if away[nearest] <= _SAME_PLACE_STEPS * float(np.linalg.norm(volume.stack.step)) else None


def _segment_of(header: Dataset, number: int) -> int:
    items = _groups(header, number, "SegmentIdentificationSequence")
    return int(items[0].ReferencedSegmentNumber) if items else 0

"""The face of a whole series: found in its volumes, given back as one mask for each instance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from service.core.image_slices import read_slices
from service.core.stored_pixels import PADDING_HU
from service.core.volume import Volume
from service.core.volume_building import build_volumes
from service.deident.faces.face_mask import find_face
from service.errors import IdentityNotRemovable

LEAST_SLICES = 5
Mask = npt.NDArray[np.bool_]


def face_masks(data_sets: Sequence[Dataset], pixels: Callable[[int], npt.NDArray[Any]]) -> list[Mask]:
    """Find the face in a series of a head.

    Parameters
    ----------
    data_sets : the instances of one series, in any order
    pixels : gives the stored values of ``data_sets[i]``, shape (rows, columns) or (frames, rows, columns)

    Returns
    -------
    for each instance the pixels to take out, shape (frames, rows, columns)

    Raises
    ------
    IdentityNotRemovable : not every image is part of a volume, no head is found, or its surface can still be known
    """
    series = build_volumes(data_sets, pixels)
    if series.refused or not series.volumes:
        raise IdentityNotRemovable(f"faces cannot be removed: {'; '.join(series.refused) or 'there is no volume'}")
    frames = [_frames(data_set) for data_set in data_sets]
    masks = [
        np.zeros((count, int(data_set.Rows), int(data_set.Columns)), dtype=bool)
        for count, data_set in zip(frames, data_sets, strict=True)
    ]
    places = {id(data_set): place for place, data_set in enumerate(data_sets)}
    covered = 0
    for volume in series.volumes:
        covered += _mark(volume, places, masks)
    if covered < len(read_slices(data_sets)[0]):
        raise IdentityNotRemovable("faces cannot be removed: an image is there twice")
    return masks


def without_face(stored: npt.NDArray[Any], mask: Mask, header: Dataset) -> npt.NDArray[Any]:
    """Return stored values with air (CT) or no signal (MR) where the face was.

    Parameters
    ----------
    stored : shape (rows, columns) or (frames, rows, columns)
    mask : shape (frames, rows, columns)
    """
    cleaned = stored.copy()
    frames = cleaned if cleaned.ndim == 3 else cleaned[np.newaxis]
    for number, frame in enumerate(frames):
        frame[mask[number]] = _nothing(header, frame)
    return cleaned


def _mark(volume: Volume, places: dict[int, int], masks: list[Mask]) -> int:
    if volume.shape[0] < LEAST_SLICES:
        raise IdentityNotRemovable(f"faces cannot be removed: fewer than {LEAST_SLICES} slices lie side by side")
    face = find_face(volume)
    if not face.hides_face:
        raise IdentityNotRemovable("faces cannot be removed: the second look still finds the surface of the face")
    for source, frame, mask in zip(volume.sources, volume.frame_numbers, face.slices(volume), strict=True):
        masks[places[id(source)]][frame - 1] |= mask
    return volume.shape[0]


def _frames(data_set: Dataset) -> int:
    return int(data_set.get("NumberOfFrames", 1) or 1)


def _nothing(header: Dataset, frame: npt.NDArray[Any]) -> Any:
    """Return the stored value of air; where the header has no rescale of its own, the least value there is."""
    intercept, slope = header.get("RescaleIntercept"), header.get("RescaleSlope")
    if str(header.get("Modality", "")) == "CT" and intercept is not None and slope:
        stored = round((PADDING_HU - float(intercept)) / float(slope))
        bits = int(header.get("BitsStored", 16))
        low, high = (
            (-(1 << bits - 1), (1 << bits - 1) - 1) if header.get("PixelRepresentation") else (0, (1 << bits) - 1)
        )
        return min(max(stored, low), high)
    return frame.min()

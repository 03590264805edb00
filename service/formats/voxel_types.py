"""The smallest type that holds every real value of a volume, told from its headers before a pixel is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from service.core.image_slices import ImageSlice
from service.core.stored_pixels import HOUNSFIELD_UNIT, PADDING_HU, PADDING_OTHERWISE
from service.core.volume_slices import VolumeSlices

FALLBACK: Final = np.dtype(np.float32)
"""Slices are read as 32-bit floats, so that this one holds any of them."""
_WHOLE: Final = (np.dtype(np.int16), np.dtype(np.uint16), np.dtype(np.int32))
_EXACT: Final = 1 << 24
"""Whole numbers up to here are exact as 32-bit floats."""


class ValuesBeyond(Exception):
    """A slice holds values that the type chosen by its header does not: Bits Stored (0028,0101) is not true."""


def voxel_type(volume: VolumeSlices) -> np.dtype[Any]:
    """A whole-number type where rescaling keeps values whole, else 32-bit float."""
    ends = [end for one in volume.slices for end in _ends(one)]
    low, high = min(ends), max(ends)
    if not all(end.is_integer() for end in ends) or max(-low, high) > _EXACT:
        return FALLBACK
    return next((one for one in _WHOLE if np.iinfo(one).min <= low and high <= np.iinfo(one).max), FALLBACK)


def typed_slices(volume: VolumeSlices, dtype: np.dtype[Any]) -> Iterator[npt.NDArray[Any]]:
    """The slices of a volume in a type, one after the other.

    Raises
    ------
    ValuesBeyond : the type does not hold a value
    VolumeRefused : pixels cannot be read
    """
    for number in range(len(volume.slices)):
        real = volume.real_slice(number)
        if dtype.kind != "f":
            bounds = np.iinfo(dtype)
            if real.min() < bounds.min or real.max() > bounds.max:
                raise ValuesBeyond
        yield real.astype(dtype, copy=False)


def _ends(one: ImageSlice) -> tuple[float, ...]:
    """The ends of what a slice can hold; numbers that are not whole where rescaling makes such."""
    padding = PADDING_HU if one.rescale.unit == HOUNSFIELD_UNIT else PADDING_OTHERWISE
    if "PixelData" not in one.source and "FloatPixelData" in one.source:
        return (0.5, padding)
    bits = int(one.source.get("BitsStored") or 16)
    low = -(1 << (bits - 1)) if one.source.get("PixelRepresentation") == 1 else 0
    slope, intercept = float(one.rescale.slope), float(one.rescale.intercept)
    first, last = low * slope + intercept, (low + (1 << bits) - 1) * slope + intercept
    # Both ends may be whole by chance; the value next to an end is not then.
    return first, last, first + slope, padding

"""Stored pixel values: decoding them, and what they mean (PS3.3 C.11.1, C.7.5.1.1.2).

Photometric Interpretation MONOCHROME1 changes how a value is shown, not what it measures, so nothing is inverted here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder

from service.errors import TransferSyntaxNotSupported, VolumeRefused

# What stands in a voxel that holds no measurement (pixel padding, not a number): air for Hounsfield units, so that
# nothing dense appears outside the reconstructed circle; nothing at all for every other unit.
PADDING_HU = -1000.0
PADDING_OTHERWISE = 0.0

HOUNSFIELD_UNIT = "[hnsf'U]"


@dataclass(frozen=True, slots=True)
class Rescale:
    """From a stored value to a real one: ``stored * slope + intercept``, in the UCUM unit ``unit``."""

    slope: float
    intercept: float
    unit: str


def decode_pixels(data_set: Dataset) -> npt.NDArray[Any]:
    """Stored pixel values of a data set that carries its pixel data and file meta.

    Returns
    -------
    shape (rows, columns) or (frames, rows, columns), with a last axis of samples for colour; the dtype is the stored
    one: 8 to 32 bits, signed or not, or float

    Raises
    ------
    TransferSyntaxNotSupported : no codec here reads the transfer syntax
    VolumeRefused : there are no pixel data, or they cannot be decoded
    """
    if not any(name in data_set for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise VolumeRefused("the instance has no pixel data")
    transfer_syntax = data_set.file_meta.TransferSyntaxUID
    try:
        available = get_decoder(transfer_syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        raise TransferSyntaxNotSupported(f"no codec here reads pixels in transfer syntax {transfer_syntax}")
    try:
        pixels: npt.NDArray[Any] = data_set.pixel_array
    except Exception as err:  # codecs raise whatever they like on broken streams
        raise VolumeRefused("the pixel data cannot be decoded") from err
    return pixels


def real_values(
    stored: npt.NDArray[Any], rescale: Rescale, padding: tuple[float, float] | None
) -> npt.NDArray[np.float32]:
    """Real values of one slice; voxels that hold no measurement become air (CT) or zero.

    Parameters
    ----------
    stored : shape (rows, columns)
    padding : stored values, both included, that stand for no measurement (PS3.3 C.7.5.1.1.2)
    """
    values = (np.asarray(stored, dtype=np.float64) * rescale.slope + rescale.intercept).astype(np.float32)
    nothing = ~np.isfinite(values)
    if padding is not None:
        nothing |= (stored >= padding[0]) & (stored <= padding[1])
    if nothing.any():
        values[nothing] = PADDING_HU if rescale.unit == HOUNSFIELD_UNIT else PADDING_OTHERWISE
    return values


def without_unused_bits(stored: npt.NDArray[Any], bits_stored: int) -> npt.NDArray[Any]:
    """The values of Bits Stored alone, their sign extended; what lies above may be an overlay (PS3.5 8.1.1)."""
    bits = stored.dtype.itemsize * 8
    if stored.dtype.kind == "f" or not 0 < bits_stored < bits:
        return stored
    kept: npt.NDArray[Any] = np.right_shift(np.left_shift(stored, bits - bits_stored), bits - bits_stored)
    return kept


def padding_of(data_set: Dataset) -> tuple[float, float] | None:
    """Range of stored values that Pixel Padding Value (0028,0120) and its Range Limit (0028,0121) name, if any."""
    first = data_set.get("FloatPixelPaddingValue", data_set.get("DoubleFloatPixelPaddingValue"))
    last = data_set.get("FloatPixelPaddingRangeLimit", data_set.get("DoubleFloatPixelPaddingRangeLimit", first))
    if first is None:
        first = _stored_integer(data_set, data_set.get("PixelPaddingValue"))
        last = _stored_integer(data_set, data_set.get("PixelPaddingRangeLimit"))
    if first is None:
        return None
    last = first if last is None else last
    return min(float(first), float(last)), max(float(first), float(last))


def _stored_integer(data_set: Dataset, value: Any) -> int | None:
    """The value in the representation of the pixels; scanners write 63536 where -2000 is meant."""
    if not isinstance(value, int):
        return None
    bits = int(data_set.get("BitsAllocated", 16))
    if data_set.get("PixelRepresentation") == 1:
        return value - (1 << bits) if value >= 1 << (bits - 1) else value
    return value + (1 << bits) if value < 0 else value

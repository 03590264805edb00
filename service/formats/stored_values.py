"""Values of any kind as the 16 bits that DICOM images hold, with the rescale that gives them back (PS3.3 C.11.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.valuerep import format_number_as_ds

from service.errors import FormatRefused

_LEVELS: Final = (1 << 16) - 1


@dataclass(frozen=True, slots=True, eq=False)
class StoredValues:
    """Stored values of a volume: ``stored * slope + intercept`` is what was meant.

    Parameters
    ----------
    voxels : int16 or uint16, shape (slices, rows, columns)
    off_by : how far the values that come back are from those that were given, at most
    """

    voxels: npt.NDArray[Any] = field(repr=False)
    slope: float = 1.0
    intercept: float = 0.0
    off_by: float = 0.0

    @property
    def is_signed(self) -> bool:
        """Whether stored values are in two's complement."""
        return self.voxels.dtype.kind == "i"


def stored_values(stored: npt.NDArray[Any], slope: float, intercept: float) -> StoredValues:
    """Whole numbers of 16 bits as they are, with their slope and intercept; anything else in 65536 levels.

    Raises
    ------
    FormatRefused : some are not numbers
    """
    if stored.dtype.kind == "f" and (wrong := int(np.count_nonzero(~np.isfinite(stored)))):
        raise FormatRefused(f"{wrong} of its voxels are not a number or infinite: give them a value first")
    low, high = stored.min(), stored.max()
    is_whole = stored.dtype.kind in "iu" or not np.any(stored % 1)
    for kind in (np.int16, np.uint16):
        if is_whole and np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return StoredValues(stored.astype(kind, copy=False), decimal(slope), decimal(intercept))
    real = stored.astype(np.float64) * slope + intercept
    return _in_levels(real)


def _in_levels(real: npt.NDArray[np.float64]) -> StoredValues:
    low, high = float(real.min()), float(real.max())
    # As a header holds it, in 16 characters: what is read back is computed with that.
    intercept = decimal(low)
    slope = decimal((high - intercept) / _LEVELS) or 1.0
    voxels = np.clip(np.rint((real - intercept) / slope), 0, _LEVELS).astype(np.uint16)
    off_by = float(np.abs(voxels * slope + intercept - real).max())
    return StoredValues(voxels, slope, intercept, off_by)


def decimal(value: float) -> float:
    """A number as a DS of 16 characters holds it (PS3.5 6.2)."""
    return float(format_number_as_ds(float(value)))

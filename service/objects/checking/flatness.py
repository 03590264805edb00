"""Whether points lie in one plane."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

_LEAST_MM: Final = 0.5
_SHARE: Final = 0.01
"""Of the points' extent: rounding, and coordinates that were carried over from pixels, are not what is meant."""


def is_flat(points: npt.NDArray[np.float64]) -> bool:
    """Whether points, shape (n, 3) in mm, lie in one plane, to half a millimetre or a hundredth of their extent."""
    if len(points) < 4:  # three points always do
        return True
    extent = points.max(axis=0) - points.min(axis=0)
    tolerance = max(_LEAST_MM, _SHARE * float(np.linalg.norm(extent)))
    if float(extent.min()) <= tolerance:
        return True
    centred = points - points.mean(axis=0)
    normal = np.linalg.svd(centred, full_matrices=False)[2][2]
    return bool(np.abs(centred @ normal).max() <= tolerance)

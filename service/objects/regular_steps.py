"""How frames follow each other along their normal, and whether they are the planes of one regular, straight stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from service.core.source_frames import SourceFrame

STEP_TOLERANCE: Final = 1e-3
"""Millimetres; what is nearer is the same place, since headers round."""
_REGULAR: Final = 0.01
"""Share of a step by which steps may differ from each other and from the normal."""


def distances_along_normal(frames: Sequence[SourceFrame]) -> npt.NDArray[np.float64]:
    """The place of each frame along the first one's normal, in mm; shape (frames,)."""
    positions = np.array([frame.position for frame in frames], dtype=np.float64)
    orientation = frames[0].orientation or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    normal = np.cross(orientation[:3], orientation[3:])
    along: npt.NDArray[np.float64] = positions @ (normal / np.linalg.norm(normal))
    return along


def steps_are_regular(frames: Sequence[SourceFrame]) -> bool:
    """Whether frames, in their order, lie one equal step after the other along their normal (PS3.3 C.7.6.17.3, 3D)."""
    positions = np.array([frame.position for frame in frames], dtype=np.float64)
    steps = np.diff(positions, axis=0)
    along = np.diff(distances_along_normal(frames))
    if not len(steps) or np.abs(along[0]) < STEP_TOLERANCE:
        return False
    allowed = _REGULAR * abs(along[0])
    straight = np.abs(np.linalg.norm(steps, axis=1) - np.abs(along)) <= allowed
    return bool(np.all(straight) and np.all(np.abs(along - along[0]) <= allowed))

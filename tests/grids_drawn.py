"""Grids drawn at random: affines from index (slice, row, column) to mm."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st


@st.composite
def affines(draw: st.DrawFn, *, tilted: bool = False) -> np.ndarray:
    """Steps of 0.2 to 6 mm along axes turned at random, at random places."""
    numbers = st.floats(-1, 1, allow_nan=False)
    quaternion = np.array([draw(numbers) for _ in range(4)])
    if np.linalg.norm(quaternion) < 0.1:
        quaternion = np.array([1.0, 0, 0, 0])
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    steps = np.array([draw(st.floats(0.2, 6)) for _ in range(3)])
    affine = np.eye(4)
    affine[:3, :3] = turn * steps
    if tilted:
        affine[:3, 0] += affine[:3, 1] * draw(st.floats(0.2, 1))
    affine[:3, 3] = [draw(st.floats(-500, 500)) for _ in range(3)]
    return affine

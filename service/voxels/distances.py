"""Distances on a voxel grid in millimetres, and what can be done to a mask with them.

SimpleITK's Maurer distance map: exact for anisotropic voxels, in float32 and on all cores.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
Distances = npt.NDArray[np.float32]
Spacing = tuple[float, float, float]

# Below so many voxels threads cost more than they save.
SMALL = 1_000_000


def distance_to(mask: BoolArray, spacing_mm: Spacing) -> Distances:
    """Distance of every voxel to the nearest voxel of the mask, mm; 0 within; infinite where the mask is empty.

    Parameters
    ----------
    mask : shape (slices, rows, columns)
    spacing_mm : along slices, rows and columns
    """
    import SimpleITK

    if not mask.any():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    image = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing([float(mm) for mm in reversed(spacing_mm)])
    signed = SimpleITK.SignedMaurerDistanceMap(
        image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
    )
    distances: Distances = SimpleITK.GetArrayFromImage(signed)
    np.maximum(distances, 0, out=distances)
    return distances


def depth_in(mask: BoolArray, spacing_mm: Spacing) -> Distances:
    """Distance of every voxel of the mask to the nearest one outside it, mm; 0 outside."""
    return distance_to(~mask, spacing_mm)


def grow(mask: BoolArray, reach_mm: float, spacing_mm: Spacing) -> BoolArray:
    """Everything within ``reach_mm`` of the mask."""
    grown: BoolArray = distance_to(mask, spacing_mm) <= reach_mm
    return grown


def open_mask(mask: BoolArray, radius_mm: float, spacing_mm: Spacing, slack_mm: float = 0.0) -> BoolArray:
    """What of the mask a ball of the radius can reach from within; ``slack_mm`` gives back voxels lost to rounding."""
    core = depth_in(mask, spacing_mm) > radius_mm
    opened: BoolArray = mask & grow(core, radius_mm + slack_mm, spacing_mm)
    return opened


def close_mask(mask: BoolArray, radius_mm: float, spacing_mm: Spacing) -> BoolArray:
    """The mask with every hole and dent filled that a ball of the radius cannot reach from outside.

    Beyond the first and last slice the mask is taken to go on as it is there.
    """
    pad = [int(np.ceil(radius_mm / mm)) + 1 for mm in spacing_mm]
    padded = np.pad(mask, [(n, n) for n in pad], mode="edge")
    # Rows and columns end in what is not the mask: a lung that reaches the edge of the image is cut off there.
    padded[:, : pad[1]] = padded[:, -pad[1] :] = False
    padded[:, :, : pad[2]] = padded[:, :, -pad[2] :] = False
    grown = grow(padded, radius_mm, spacing_mm)
    closed = depth_in(grown, spacing_mm) > radius_mm
    inner = tuple(slice(n, -n) for n in pad)
    filled: BoolArray = closed[inner] | mask
    return filled

"""A head that has a face: what the removal of faces is measured on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.core.volume import Volume

AIR, SKIN, BONE, BRAIN = -1000.0, 40.0, 800.0, 35.0
SIZE_MM = (190.0, 230.0, 240.0)  # x, y, z


@dataclass(frozen=True, slots=True, eq=False)
class HeadPhantom:
    """A head, and which voxels of ``volume.array`` are its brain and its ears."""

    volume: Volume
    brain: npt.NDArray[np.bool_]
    ears: npt.NDArray[np.bool_]


def head_phantom(
    seed: int, modality: str = "CT", spacing_mm: tuple[float, float, float] = (3.0, 2.0, 2.0), plane: str = "axial"
) -> HeadPhantom:
    """Draw a head whose nose, eyes, lips, chin and ears follow from a seed.

    Parameters
    ----------
    spacing_mm : between slices, rows, columns
    plane : how the slices lie, "axial", "sagittal" or "coronal"
    """
    affine, shape = _geometry(plane, spacing_mm)
    index = np.stack(np.meshgrid(*(np.arange(size) for size in shape), indexing="ij"), axis=-1)
    x, y, z = np.moveaxis(index @ affine[:3, :3].T + affine[:3, 3], -1, 0)
    random = np.random.default_rng(seed)
    head, brain, ears = _head(x, y, z, random)
    skull = _ellipsoid(x, y, z, (0, 5, 25), (69, 87, 79)) & ~_ellipsoid(x, y, z, (0, 5, 25), (63, 81, 73))
    array = np.full(shape, AIR)
    array[head] = SKIN
    array[head & skull] = BONE
    array[brain] = BRAIN
    unit = "[hnsf'U]"
    if modality == "MR":
        unit = "1"
        array = np.select([brain, head & skull, head], [600.0, 60.0, 400.0], 5.0)
        array += np.abs(random.normal(0, 12, shape))
    else:
        array += random.normal(0, 12, shape)
    number = shape[0]
    volume = Volume(array.astype(np.float32), affine, (), (1,) * number, modality, unit, "1.2.3", "1.2.3.4", "1.2.3.5")
    return HeadPhantom(volume, brain, ears)


def _geometry(plane: str, spacing_mm: tuple[float, float, float]) -> tuple[npt.NDArray[np.float64], tuple[int, ...]]:
    # Patient axis of slice, row and column index; the head looks to -y and stands to +z (LPS).
    axes = {"axial": (2, 1, 0), "sagittal": (0, 2, 1), "coronal": (1, 2, 0)}[plane]
    affine, shape = np.eye(4), []
    affine[:3, :3] = 0
    start = np.array([-SIZE_MM[0] / 2, -SIZE_MM[1] / 2 - 10, -SIZE_MM[2] / 2])
    for place, (axis, spacing) in enumerate(zip(axes, spacing_mm, strict=True)):
        down = axis == 2 and plane != "axial"  # rows run from the vertex downwards
        affine[axis, place] = -spacing if down else spacing
        start[axis] = SIZE_MM[axis] / 2 if down else start[axis]
        shape.append(int(SIZE_MM[axis] / spacing))
    affine[:3, 3] = start
    return affine, tuple(shape)


def _ellipsoid(x, y, z, centre, radii):
    return sum(((c - m) / r) ** 2 for c, m, r in zip((x, y, z), centre, radii, strict=True)) < 1


def _head(x, y, z, random):
    """Head, brain and ears; the front of the skull lies at y = -88 at the level of the brow, z = 25."""
    head = _ellipsoid(x, y, z, (0, 5, 25), (75, 93, 85))
    head |= _ellipsoid(x, y, z, (0, -20, -40), (62, 62, 70))  # jaw
    head |= ((x / 52) ** 2 + ((y - 25) / 55) ** 2 < 1) & (z < -30)  # neck
    nose = random.uniform(14, 24)
    head |= _ellipsoid(x, y, z, (random.uniform(-2, 2), -86, -18), (random.uniform(9, 14), nose + 6, 19))
    lips = random.uniform(-62, -54)
    head |= _ellipsoid(x, y, z, (0, -74, lips), (22, 12, 5))
    head |= _ellipsoid(x, y, z, (0, -66, -88), (random.uniform(14, 22), random.uniform(16, 24), 13))  # chin
    ears = np.zeros(head.shape, dtype=bool)
    for side in (-1, 1):
        eye = random.uniform(28, 34) * side
        head &= ~_ellipsoid(x, y, z, (eye, -92, 5), (16, 20, 11))
        head |= _ellipsoid(x, y, z, (eye, -68, 5), (12, 12, 12))
        ear = _ellipsoid(x, y, z, (79 * side, 12, 5), (6, 13, random.uniform(24, 32))) & ~head
        ears |= ear
        head |= ear
    brain = _ellipsoid(x, y, z, (0, 5, 25), (62, 80, 72)) & (z > -15)
    return head | brain, brain, ears

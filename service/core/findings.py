"""What an annotator or a reader marks: the one model that every object writer and reader shares.

Masks lie in the grid of a volume; where shapes lie, each says itself (`service/core/geometry.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from service.core.codes import Code
from service.core.geometry import Shape


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """A region of a volume, or of other source frames, as a box of voxels.

    Parameters
    ----------
    voxels : bool, shape (slices, rows, columns); True is inside
    origin : index (slice, row, column) of ``voxels[0, 0, 0]`` in the volume
    fractions : where the border is not sharp: float32, 0 to 1, shape of ``voxels``; how likely each voxel is inside, or
        how much of it; ``voxels`` is then what counts as inside
    """

    voxels: npt.NDArray[np.bool_]
    origin: tuple[int, int, int] = (0, 0, 0)
    fractions: npt.NDArray[np.float32] | None = None

    def into(self, shape: tuple[int, int, int]) -> npt.NDArray[np.bool_]:
        """The mask in the grid of the whole volume; bool, of the given (slices, rows, columns)."""
        whole = np.zeros(shape, dtype=bool)
        box = tuple(slice(o, o + n) for o, n in zip(self.origin, self.voxels.shape, strict=True))
        whole[box] = self.voxels
        return whole

    @classmethod
    def cut_from(cls, whole: npt.NDArray[np.bool_]) -> Mask:
        """The smallest box that holds every set voxel of ``whole``, shape (slices, rows, columns).

        Raises
        ------
        ValueError : no voxel is set
        """
        box = _smallest_box(whole)
        return cls(np.ascontiguousarray(whole[box]), _start_of(box))

    @classmethod
    def cut_from_fractions(cls, whole: npt.NDArray[np.float32], threshold: float = 0.5) -> Mask:
        """The smallest box that holds every voxel above 0; what reaches the threshold is inside.

        Parameters
        ----------
        whole : shape (slices, rows, columns), 0 to 1

        Raises
        ------
        ValueError : no voxel is above 0, or one is not a number from 0 to 1
        """
        if not (whole.min(initial=0) >= 0 and whole.max(initial=0) <= 1):
            raise ValueError("a fraction is a number from 0 to 1")
        box = _smallest_box(whole > 0)
        fractions = np.ascontiguousarray(whole[box], dtype=np.float32)
        return cls(fractions >= threshold, _start_of(box), fractions)


def _smallest_box(whole: npt.NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    """Where every set voxel lies."""
    if not whole.any():
        raise ValueError("a mask without a voxel marks nothing")
    hits = [np.flatnonzero(whole.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    first, second, third = (slice(int(hit[0]), int(hit[-1]) + 1) for hit in hits)
    return first, second, third


def _start_of(box: tuple[slice, slice, slice]) -> tuple[int, int, int]:
    return box[0].start, box[1].start, box[2].start


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number with its name and UCUM unit (PS3.16 TID 300, TID 1419).

    ``shape`` is what the number was taken from, where it was drawn: the line of a length or an axis, the outline of an
    area, the legs of an angle. ``derivation`` and ``method`` are optional codes of Derivation and Measurement Method.
    """

    name: Code
    value: float
    unit: Code
    shape: Shape | None = None
    derivation: Code | None = None
    method: Code | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A qualitative answer: a concept and its coded value or text."""

    name: Code
    value: Code | str


@dataclass(frozen=True, slots=True)
class AlgorithmIdentification:
    """Who made a finding when it was a program (PS3.16 TID 4019; IHE AIR Contributing Equipment).

    ``device_uid`` changes with every retraining or release, as IHE AIR asks.
    """

    name: str
    version: str
    manufacturer: str
    family: Code
    device_uid: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    demonstrator: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """One marked thing, with everything that is known about it.

    Parameters
    ----------
    label : short text that a reader sees, unique among the findings of a run ("Nodule 1")
    tracking_uid : joins the same thing across objects and time points (0062,0021), (112040, DCM)
    category : segmented property category (PS3.16 CID 7150)
    type : what it is (segmented property type, finding)
    site : where it is, with ``laterality`` if it has one
    mask : region in the grid of the source volume
    shapes : what was drawn, beside the shapes of measurements
    confidence : 0 to 1
    comment : free words
    colour : display colour, sRGB 0 to 255
    """

    label: str
    tracking_uid: str
    category: Code
    type: Code
    site: Code | None = None
    laterality: Code | None = None
    mask: Mask | None = None
    shapes: tuple[Shape, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    confidence: float | None = None
    colour: tuple[int, int, int] = (255, 160, 0)
    comment: str = ""

"""One case of a dataset: a volume, or images that make none, with what was marked on it, by the dataset's labels."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from service.core.findings import Finding, Mask
from service.core.volume_slices import VolumeSlices
from service.errors import FormatRefused
from service.formats.flat_images import FlatImages
from service.formats.labels import Label
from service.formats.stored_findings import LoadMask

_SHORT: Final = 8
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9-]+", re.ASCII)


class NoVolume(FormatRefused):
    """A format of volumes is asked to hold images that lie nowhere."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFinding:
    """A finding with the label that stands for it; ``load_mask`` gives its mask in the grid of the case's images."""

    finding: Finding
    label: Label
    maker: str
    load_mask: LoadMask | None = None

    def mask(self) -> Mask | None:
        """Its mask; None where it has none, or one without a voxel."""
        return None if self.load_mask is None else self.load_mask()


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Images and what was found on them.

    Parameters
    ----------
    name : what its files are called: the patient's pseudonym and digests of study and series
    part : of the dataset, by its patient
    volume_number : which of its series' volumes, and after these of its groups of flat images, it is, from 0
    images : a volume, or images that lie nowhere
    findings : None where nobody whom the dataset goes by has looked at it
    """

    name: str
    patient: str
    part: str
    study_uid: str
    series_uid: str
    volume_number: int
    modality: str
    images: VolumeSlices | FlatImages = field(repr=False)
    findings: tuple[LabelledFinding, ...] | None

    @property
    def volume(self) -> VolumeSlices:
        """Its volume.

        Raises
        ------
        NoVolume : its images lie nowhere
        """
        if isinstance(self.images, FlatImages):
            raise NoVolume(
                "its images lie nowhere in the patient, and this format holds volumes: choose one of pictures "
                "(coco, yolo, yolo-seg, png) or of tables (csv, parquet)"
            )
        return self.images

    @property
    def voxel_mm3(self) -> float | None:
        """Volume of a voxel; None of images that lie nowhere."""
        return None if isinstance(self.images, FlatImages) else self.images.without_voxels().voxel_mm3

    @property
    def spacing_mm(self) -> tuple[float | None, float | None, float | None]:
        """Between slices, rows and columns, as far as images say it."""
        if isinstance(self.images, FlatImages):
            return None, *self.images.spacing_mm
        steps = np.linalg.norm(self.images.affine[:3, :3], axis=0)
        return float(steps[0]), float(steps[1]), float(steps[2])


def case_name(patient: str, study_uid: str, series_uid: str, volume_number: int) -> str:
    """The name of a case: letters, digits, ``-`` and ``_`` only, always the same for the same volume.

    UIDs go in as digests, so that a name stays short whatever they are.
    """
    plain = _NOT_PLAIN.sub("-", patient).strip("-") or "patient"
    digests = "_".join(hashlib.sha256(uid.encode()).hexdigest()[:_SHORT] for uid in (study_uid, series_uid))
    return f"{plain}_{digests}" + (f"-{volume_number + 1}" if volume_number else "")


def label_image(case: Case, labels: Sequence[Label], numbers: Mapping[str, int]) -> npt.NDArray[Any]:
    """Numbers of labels in the grid of the case's images, 0 where nothing is marked.

    Parameters
    ----------
    labels : of the dataset
    numbers : what stands for each in the image, by name

    Returns
    -------
    uint8, or uint16 where numbers ask for it; shape (slices, rows, columns)

    Raises
    ------
    FormatRefused : two labels share a voxel and neither is said to lie over the other, two makers marked one label, or
        a finding has no mask
    """
    findings = case.findings or ()
    refuse_without_mask(findings)
    _refuse_two_makers(findings)
    order = {label.name: place for place, label in enumerate(_from_below(labels))}
    image = np.zeros(case.images.shape, dtype=np.min_scalar_type(max(numbers.values(), default=0)))
    names = {number: name for name, number in numbers.items()}
    for one in sorted(findings, key=lambda one: order[one.label.name]):
        if (mask := one.mask()) is not None:
            _paint(image, mask, one.label, numbers[one.label.name], names)
    return image


def _paint(image: npt.NDArray[Any], mask: Mask, label: Label, own: int, names: Mapping[int, str]) -> None:
    box = tuple(slice(start, start + size) for start, size in zip(mask.origin, mask.voxels.shape, strict=True))
    part = image[box]
    shared = part[mask.voxels]
    for number in np.unique(shared[(shared != 0) & (shared != own)]):
        other = names[int(number)]
        if other not in label.over:
            raise FormatRefused(
                f"labels {other} and {label.name} share {int((shared == number).sum())} voxels, and an image of "
                f'labels holds one a voxel: say which lies over the other (over = ["…"] in the labels), or choose one'
            )
    part[mask.voxels] = own


def _from_below(labels: Sequence[Label]) -> list[Label]:
    """Labels in an order in which each comes after those that it lies over; by number where that leaves a choice.

    Raises
    ------
    FormatRefused : they lie over each other in a ring
    """
    left = sorted(labels, key=lambda label: label.number)
    ordered: list[Label] = []
    while left:
        names = {label.name for label in left}
        ready = [label for label in left if not names & set(label.over)]
        if not ready:
            raise FormatRefused(f"labels lie over each other in a ring: {', '.join(sorted(names))}; mend over = […]")
        ordered.append(ready[0])
        left.remove(ready[0])
    return ordered


def refuse_without_mask(findings: Sequence[LabelledFinding]) -> None:
    """Refuse what masks cannot show: a case without it would teach that nothing is there.

    Raises
    ------
    FormatRefused : names the labels that were marked without a mask
    """
    names = sorted({one.label.name for one in findings if one.load_mask is None})
    if names:
        raise FormatRefused(
            f"{' and '.join(names)} was marked without a mask, which this format asks for: choose other labels "
            "(--label), or one that holds outlines or tables alone"
        )


def _refuse_two_makers(findings: Sequence[LabelledFinding]) -> None:
    """One image of labels holds one opinion; whose, is for the user to say."""
    makers: dict[str, set[str]] = {}
    for one in findings:
        if one.load_mask is not None:
            makers.setdefault(one.label.name, set()).add(one.maker)
    for name, who in makers.items():
        if len(who) > 1:
            raise FormatRefused(
                f"label {name} was marked by {' and by '.join(sorted(who))}: choose one with --annotator or --reader"
            )

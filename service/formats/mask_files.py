"""Masks of other formats: what each voxel is marked as, wherever the file has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from service.core.findings import Finding, Mask
from service.core.volume import Affine
from service.core.volume_slices import VolumeSlices
from service.errors import FormatRefused
from service.formats.flat_images import FlatImages
from service.formats.grids import Shape, placement
from service.formats.labels import Label, LabelMapping
from service.formats.nifti_file import open_nifti
from service.formats.nrrd_file import read_nrrd
from service.formats.segment_fields import NamedSegment, segments_in

LabelOf = Callable[[int], Label]
"""The label that stands behind a number in a file; refuses a number that stands for none."""
_SUFFIXES: Final = (".seg.nrrd", ".nii.gz", ".nrrd", ".nii", ".png")


@dataclass(frozen=True, slots=True, eq=False)
class MarkedGrid:
    """Numbers on a grid.

    Parameters
    ----------
    voxels : shape (layers, slices, rows, columns)
    segments : what stands behind layers and numbers where the file itself says so
    """

    affine: Affine
    voxels: npt.NDArray[Any] = field(repr=False)
    segments: tuple[NamedSegment, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> Shape:
        """Number of slices, rows and columns."""
        _, slices, rows, columns = self.voxels.shape
        return slices, rows, columns


def stem_of(file: Path) -> str:
    """A file's name without what tells its format."""
    name = file.name
    suffix = next((suffix for suffix in _SUFFIXES if name.lower().endswith(suffix)), file.suffix)
    return name[: len(name) - len(suffix)] if suffix else name


def read_masks(file: Path) -> MarkedGrid:
    """The masks of a NIfTI or NRRD file.

    Raises
    ------
    FormatRefused : it is none, or holds what is no number of a label
    """
    if file.name.lower().endswith(".nrrd"):
        nrrd = read_nrrd(file)
        return MarkedGrid(nrrd.affine, _numbers(nrrd.voxels), tuple(segments_in(nrrd.pairs)))
    nifti = open_nifti(file)
    values = nifti.stored() if nifti.scaling == (1.0, 0.0) else nifti.real()
    return MarkedGrid(nifti.affine, _numbers(values[np.newaxis]), (), nifti.notes)


def _numbers(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values as whole numbers from 0 on."""
    if values.dtype.kind == "f":
        if wrong := int(np.count_nonzero(~np.isfinite(values))):
            raise FormatRefused(f"{wrong} of its voxels are not a number (NaN) or infinite: give them 0 or a label")
        if wrong := int(np.count_nonzero(values % 1)):
            raise FormatRefused(
                f"{wrong} of its voxels are no whole numbers, as after a resampling that was not nearest neighbour: "
                "a mask holds numbers of labels"
            )
    if values.min() < 0:
        raise FormatRefused("some of its voxels are below 0: a mask holds 0 for nothing and numbers of labels")
    return values


def findings_in(
    grid: MarkedGrid, volume: VolumeSlices | FlatImages, mapping: LabelMapping, label_of: LabelOf
) -> list[Finding]:
    """What a file marks on a volume, with masks in the volume's grid; nothing where all of it is 0.

    Tracking UIDs are those that the file gives, else "".

    Raises
    ------
    FormatRefused : it lies on another grid or beyond the volume, or a number stands for no label; images lie nowhere
    """
    if isinstance(volume, FlatImages):
        raise FormatRefused("its images lie nowhere in the patient: marks on them come as PNG or COCO")
    lies = placement(grid.affine, grid.shape, volume.affine, volume.shape)
    layers = [lies.turned(layer) for layer in grid.voxels]
    if grid.segments:
        return list(_of_segments(grid.segments, layers, lies.origin, volume.shape, mapping))
    if len(layers) > 1:
        raise FormatRefused("it has layers, and does not say what stands for what in them (Segment…_LabelValue)")
    found = [int(number) for number in np.unique(layers[0]) if number]
    labels = labels_of(found, label_of)
    return [
        _finding(labels[number], _mask(layers[0] == number, lies.origin, volume.shape, labels[number].name))
        for number in found
    ]


def labels_of(numbers: list[int], label_of: LabelOf) -> dict[int, Label]:
    """The label of each number; every number that has none is named."""
    labels, reasons = {}, []
    for number in numbers:
        try:
            labels[number] = label_of(number)
        except FormatRefused as error:
            reasons.append(str(error))
    if reasons:
        raise FormatRefused("; ".join(reasons))
    return labels


def _of_segments(
    segments: tuple[NamedSegment, ...],
    layers: list[npt.NDArray[Any]],
    origin: Shape,
    shape: Shape,
    mapping: LabelMapping,
) -> Iterator[Finding]:
    for segment in segments:
        if segment.layer >= len(layers):
            raise FormatRefused(f"a segment lies in layer {segment.layer}, and the file has {len(layers)}")
        inside = layers[segment.layer] == segment.value
        if inside.any():
            finding = _described(segment.finding, mapping)
            yield replace(finding, mask=_mask(inside, origin, shape, finding.label))


def _described(finding: Finding, mapping: LabelMapping) -> Finding:
    """A segment's own codes, else those of the label of its name."""
    if finding.type.value and finding.category.value:
        return finding
    label = mapping.named(finding.label)
    return replace(_finding(label, None), label=finding.label, tracking_uid=finding.tracking_uid, colour=finding.colour)


def _finding(label: Label, mask: Mask | None) -> Finding:
    return finding_of_label(label, label.name, mask=mask)


def finding_of_label(
    label: Label, text: str, *, mask: Mask | None = None, tracking_uid: str = "", confidence: float | None = None
) -> Finding:
    """A finding of a label's first code, under a text that readers see."""
    return Finding(
        label=text,
        tracking_uid=tracking_uid,
        category=label.category,
        type=label.types[0],
        site=label.site,
        laterality=label.laterality,
        mask=mask,
        confidence=confidence,
        colour=label.colour,
    )


def _mask(inside: npt.NDArray[np.bool_], origin: Shape, shape: Shape, name: str) -> Mask:
    """What a file marks, cut to its box in the volume's grid."""
    mask = Mask.cut_from(inside)
    first = tuple(start + own for start, own in zip(origin, mask.origin, strict=True))
    ends = tuple(start + size for start, size in zip(first, mask.voxels.shape, strict=True))
    if min(first) < 0 or any(end > size for end, size in zip(ends, shape, strict=True)):
        kept = tuple(slice(max(0, -start), max(0, size - start)) for start, size in zip(first, shape, strict=True))
        beyond = int(np.count_nonzero(mask.voxels)) - int(np.count_nonzero(mask.voxels[kept]))
        raise FormatRefused(f"{beyond} voxels of {name} lie beyond the images: cut the mask to their size")
    return Mask(mask.voxels, (first[0], first[1], first[2]))


def numbers_by_name(document: Mapping[str, Any]) -> dict[int, str]:
    """Which number is which label in a dataset.json of nnU-Net (name to number) or of the Decathlon (number to name).

    Raises
    ------
    FormatRefused : it has no labels
    """
    labels = document.get("labels")
    if not isinstance(labels, dict) or not labels:
        raise FormatRefused("it has no labels")
    found: dict[int, str] = {}
    for key, value in labels.items():
        number, name = (value, key) if isinstance(value, int) else (key, value)
        if not str(number).isdecimal() or not isinstance(name, str):
            raise FormatRefused("its labels are not names with one number each; regions of several are not read")
        if int(number):
            found[int(number)] = name
    return found

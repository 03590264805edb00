"""Datasets of volumes: an image a case and beside it an image of labels, as NIfTI or NRRD."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from service.core.findings import Mask
from service.formats.case import Case, LabelledFinding, label_image, refuse_without_mask
from service.formats.case_record import Json
from service.formats.labels import Label
from service.formats.layout import CaseFiles, Layout
from service.formats.nifti_file import write_nifti
from service.formats.nrrd_file import write_nrrd
from service.formats.segment_fields import SegmentPlace, segment_pairs
from service.formats.voxel_types import FALLBACK, ValuesBeyond, typed_slices, voxel_type

NIFTI: Final = ".nii.gz"


def write_image(case: Case, path: str, files: CaseFiles) -> None:
    """The volume of a case as NIfTI."""
    _typed(case, lambda dtype, slices: _nifti(case, "image", path, dtype, slices, files))


def write_label_image(case: Case, path: str, image: npt.NDArray[Any], files: CaseFiles) -> None:
    """An image of labels as NIfTI."""
    _nifti(case, "labels", path, image.dtype, image, files)


def _nifti(
    case: Case, role: str, path: str, dtype: np.dtype[Any], slices: Iterable[npt.NDArray[Any]], files: CaseFiles
) -> None:
    volume = case.volume
    files.write(role, path, lambda sink: write_nifti(sink, volume.affine, volume.shape, dtype, slices), compressed=True)


def _typed(case: Case, write: Any) -> None:
    """Write a volume in the type that its headers tell, or as floats where they do not tell the truth."""
    dtype = voxel_type(case.volume)
    try:
        write(dtype, typed_slices(case.volume, dtype))
    except ValuesBeyond:
        write(FALLBACK, typed_slices(case.volume, FALLBACK))


class NiftiLayout(Layout):
    """``images/CASE.nii.gz`` and ``labels/CASE.nii.gz``; numbers of labels are those of the mapping.

    Parameters
    ----------
    each_finding : write ``masks/CASE/NUMBER-LABEL.nii.gz`` for each finding instead of an image of labels, so that
        several of one label stay apart and marks may overlap
    """

    name = "nifti"

    def __init__(self, labels: tuple[Label, ...], *, each_finding: bool = False) -> None:
        super().__init__(labels)
        self._each_finding = each_finding

    @property
    def options(self) -> Json:
        """Whether each finding has a file of its own."""
        return {"each_finding": self._each_finding}

    def write(self, case: Case, files: CaseFiles) -> Any:
        """Marks before the image: whether they can be written is found sooner than every slice is read."""
        if case.findings is not None and self._each_finding:
            self._write_masks(case, case.findings, files)
        elif case.findings is not None:
            image = label_image(case, self.labels, {label.name: label.number for label in self.labels})
            write_label_image(case, f"labels/{case.name}{NIFTI}", image, files)
        write_image(case, f"images/{case.name}{NIFTI}", files)

    def _write_masks(self, case: Case, findings: tuple[LabelledFinding, ...], files: CaseFiles) -> None:
        refuse_without_mask(findings)
        for number, one in enumerate(findings, start=1):
            if (mask := one.mask()) is not None:
                path = f"masks/{case.name}/{number:03d}-{one.label.name.replace(' ', '_')}{NIFTI}"
                slices = _mask_slices(mask, case.volume.shape)
                _nifti(case, "mask", path, np.dtype(np.uint8), slices, files)


def _mask_slices(mask: Mask, shape: tuple[int, int, int]) -> Iterator[npt.NDArray[np.uint8]]:
    """A mask in the grid of its volume, slice by slice, 0 and 1."""
    first, top, left = mask.origin
    layers, height, width = mask.voxels.shape
    for number in range(shape[0]):
        plane = np.zeros(shape[1:], dtype=np.uint8)
        if first <= number < first + layers:
            plane[top : top + height, left : left + width] = mask.voxels[number - first]
        yield plane


class NrrdLayout(Layout):
    """``images/CASE.nrrd`` and ``segmentations/CASE.seg.nrrd``, a segment a finding, in layers where they overlap.

    3D Slicer shows the segments under their names, colours and codes.
    """

    name = "nrrd"

    def write(self, case: Case, files: CaseFiles) -> Any:
        """The segmentation only where somebody looked at the volume."""
        if case.findings is not None:
            self._write_segmentation(case, case.findings, files)
        volume = case.volume
        path = f"images/{case.name}.nrrd"
        _typed(
            case,
            lambda dtype, slices: files.write(
                "image", path, lambda sink: write_nrrd(sink, volume.affine, volume.shape, dtype, slices)
            ),
        )

    def _write_segmentation(self, case: Case, findings: tuple[LabelledFinding, ...], files: CaseFiles) -> None:
        refuse_without_mask(findings)
        layers, places = _layered(case, findings)
        slices = layers if len(layers) > 1 else layers[0]
        ordered = np.moveaxis(slices, 0, -1) if len(layers) > 1 else slices
        files.write(
            "segmentation",
            f"segmentations/{case.name}.seg.nrrd",
            lambda sink: write_nrrd(
                sink,
                case.volume.affine,
                case.volume.shape,
                layers.dtype,
                ordered,
                layers=len(layers),
                pairs=segment_pairs(places),
            ),
        )


def _layered(case: Case, findings: tuple[LabelledFinding, ...]) -> tuple[npt.NDArray[Any], list[SegmentPlace]]:
    """Numbers of segments, shape (layers, slices, rows, columns), each in the first layer in which it has room."""
    dtype = np.min_scalar_type(len(findings))
    layers: list[npt.NDArray[Any]] = [np.zeros(case.volume.shape, dtype=dtype)]
    places: list[SegmentPlace] = []
    for one in findings:
        if (mask := one.mask()) is None:
            continue
        box = tuple(slice(start, start + size) for start, size in zip(mask.origin, mask.voxels.shape, strict=True))
        place = next((place for place, layer in enumerate(layers) if not layer[box][mask.voxels].any()), len(layers))
        if place == len(layers):
            layers.append(np.zeros(case.volume.shape, dtype=dtype))
        value = len(places) + 1
        layers[place][box][mask.voxels] = value
        places.append(SegmentPlace(one.finding, one.label, place, value, mask.origin, mask.voxels.shape))
    return np.stack(layers) if len(layers) > 1 else layers[0][np.newaxis], places

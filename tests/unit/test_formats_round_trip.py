"""A mask that goes out and comes back is the same to the voxel, whatever the slices' orientation and the file's."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydicom.dataset import Dataset

from service.core.findings import Finding, Mask
from service.core.volume_slices import VolumeSlices, open_volumes
from service.formats.annotation_objects import AnnotationWriter, Origin
from service.formats.case import Case, LabelledFinding, label_image
from service.formats.label_file import load_labels
from service.formats.labels import LabelMapping
from service.formats.mask_files import findings_in, read_masks
from service.formats.nifti_file import write_nifti
from service.formats.segment_masks import segment_masks
from service.formats.segmentation_frames import SegmentationFrames
from service.formats.staged_file import DatasetFolder
from service.formats.volume_layouts import NrrdLayout
from tests.dataset_house import ct_series
from tests.volumes import OBLIQUE

SHAPE = (5, 6, 7)
WAYS: dict[str, dict[str, Any]] = {
    "axial": {},
    "feet first": {"step_mm": (0.0, 0.0, -2.5)},
    "oblique": {"orientation": OBLIQUE, "step_mm": (0.96, -1.28, 1.2)},
    "sagittal": {"orientation": (0.0, 1.0, 0.0, 0.0, 0.0, -1.0), "step_mm": (2.0, 0.0, 0.0)},
    "coronal": {"orientation": (1.0, 0.0, 0.0, 0.0, 0.0, -1.0), "step_mm": (0.0, 1.5, 0.0)},
    "mirrored": {"orientation": (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0), "step_mm": (0.0, 0.0, 2.0)},
    "tilted": {"step_mm": (0.0, 0.9, 2.5)},
}
# With frames of 42 pixels no frame of the packed bits begins on a byte (PS3.5 8.1.1).
masks = hnp.arrays(bool, SHAPE).filter(lambda mask: mask.any())


@cache
def labels() -> LabelMapping:
    return load_labels(Path(__file__).resolve().parents[2] / "config" / "labels" / "default.toml")


@cache
def volume(way: str) -> VolumeSlices:
    slices, rows, columns = SHAPE
    sources = ct_series(slices=slices, rows=rows, columns=columns, **WAYS[way])
    for one in sources:
        del one.PixelData
    (opened,) = open_volumes(sources, lambda index: np.zeros((rows, columns))).volumes
    return opened


def finding(mask: np.ndarray, label: str = "nodule", number: int = 1) -> Finding:
    found = labels().named(label)
    return Finding(
        label=f"{label} {number}",
        tracking_uid=f"2.25.{number}",
        category=found.category,
        type=found.types[0],
        laterality=found.laterality,
        mask=Mask.cut_from(mask),
    )


def case(way: str, *findings: Finding) -> Case:
    labelled = [
        LabelledFinding(one, labels().of(one), "us", lambda one=one: one.mask)  # type: ignore[arg-type, misc]
        for one in findings
    ]
    return Case("case", "patient", "train", "1.2", "1.2.3", 0, "CT", volume(way), tuple(labelled))


def segmentation_of(way: str, *findings: Finding) -> Dataset:
    """The findings as they are stored, read from a file again."""
    writer = AnnotationWriter(Origin("test"), lambda study: datetime(2020, 1, 1), "0.test")
    segmentation = writer.write(findings, "digest", volume(way), None)[0]  # type: ignore[arg-type]
    return through_a_file(segmentation)


def through_a_file(data_set: Dataset) -> Dataset:
    from pydicom import dcmread

    buffer = io.BytesIO()
    data_set.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return dcmread(buffer)


def read_back(way: str, segmentation: Dataset) -> list[np.ndarray]:
    """The segments of a segmentation in the grid of the volume."""
    buffer = io.BytesIO()
    segmentation.save_as(buffer, enforce_file_format=True)
    frames = SegmentationFrames(segmentation, lambda: io.BytesIO(buffer.getvalue()), None)
    found = segment_masks(segmentation, frames, volume(way))
    assert found is not None
    masks = [found.mask(int(segment.SegmentNumber)) for segment in segmentation.SegmentSequence]
    return [np.zeros(SHAPE, dtype=bool) if mask is None else mask.into(SHAPE) for mask in masks]


def nifti(folder: Path, way: str, *findings: Finding) -> Path:
    numbers = {label.name: label.number for label in labels().labels}
    image = label_image(case(way, *findings), labels().labels, numbers)
    affine = volume(way).affine
    DatasetFolder(folder).write(
        "mask.nii.gz", lambda sink: write_nifti(sink, affine, SHAPE, image.dtype, image), compressed=True
    )
    return folder / "mask.nii.gz"


def imported(file: Path, way: str) -> list[Finding]:
    return findings_in(read_masks(file), volume(way), labels(), labels().numbered)


@settings(max_examples=25, deadline=None)
@given(way=st.sampled_from(sorted(WAYS)), mask=masks, canonical=st.booleans())
def test_dicom_to_nifti_to_dicom_is_exact_to_the_voxel(
    tmp_path_factory: pytest.TempPathFactory, way: str, mask: np.ndarray, canonical: bool
) -> None:
    (stored,) = read_back(way, segmentation_of(way, finding(mask)))
    file = nifti(tmp_path_factory.mktemp("mask"), way, finding(stored))
    if canonical:  # as many tools turn a file before they write their own
        nibabel.save(nibabel.as_closest_canonical(nibabel.load(file)), file)
    (found,) = imported(file, way)
    (again,) = read_back(way, segmentation_of(way, replace(found, tracking_uid="2.25.9")))
    np.testing.assert_array_equal(again, mask)


@pytest.mark.parametrize("way", WAYS)
def test_every_turn_of_the_file_comes_back_exactly(tmp_path: Path, way: str) -> None:
    mask = np.random.default_rng(8).random(SHAPE) < 0.3
    file = nifti(tmp_path, way, finding(mask))
    image = nibabel.load(file)
    for axes in ([0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]):
        for flips in ([1, 1, 1], [-1, 1, -1], [1, -1, 1], [-1, -1, -1]):
            turned = image.as_reoriented(np.array([axes, flips]).T)
            nibabel.save(turned, tmp_path / "turned.nii")
            (found,) = imported(tmp_path / "turned.nii", way)
            assert found.mask is not None
            np.testing.assert_array_equal(found.mask.into(SHAPE), mask)


@pytest.mark.parametrize("way", sorted(set(WAYS) - {"tilted"}))
def test_mask_that_simpleitk_wrote_comes_back_exactly(tmp_path: Path, way: str) -> None:
    mask = np.random.default_rng(9).random(SHAPE) < 0.3
    image = SimpleITK.ReadImage(str(nifti(tmp_path, way, finding(mask))))
    for name in ("itk.nii.gz", "itk.nrrd"):
        SimpleITK.WriteImage(image, str(tmp_path / name), True)
        (found,) = imported(tmp_path / name, way)
        assert found.mask is not None
        np.testing.assert_array_equal(found.mask.into(SHAPE), mask)


@settings(max_examples=25, deadline=None)
@given(way=st.sampled_from(sorted(WAYS)), drawn=st.lists(masks, min_size=1, max_size=4))
def test_overlapping_segments_of_nrrd_come_back_with_all_that_they_say(
    tmp_path_factory: pytest.TempPathFactory, way: str, drawn: list[np.ndarray]
) -> None:
    names = ("left-lung", "nodule", "bone", "lesion")
    findings = [finding(mask, name, number) for number, (mask, name) in enumerate(zip(drawn, names, strict=False), 1)]
    folder = tmp_path_factory.mktemp("nrrd")
    from service.formats.layout import CaseFiles

    layout = NrrdLayout(labels().labels)
    layout._write_segmentation(
        case(way, *findings), case(way, *findings).findings or (), CaseFiles(DatasetFolder(folder))
    )
    found = imported(folder / "segmentations" / "case.seg.nrrd", way)
    for one, other in zip(findings, found, strict=True):
        assert one.mask is not None
        assert other.mask is not None
        np.testing.assert_array_equal(other.mask.into(SHAPE), one.mask.into(SHAPE))
        told = ("label", "tracking_uid", "category", "type", "site", "laterality", "colour")
        assert [getattr(other, name) for name in told] == [getattr(one, name) for name in told]


@pytest.mark.parametrize("way", WAYS)
def test_segments_are_read_as_highdicom_reads_them(way: str) -> None:
    import highdicom

    random = np.random.default_rng(10)
    drawn = [random.random(SHAPE) < share for share in (0.4, 0.1)]
    drawn[1] &= ~drawn[0]
    segmentation = segmentation_of(way, finding(drawn[0], "left-lung"), finding(drawn[1], "nodule", 2))
    theirs = highdicom.seg.Segmentation.from_dataset(segmentation)
    uids = [str(one.source.SOPInstanceUID) for one in volume(way).slices]
    pixels = theirs.get_pixels_by_source_instance(
        uids, ignore_spatial_locations=True, assert_missing_frames_are_empty=True
    )
    for number, ours in enumerate(read_back(way, segmentation)):
        np.testing.assert_array_equal(ours, pixels[..., number].astype(bool))


def test_frames_without_sources_are_found_by_their_place() -> None:
    mask = np.random.default_rng(11).random(SHAPE) < 0.3
    segmentation = segmentation_of("oblique", finding(mask))
    for item in segmentation.PerFrameFunctionalGroupsSequence:
        del item.DerivationImageSequence
    (found,) = read_back("oblique", segmentation)
    np.testing.assert_array_equal(found, mask)

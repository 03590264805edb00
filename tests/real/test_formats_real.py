"""Real series as files of training code: in the place where SimpleITK and the headers have them."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.core.stored_pixels import decode_pixels, padding_of
from service.core.volume_slices import VolumeSlices, open_volumes
from service.formats.nifti_file import open_nifti, write_nifti
from service.formats.segment_masks import segment_masks
from service.formats.segmentation_frames import SegmentationFrames
from service.formats.staged_file import DatasetFolder
from service.formats.voxel_types import typed_slices, voxel_type

pytestmark = [pytest.mark.real_data, pytest.mark.usefixtures("lenient")]

SERIES = {
    "PET": ("petct-sts/STS_001", "PT"),
    "CT of a PET/CT": ("petct-sts/STS_022", "CT"),
    "JPEG 2000, 5 mm": ("ct-phantom-philips/std-5mm", "CT"),
    "sphere": ("digital-phantom-ibsi2/sphere", "CT"),
    "MR": ("mr-t1-defaced", "MR"),
}

MOST_SLICES = 40


def largest(place: Path, modality: str) -> tuple[VolumeSlices, list[Path]]:
    """The largest volume below a folder, or its first slices, and their files in their order."""
    files: dict[str, list[tuple[Path, Dataset]]] = {}
    for path in sorted(path for path in place.rglob("*") if path.is_file()):
        data_set = dcmread(path, force=True, stop_before_pixels=True)
        if data_set.get("Modality") == modality and "Rows" in data_set:
            files.setdefault(str(data_set.SeriesInstanceUID), []).append((path, data_set))
    found = []
    for every in files.values():
        series = sorted(every, key=lambda one: int(one[1].get("InstanceNumber") or 0))[:MOST_SLICES]
        sources = [data_set for _, data_set in series]
        opened = open_volumes(sources, lambda index, series=series: decode_pixels(dcmread(series[index][0])))  # type: ignore[misc]
        found += [(one, [series[slice_.source_index][0] for slice_ in one.slices]) for one in opened.volumes]
    return max(found, key=lambda each: len(each[1]))


def exported(volume: VolumeSlices, folder: Path) -> Path:
    dtype = voxel_type(volume)
    DatasetFolder(folder).write(
        "a.nii.gz",
        lambda sink: write_nifti(sink, volume.affine, volume.shape, dtype, typed_slices(volume, dtype)),
        compressed=True,
    )
    return folder / "a.nii.gz"


@pytest.mark.parametrize("name", SERIES)
def test_file_lies_where_simpleitk_has_the_series(shared_data: Path, tmp_path: Path, name: str) -> None:
    place, modality = SERIES[name]
    volume, files = largest(shared_data / place, modality)
    ours = SimpleITK.ReadImage(str(exported(volume, tmp_path)))
    theirs = SimpleITK.ReadImage([str(file) for file in files])
    np.testing.assert_allclose(ours.GetOrigin(), theirs.GetOrigin(), atol=1e-3)
    np.testing.assert_allclose(ours.GetSpacing(), theirs.GetSpacing(), rtol=1e-3)
    np.testing.assert_allclose(ours.GetDirection(), theirs.GetDirection(), atol=1e-3)
    values, stored = SimpleITK.GetArrayFromImage(ours), SimpleITK.GetArrayFromImage(theirs)
    if all(padding_of(one.source) is None for one in volume.slices):
        np.testing.assert_allclose(values, stored, rtol=1e-5, atol=1e-3)
    else:  # what stands for no measurement is air with us
        assert np.mean(np.isclose(values, stored, rtol=1e-5, atol=1e-3)) > 0.2


def test_tilted_gantry_lies_where_its_headers_say(shared_data: Path, tmp_path: Path) -> None:
    volume, _ = largest(shared_data / "ct-gantry-tilt", "CT")
    image = nibabel.load(exported(volume, tmp_path))
    assert int(image.header["qform_code"]) == 0
    for number, one in enumerate(volume.slices):
        place = image.affine @ [0, 0, number, 1]
        np.testing.assert_allclose(place[:3] * [-1, -1, 1], one.source.ImagePositionPatient, atol=0.11)
    np.testing.assert_allclose(open_nifti(tmp_path / "a.nii.gz").affine, volume.affine, atol=1e-3)


def test_segments_of_other_makers_are_read_as_highdicom_reads_them(shared_data: Path) -> None:
    import highdicom

    seen = 0
    for file in sorted((shared_data / "seg-sr-dcmqi").rglob("*.dcm")):
        header = dcmread(file, stop_before_pixels=True)
        if header.get("Modality") != "SEG":
            continue
        sources = sources_of(shared_data, header)
        if not sources:
            continue
        opened = open_volumes(sources, lambda index, sources=sources: decode_pixels(sources[index]))  # type: ignore[misc]
        for volume in opened.volumes:
            frames = SegmentationFrames(header, lambda file=file: file.open("rb"), None)  # type: ignore[misc]
            found = segment_masks(header, frames, volume)
            if found is None:
                continue
            uids = [str(one.source.SOPInstanceUID) for one in volume.slices]
            theirs = highdicom.seg.segread(file).get_pixels_by_source_instance(
                uids, ignore_spatial_locations=True, assert_missing_frames_are_empty=True
            )
            for number, segment in enumerate(header.SegmentSequence):
                mask = found.mask(int(segment.SegmentNumber))
                ours = np.zeros(volume.shape, dtype=bool) if mask is None else mask.into(volume.shape)
                np.testing.assert_array_equal(ours, theirs[..., number].astype(bool))
                seen += 1
    assert seen > 0


def sources_of(root: Path, segmentation: Dataset) -> list[Dataset]:
    """The images below the folder that a segmentation was drawn on."""
    wanted = {
        str(image.ReferencedSOPInstanceUID)
        for series in segmentation.get("ReferencedSeriesSequence") or ()
        for image in series.ReferencedInstanceSequence
    }
    found = {}
    for path in (root / "seg-sr-dcmqi").rglob("*.dcm"):
        uid = str(dcmread(path, specific_tags=["SOPInstanceUID"]).get("SOPInstanceUID"))
        if uid in wanted and uid not in found:
            found[uid] = dcmread(path)
    return list(found.values())

"""Segmentations of other makers: read as highdicom reads them, taken as findings, written anew with nothing lost."""

from __future__ import annotations

from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.core.source_frames import Space
from service.errors import ObjectInvalid
from service.objects.regular_grid import on_regular_grid
from service.objects.segmentation_arrays import fraction_array, masks_of, segment_array
from service.objects.segmentation_findings import findings_of_segmentation
from service.objects.segmentation_reading import ReadSegmentation, read_segmentation
from service.objects.segmentation_rewriting import rewrite_segmentation
from service.objects.source_frames_reader import frames_of_images
from service.objects.validation import Severity, validate
from tests.dciodvfy import errors_in
from tests.segmented import BINARY, LABEL_MAP, file_of
from tests.written_results import context

pytestmark = [pytest.mark.real_data, pytest.mark.usefixtures("lenient")]

DCMQI = (
    "seg-sr-dcmqi/labelmap/sparse-labelmap-noppv.dcm",
    "seg-sr-dcmqi/labelmap/sparse-labelmap-ppv5.dcm",
    "seg-sr-dcmqi/liver/liver.dcm",
    "seg-sr-dcmqi/liver/partial_overlaps.dcm",
    "seg-sr-dcmqi/small-23x38x3/label.seg.dcm",
    "seg-sr-dcmqi/small-24x38x3/label.seg.dcm",
    "seg-sr-dcmqi/tid1500-pet/seg.dcm",
)
HIGHDICOM = tuple(
    f"seg-sr-highdicom/seg_image_{name}.dcm"
    for name in (
        "cr_binary",
        "ct_binary",
        "ct_binary_fractional",
        "ct_binary_overlap",
        "ct_binary_single_frame",
        "ct_true_fractional",
        "sm_control",
        "sm_control_labelmap",
        "sm_control_labelmap_palette_color",
        "sm_dots",
        "sm_dots_tiled_full",
        "sm_numbers",
    )
)
ENCODINGS = tuple(
    f"seg-encodings/liver_{name}.dcm"
    for name in ("deflate", "expb", "j2k", "nonbyte_aligned", "nonbyte_aligned_rle", "rle")
)
SOURCES = {
    "seg-sr-dcmqi/liver/liver.dcm": "seg-sr-dcmqi/liver",
    "seg-sr-dcmqi/liver/partial_overlaps.dcm": "seg-sr-dcmqi/liver",
    "seg-sr-dcmqi/small-23x38x3/label.seg.dcm": "seg-sr-dcmqi/small-23x38x3",
    "seg-sr-dcmqi/small-24x38x3/label.seg.dcm": "seg-sr-dcmqi/small-24x38x3",
    "seg-sr-dcmqi/labelmap/sparse-labelmap-ppv5.dcm": "seg-sr-dcmqi/small-24x38x3",
    "seg-sr-highdicom/seg_image_cr_binary.dcm": "dicomdir/77654033",
    "seg-sr-highdicom/seg_image_ct_binary.dcm": "dicomdir/77654033",
    "seg-sr-highdicom/seg_image_ct_binary_single_frame.dcm": "seg-sr-highdicom",
    "seg-sr-highdicom/seg_image_sm_control_labelmap.dcm": "seg-sr-highdicom",
    "seg-sr-highdicom/seg_image_sm_dots_tiled_full.dcm": "seg-sr-highdicom",
}


def sources_of(segmentation: Dataset, folder: Path) -> list[Dataset]:
    """The images of the folder that the segmentation names, in the order of their place."""
    named = {
        str(item.ReferencedSOPInstanceUID)
        for series in segmentation.ReferencedSeriesSequence
        for item in series.ReferencedInstanceSequence
    }
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "DICOMDIR":
            header = dcmread(path, stop_before_pixels=True, force=True)
            if str(header.get("SOPInstanceUID")) in named:
                found[str(header.SOPInstanceUID)] = header
    return sorted(found.values(), key=lambda one: float((one.get("ImagePositionPatient") or [0, 0, 0])[2]))


@pytest.mark.parametrize("name", [*DCMQI, *HIGHDICOM])
def test_segments_are_those_that_highdicom_reads(name: str, shared_data: Path) -> None:
    read = read_segmentation(shared_data / name)
    theirs = hd.seg.segread(shared_data / name)
    assert [one.number for one in read.segments] == [one for one in theirs.segment_numbers if one]
    for number in list(masks_of(read))[:6]:
        np.testing.assert_array_equal(*both_arrays(read, theirs, number))


def both_arrays(read: ReadSegmentation, theirs: hd.seg.Segmentation, number: int) -> tuple[np.ndarray, np.ndarray]:
    """One segment, as read here and there."""
    if read.places.space is Space.SLIDE:
        return segment_array(read, number)[0], theirs.get_total_pixel_matrix(segment_numbers=[number])[..., 0] > 0
    if read.places.space is Space.NOWHERE:
        return segment_array(read, number)[0], theirs.pixel_array > 0
    grid, affine = on_regular_grid(read)
    volume = theirs.get_volume(segment_numbers=[number])
    expected = volume.array[..., 0]
    # Theirs is right-handed by its own convention: the same planes, maybe the other way round.
    ascending = np.dot(volume.affine[:3, 0], affine[:3, 0]) > 0
    found = fraction_array(grid, number) if read.kind.is_fractional else segment_array(grid, number)
    return found, expected if ascending else expected[::-1]


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding_of_a_segmentation_holds_the_same(name: str, shared_data: Path) -> None:
    mask = masks_of(read_segmentation(shared_data / name))[1]
    other = "seg-encodings/liver_nonbyte_aligned.dcm" if "nonbyte" in name else "seg-sr-dcmqi/liver/liver.dcm"
    expected = masks_of(read_segmentation(shared_data / other))[1]
    assert mask.origin == expected.origin
    np.testing.assert_array_equal(mask.voxels, expected.voxels)


@pytest.mark.parametrize("name", [*DCMQI, *HIGHDICOM])
def test_each_segment_becomes_a_finding_with_its_codes(name: str, shared_data: Path) -> None:
    items = {
        str(item.TrackingUID): item for item in dcmread(shared_data / name).SegmentSequence if "TrackingUID" in item
    }
    read = read_segmentation(shared_data / name)
    found = findings_of_segmentation(read)
    assert len(found) == len(masks_of(read))
    for finding in found:
        if finding.tracking_uid in items:
            kind = items[finding.tracking_uid].SegmentedPropertyTypeCodeSequence[0]
            assert (finding.type.value, finding.type.scheme) == (kind.CodeValue, kind.CodingSchemeDesignator)


@pytest.mark.parametrize("name", [*DCMQI, *HIGHDICOM])
@pytest.mark.parametrize("form", [BINARY, LABEL_MAP], ids=lambda form: form.kind.name)
def test_written_anew_nothing_is_lost(name: str, form: object, shared_data: Path) -> None:
    read = read_segmentation(shared_data / name)
    if form is LABEL_MAP and "overlap" in name:
        with pytest.raises(ObjectInvalid, match="overlap"):
            rewrite_segmentation(read, context(), form)
        return
    anew = rewrite_segmentation(read, context(), form)  # type: ignore[arg-type]
    again = read_segmentation(file_of(anew))
    assert [said_of(one.item) for one in again.segments] == [said_of(one.item) for one in read.segments]
    for number, before in enumerate(read.segments, start=1):
        assert marked(read, before.number) == marked(again, number)
    assert [str(problem) for problem in validate(anew) if problem.severity is Severity.ERROR] == []


def said_of(item: Dataset) -> Dataset:
    """A segment but for its number, and the colour that a palette may have given it."""
    said = Dataset(item)
    said = Dataset({tag: said[tag] for tag in said.keys() if tag not in (0x00620004, 0x0062000D)})  # noqa: SIM118
    return said


def marked(read: ReadSegmentation, number: int) -> set[tuple]:
    """Where a segment is: on which places, and which pixels there."""
    mask = masks_of(read).get(number)
    if mask is None:
        return set()
    planes, rows, columns = np.nonzero(mask.voxels)
    first, top, left = mask.origin
    positions = [frame.position or frame.frame_numbers for frame in read.places.frames]
    depths = read.places.space is Space.SLIDE
    return {
        (0 if depths else positions[first + plane], top + row, left + column)
        for plane, row, column in zip(planes.tolist(), rows.tolist(), columns.tolist(), strict=True)
    }


@pytest.mark.parametrize("name", SOURCES)
def test_masks_lie_on_the_real_source(name: str, shared_data: Path) -> None:
    images = sources_of(dcmread(shared_data / name), shared_data / SOURCES[name])
    source = frames_of_images(images)
    read = read_segmentation(shared_data / name)
    placed = read.on(source)
    assert sum(mask.voxels.sum() for mask in masks_of(placed).values()) == sum(
        mask.voxels.sum() for mask in masks_of(read).values()
    )
    anew = read_segmentation(rewrite_segmentation(read, context(), BINARY, source)).on(source)
    for before, after in zip(placed.segments, anew.segments, strict=True):
        np.testing.assert_array_equal(segment_array(placed, before.number), segment_array(anew, after.number))


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize("name", SOURCES)
def test_dciodvfy_finds_no_error_in_what_is_written_on_real_images(
    name: str, shared_data: Path, tmp_path: Path
) -> None:
    images = sources_of(dcmread(shared_data / name), shared_data / SOURCES[name])
    read = read_segmentation(shared_data / name)
    assert errors_in(rewrite_segmentation(read, context(), BINARY, frames_of_images(images)), tmp_path) == []


def test_tiles_whose_rows_and_columns_are_swapped_are_refused_on_their_source(shared_data: Path) -> None:
    path = shared_data / "seg-sr-highdicom/seg_image_sm_control.dcm"
    source = frames_of_images(sources_of(dcmread(path), path.parent))
    with pytest.raises(ObjectInvalid, match="elsewhere than the tile that it names"):
        read_segmentation(path).on(source)


def test_segmentation_with_fewer_frames_than_groups_is_refused(shared_data: Path) -> None:
    with pytest.raises(ObjectInvalid, match="items of Per-Frame"):
        read_segmentation(shared_data / "seg-encodings/liver_1frame.dcm")

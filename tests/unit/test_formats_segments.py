"""Segmentations are read alike in whatever form they are kept."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from service.core.findings import Mask
from service.core.records import PixelLocation
from service.core.volume_slices import VolumeSlices, open_volumes
from service.errors import FormatRefused
from service.formats.segment_masks import segment_masks
from service.formats.segmentation_frames import SegmentationFrames
from service.objects.segmentation import write_segmentation
from service.objects.segmentation_form import SegmentationForm, SegmentationKind
from tests.dataset_house import ct_series
from tests.volumes import enhanced_volume, nodule, result_of
from tests.written_results import context

SHAPE = (5, 6, 7)
RANDOM = np.random.default_rng(12)
FIRST = RANDOM.random(SHAPE) < 0.3
SECOND = (RANDOM.random(SHAPE) < 0.3) & ~FIRST


def volume() -> VolumeSlices:
    sources = ct_series(slices=SHAPE[0], rows=SHAPE[1], columns=SHAPE[2])
    (opened,) = open_volumes(sources, lambda index: np.zeros(SHAPE[1:])).volumes
    return opened


def written(opened: VolumeSlices, *masks: np.ndarray, label_map: bool = False) -> Dataset:
    whole = opened.without_voxels()
    findings = [
        replace(nodule(whole, number, (2, 3, 3)), mask=Mask.cut_from(mask)) for number, mask in enumerate(masks, 1)
    ]
    form = SegmentationForm(SegmentationKind.LABELMAP if label_map else SegmentationKind.BINARY)
    segmentation = write_segmentation(result_of(*findings), "Nodules", whole, context(), form)
    assert segmentation is not None
    return segmentation


def kept(segmentation: Dataset) -> tuple[Dataset, bytes]:
    """The header as it is read without pixels, and the file."""
    buffer = io.BytesIO()
    segmentation.save_as(buffer, enforce_file_format=True)
    content = buffer.getvalue()
    return dcmread(io.BytesIO(content), stop_before_pixels=True), content


def masks_in(segmentation: Dataset, opened: VolumeSlices, pixels: PixelLocation | None = None) -> list[np.ndarray]:
    header, content = kept(segmentation)
    found = segment_masks(header, SegmentationFrames(header, lambda: io.BytesIO(content), pixels), opened)
    assert found is not None
    numbers = [int(segment.SegmentNumber) for segment in header.SegmentSequence]
    masks = [found.mask(number) for number in numbers if number]  # 0 is a label map's background
    return [np.zeros(SHAPE, dtype=bool) if mask is None else mask.into(SHAPE) for mask in masks]


def open_pixels(segmentation: Dataset) -> PixelLocation:
    """Where the native pixel data lie in the file."""
    _, content = kept(segmentation)
    length = len(segmentation.PixelData)
    return PixelLocation(0x7FE00010, len(content) - length, length, encapsulated=False)


@pytest.mark.parametrize("label_map", [False, True])
@pytest.mark.parametrize("how", ["by its place", "whole", "RLE", "deflated"])
def test_segments_are_the_same_in_every_form(label_map: bool, how: str) -> None:
    if how == "RLE" and not label_map:
        pytest.skip("one bit is not compressed by RLE")
    opened = volume()
    segmentation = written(opened, FIRST, SECOND, label_map=label_map)
    pixels = open_pixels(segmentation) if how == "by its place" else None
    if how == "RLE":
        segmentation.compress(RLELossless)
    if how == "deflated":
        segmentation.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    first, second = masks_in(segmentation, opened, pixels)
    np.testing.assert_array_equal(first, FIRST)
    np.testing.assert_array_equal(second, SECOND)


def test_fractional_segment_is_what_is_at_least_half_inside() -> None:
    opened = volume()
    segmentation = written(opened, np.ones(SHAPE, dtype=bool))
    fractions = RANDOM.integers(0, 256, SHAPE, dtype=np.uint8)
    segmentation.SegmentationType = "FRACTIONAL"
    segmentation.SegmentationFractionalType, segmentation.MaximumFractionalValue = "PROBABILITY", 255
    segmentation.BitsAllocated = segmentation.BitsStored = 8
    segmentation.HighBit = 7
    segmentation.PixelData = fractions.tobytes()
    (found,) = masks_in(segmentation, opened, open_pixels(segmentation))
    np.testing.assert_array_equal(found, fractions >= 128)


def test_segments_of_an_enhanced_source_lie_on_their_frames() -> None:
    whole = enhanced_volume(5)
    source = whole.sources[0]
    (opened,) = open_volumes([source], lambda index: np.zeros((5, source.Rows, source.Columns))).volumes
    mask = np.random.default_rng(13).random(opened.shape) < 0.2
    segmentation = written(opened, mask)
    header, content = kept(segmentation)
    found = segment_masks(header, SegmentationFrames(header, lambda: io.BytesIO(content), None), opened)
    assert found is not None
    read = found.mask(1)
    assert read is not None
    np.testing.assert_array_equal(read.into(opened.shape), mask)


def test_segmentation_of_another_series_is_not_here() -> None:
    other = ct_series(2, slices=SHAPE[0], rows=SHAPE[1], columns=SHAPE[2])
    (opened,) = open_volumes(other, lambda index: np.zeros(SHAPE[1:])).volumes
    header, content = kept(written(volume(), FIRST))
    assert segment_masks(header, SegmentationFrames(header, lambda: io.BytesIO(content), None), opened) is None


def spoil(segmentation: Dataset, what: str) -> None:
    if what == "fewer frames":
        segmentation.PixelData = segmentation.PixelData[:4]
    elif what == "half beside":
        image = segmentation.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
        image.ReferencedSOPInstanceUID = "1.2.3"
    else:
        segmentation.Columns = 9


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("fewer frames", "fewer frames in the pixel data"),
        ("half beside", "1 of 5 frames of its segmentation lie on no slice"),
        ("other size", "6 × 9 pixels a frame, the images have 6 × 7"),
    ],
)
def test_bad_segmentation_is_refused(what: str, words: str) -> None:
    opened = volume()
    segmentation = written(opened, FIRST)
    spoil(segmentation, what)
    with pytest.raises(FormatRefused, match=words):
        masks_in(segmentation, opened, open_pixels(segmentation))


def test_frames_that_cannot_be_decoded_are_refused() -> None:
    opened = volume()
    segmentation: Any = written(opened, FIRST, label_map=True)
    segmentation.compress(RLELossless)
    frame = segmentation.PixelData.index(b"\xfe\xff\x00\xe0", 8) + 8  # behind the items' offsets
    segmentation.PixelData = segmentation.PixelData[:frame] + bytes(20) + segmentation.PixelData[frame + 20 :]
    with pytest.raises(FormatRefused, match="cannot be decoded"):
        masks_in(segmentation, opened)

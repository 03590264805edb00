"""Masks → segmentation → masks: the same voxels, whatever the shape, the overlap, the kind and the encoding."""

from __future__ import annotations

import io
import warnings

import highdicom as hd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels import pack_bits

from service.core.findings import Mask
from service.core.frame_streams import DEFLATED_FRAMES
from service.core.source_frames import SourceFrames, Space
from service.errors import ObjectInvalid
from service.objects.frame_compression import RLE_FRAMES
from service.objects.mask_patches import MaskPatch, any_overlap
from service.objects.packed_frames import packed_bits
from service.objects.segmentation_arrays import fraction_array, label_array, masks_of, segment_array
from service.objects.segmentation_form import NATIVE, SegmentationForm, SegmentationKind
from service.objects.segmentation_reading import read_segmentation
from service.objects.source_frames_reader import frames_of_volume
from tests.segmentation_sources import SOURCES
from tests.segmented import BINARY, LABEL_MAP, PROBABILITY, as_form, drawn_masks, file_of, same_mask, written
from tests.volumes import AXIAL, OBLIQUE, ct_sources, volume_of

FORMS = [
    as_form(kind, syntax)
    for kind in SegmentationKind
    for syntax in (NATIVE, RLE_FRAMES, DEFLATED_FRAMES)
    if (kind, syntax) != (SegmentationKind.BINARY, RLE_FRAMES)
]
SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 19), st.integers(1, 19))


def named(form: SegmentationForm) -> str:
    return f"{form.kind.name} {form.transfer_syntax_uid}"


def source_of(shape: tuple[int, int, int], orientation: tuple[float, ...] = AXIAL) -> SourceFrames:
    step = np.cross(orientation[:3], orientation[3:]) * 2.5
    return frames_of_volume(
        volume_of(ct_sources(shape[0], rows=shape[1], columns=shape[2], orientation=orientation, step_mm=step.tolist()))
    )


@st.composite
def grids(draw: st.DrawFn) -> list[np.ndarray]:
    """One to four masks in a grid, none of them empty, overlapping as they like."""
    shape = draw(SHAPES)
    found = draw(st.lists(arrays(bool, shape), min_size=1, max_size=4))
    for number, one in enumerate(found):
        one.flat[number % one.size] = True
    return found


@given(grid=grids(), orientation=st.sampled_from([AXIAL, OBLIQUE]))
@settings(max_examples=40)
def test_binary_gives_every_mask_back(grid: list[np.ndarray], orientation: tuple[float, ...]) -> None:
    source = source_of(grid[0].shape, orientation)
    masks = [Mask.cut_from(one) for one in grid]
    data_set = written(source, masks)
    assert data_set.SegmentsOverlap == ("YES" if np.sum(grid, axis=0).max() > 1 else "NO")
    read = read_segmentation(data_set).on(source)
    back = masks_of(read)
    assert all(same_mask(back[number], mask) for number, mask in enumerate(masks, start=1))
    assert all(np.array_equal(segment_array(read, number), one) for number, one in enumerate(grid, start=1))


@given(
    labels=SHAPES.flatmap(lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 3))),
    form=st.sampled_from([form for form in FORMS if not form.kind.is_fractional]),
)
@settings(max_examples=40)
def test_labels_come_back_from_both_kinds(labels: np.ndarray, form: SegmentationForm) -> None:
    labels.flat[0] = 1
    numbers = [number for number in (1, 2, 3) if (labels == number).any()]
    source = source_of(labels.shape)
    read = read_segmentation(file_of(written(source, [Mask.cut_from(labels == number) for number in numbers], form)))
    expected = np.zeros_like(labels)
    for place, number in enumerate(numbers, start=1):
        expected[labels == number] = place
    back = label_array(read.on(source))
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, expected)


@given(
    fractions=SHAPES.flatmap(lambda shape: arrays(np.float32, shape, elements=st.floats(0, 1, width=32))),
    form=st.sampled_from([form for form in FORMS if form.kind.is_fractional]),
)
@settings(max_examples=40)
def test_fractions_come_back_within_half_a_step(fractions: np.ndarray, form: SegmentationForm) -> None:
    fractions.flat[0] = 1
    source = source_of(fractions.shape)
    data_set = written(source, [Mask.cut_from_fractions(fractions)], form)
    assert data_set.SegmentationFractionalType == form.kind.value
    read = read_segmentation(file_of(data_set)).on(source)
    np.testing.assert_array_equal(fraction_array(read, 1), np.rint(fractions * 255) / np.float32(255))
    np.testing.assert_array_equal(segment_array(read, 1), np.rint(fractions * 255) >= 127.5)


def test_mask_without_fractions_is_whole() -> None:
    source = source_of((2, 4, 4))
    mask = Mask(np.ones((1, 2, 3), dtype=bool), (1, 1, 1))
    back = masks_of(read_segmentation(written(source, [mask], PROBABILITY)).on(source))[1]
    assert same_mask(back, mask)
    assert back.fractions is not None
    assert set(np.unique(back.fractions)) == {1.0}


@given(
    bits=SHAPES.flatmap(lambda shape: arrays(bool, shape)),
    padding=st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
)
def test_bits_are_packed_like_pydicom_packs_whole_frames(bits: np.ndarray, padding: tuple[int, ...]) -> None:
    top, bottom, left, right = padding
    whole = np.pad(bits, ((0, 0), (top, bottom), (left, right)))
    patches = [MaskPatch(number, top, left, frame) for number, frame in enumerate(bits)]
    assert packed_bits(patches, *whole.shape[1:]) == pack_bits(whole, pad=False)


@given(
    boxes=st.lists(
        st.tuples(st.tuples(*[st.integers(0, 4)] * 3), st.tuples(*[st.integers(1, 3)] * 3), st.integers(0, 2**27 - 1)),
        max_size=6,
    )
)
def test_overlap_is_found_wherever_boxes_meet(boxes: list[tuple]) -> None:
    masks = []
    for origin, shape, seed in boxes:
        size = int(np.prod(shape))
        masks.append(Mask(np.array([seed >> bit & 1 for bit in range(size)], dtype=bool).reshape(shape), origin))
    together = np.sum([mask.into((7, 7, 7)) for mask in masks], axis=0) if masks else np.zeros(1)
    assert any_overlap(masks) == bool(together.max() > 1)


@pytest.mark.parametrize("form", [BINARY, PROBABILITY, LABEL_MAP], ids=named)
@pytest.mark.parametrize("name", SOURCES)
def test_every_kind_of_source_gives_its_masks_back(name: str, form: SegmentationForm) -> None:
    source = SOURCES[name]()
    masks = drawn_masks(source)
    read = read_segmentation(file_of(written(source, masks, form)))
    back = masks_of(read.on(source))
    assert all(same_mask(back[number], mask) for number, mask in enumerate(masks, start=1))


@pytest.mark.parametrize("form", FORMS, ids=named)
@pytest.mark.parametrize("name", ["odd size", "slide, TILED_FULL"])
def test_every_encoding_gives_its_masks_back(name: str, form: SegmentationForm) -> None:
    source = SOURCES[name]()
    masks = drawn_masks(source)
    back = masks_of(read_segmentation(file_of(written(source, masks, form))).on(source))
    assert all(same_mask(back[number], mask) for number, mask in enumerate(masks, start=1))


@pytest.mark.parametrize("name", ["axial", "odd size", "ultrasound loop", "slide, TILED_FULL"])
def test_overlapping_segments_come_back_each_by_itself(name: str) -> None:
    source = SOURCES[name]()
    masks = drawn_masks(source, overlap=True)
    read = read_segmentation(written(source, masks)).on(source)
    assert all(same_mask(masks_of(read)[number], mask) for number, mask in enumerate(masks, start=1))
    with pytest.raises(ObjectInvalid, match="overlap"):
        label_array(read)


def many_masks(count: int, source: SourceFrames) -> list[Mask]:
    """Single voxels, one after the other."""
    places = np.unravel_index(np.arange(count), source.shape)
    return [
        Mask(np.ones((1, 1, 1), dtype=bool), tuple(int(one) for one in place)) for place in zip(*places, strict=True)
    ]


@pytest.mark.parametrize(("count", "bits"), [(255, 8), (256, 16), (400, 16)])
def test_label_map_takes_16_bits_where_it_has_to(count: int, bits: int) -> None:
    source = source_of((2, 15, 17))
    data_set = written(source, many_masks(count, source), LABEL_MAP)
    assert (data_set.BitsAllocated, data_set.HighBit) == (bits, bits - 1)
    labels = label_array(read_segmentation(file_of(data_set)).on(source))
    np.testing.assert_array_equal(labels.ravel()[:count], np.arange(1, count + 1))


def test_instances_of_one_class_keep_their_own_tracking_uid() -> None:
    source = source_of((3, 8, 8))
    read = read_segmentation(written(source, many_masks(3, source)))
    assert {(one.type.value, one.category.value) for one in read.segments if one.type and one.category} == {
        ("39607008", "123037004")
    }
    assert [one.tracking_uid for one in read.segments] == ["2.25.71", "2.25.72", "2.25.73"]


def as_read_by_pydicom(data_set: Dataset) -> np.ndarray:
    with warnings.catch_warnings():
        # Of RLE frames that happen to be as long as they were without compression.
        warnings.simplefilter("ignore", UserWarning)
        pixels = dcmread(io.BytesIO(file_of(data_set))).pixel_array
    return pixels if pixels.ndim == 3 else pixels[np.newaxis]


@pytest.mark.parametrize("form", [form for form in FORMS if form.transfer_syntax_uid != DEFLATED_FRAMES], ids=named)
@pytest.mark.parametrize("name", ["axial", "odd size", "ultrasound loop"])
def test_pydicom_reads_the_same_frames(name: str, form: SegmentationForm) -> None:
    source = SOURCES[name]()
    data_set = written(source, drawn_masks(source), form)
    frames = [frame.pixels for frame in read_segmentation(data_set).frames()]
    np.testing.assert_array_equal(as_read_by_pydicom(data_set), np.stack(frames))


@pytest.mark.parametrize("form", [BINARY, PROBABILITY, LABEL_MAP], ids=named)
@pytest.mark.parametrize("name", SOURCES)
def test_highdicom_reads_the_same_segments(name: str, form: SegmentationForm) -> None:
    source = SOURCES[name]()
    data_set = written(source, drawn_masks(source), form)
    expected = np.stack([segment_array(read_segmentation(data_set).on(source), number) for number in (1, 2)], axis=-1)
    theirs = hd.seg.Segmentation.from_dataset(dcmread(io.BytesIO(file_of(data_set))))
    np.testing.assert_array_equal(read_by_highdicom(theirs, source), expected)


def read_by_highdicom(theirs: hd.seg.Segmentation, source: SourceFrames) -> np.ndarray:
    """Both segments in the grid of the source, last axis the segment."""
    options = {"segment_numbers": [1, 2], "assert_missing_frames_are_empty": True}
    if theirs.SegmentationType == "FRACTIONAL":
        options["rescale_fractional"] = True
    uids = [frame.sop_instance_uid for frame in source.frames]
    if source.space is Space.SLIDE:
        del options["assert_missing_frames_are_empty"]
        return theirs.get_total_pixel_matrix(**options)[np.newaxis].astype(bool)
    if source.frames[0].frame_numbers:
        numbers = [frame.frame_numbers[0] for frame in source.frames]
        found = theirs.get_pixels_by_source_frame(uids[0], numbers, ignore_spatial_locations=True, **options)
    else:
        found = theirs.get_pixels_by_source_instance(uids, ignore_spatial_locations=True, **options)
    return found.astype(bool)

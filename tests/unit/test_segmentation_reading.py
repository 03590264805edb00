"""Segmentations read: encodings, streaming, sources that fit and that do not, and what is broken."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders import JPEG2000LosslessEncoder, JPEGLSLosslessEncoder
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from dicom_nodes.errors import GatewayError, InstanceUnreadable
from service.core.findings import Mask
from service.core.source_frames import SourceFrames
from service.errors import ObjectInvalid, TransferSyntaxNotSupported
from service.objects import concepts
from service.objects.content_items import code_item
from service.objects.regular_grid import on_regular_grid
from service.objects.segmentation_arrays import fraction_array, label_array, masks_of, segment_array
from service.objects.segmentation_findings import findings_of_segmentation
from service.objects.segmentation_reading import read_segmentation
from service.objects.segmentation_rewriting import rewrite_segmentation
from service.objects.source_frames_reader import frames_of_images, frames_of_volume
from service.objects.validation import Severity, validate
from tests.segmentation_sources import SOURCES, cine, radiograph, slide
from tests.segmented import BINARY, LABEL_MAP, PROBABILITY, as_form, drawn_masks, file_of, same_mask, written
from tests.volumes import ct_sources, nodule, volume_of
from tests.written_results import VOLUMES, axial, context, write


def a_source() -> SourceFrames:
    return SOURCES["axial"]()


def encoded_in(data_set: Dataset, syntax: str) -> bytes:
    """The file in a native transfer syntax."""
    copy = dcmread(io.BytesIO(file_of(data_set)))
    copy.decode()
    assert copy.PixelData
    if syntax == ExplicitVRBigEndian:
        copy["PixelData"].VR = "OW"
        copy.PixelData = np.frombuffer(copy.PixelData, dtype="u2").byteswap().tobytes()
    copy.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    little = syntax != ExplicitVRBigEndian
    dcmwrite(buffer, copy, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=little, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.parametrize("form", [BINARY, PROBABILITY, LABEL_MAP], ids=lambda form: form.kind.name)
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_native_encodings_are_read_alike(syntax: str, form: object) -> None:
    source = a_source()
    masks = drawn_masks(source)
    read = read_segmentation(encoded_in(written(source, masks, form), syntax)).on(source)  # type: ignore[arg-type]
    assert all(same_mask(masks_of(read)[number], mask) for number, mask in enumerate(masks, start=1))


def compressed_by(data_set: Dataset, encoder: object, syntax: str) -> Dataset:
    copy = dcmread(io.BytesIO(file_of(data_set)))
    frames = copy.pixel_array.astype("u1" if copy.BitsAllocated == 8 else "u2")
    options = {"rows": copy.Rows, "columns": copy.Columns, "samples_per_pixel": 1, "number_of_frames": 1}
    options |= {"bits_allocated": copy.BitsAllocated, "bits_stored": copy.BitsStored, "pixel_representation": 0}
    options |= {"photometric_interpretation": "MONOCHROME2"}
    copy.PixelData = encapsulate([encoder.encode(frame, **options) for frame in frames])  # type: ignore[attr-defined]
    copy["PixelData"].is_undefined_length = True
    copy["PixelData"].VR = "OB"
    copy.file_meta.TransferSyntaxUID = syntax
    return copy


@pytest.mark.parametrize(
    ("encoder", "syntax"),
    [(JPEGLSLosslessEncoder, JPEGLSLossless), (JPEG2000LosslessEncoder, JPEG2000Lossless)],
    ids=["JPEG-LS", "JPEG 2000"],
)
def test_compressed_label_maps_are_read(encoder: object, syntax: str) -> None:
    source = frames_of_volume(volume_of(ct_sources(3, rows=40, columns=36)))
    masks = drawn_masks(source)
    data_set = compressed_by(written(source, masks, LABEL_MAP), encoder, syntax)
    read = read_segmentation(file_of(data_set)).on(source)
    assert all(same_mask(masks_of(read)[number], mask) for number, mask in enumerate(masks, start=1))


def undefined_lengths(data_set: Dataset) -> bytes:
    """As viewers write it: sequences and items end by a delimiter."""
    copy = dcmread(io.BytesIO(file_of(data_set)))

    def open_up(level: Dataset) -> None:
        for element in level:
            if element.VR == "SQ":
                element.is_undefined_length = True
                for item in element.value:
                    item.is_undefined_length_sequence_item = True
                    open_up(item)

    open_up(copy)
    buffer = io.BytesIO()
    dcmwrite(buffer, copy, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.parametrize("form", [BINARY, LABEL_MAP], ids=lambda form: form.kind.name)
def test_sequences_without_a_length_are_read(form: object) -> None:
    source = a_source()
    masks = drawn_masks(source)
    content = undefined_lengths(written(source, masks, form))  # type: ignore[arg-type]
    for given in (content, dcmread(io.BytesIO(content))):
        read = read_segmentation(given).on(source)
        assert all(same_mask(masks_of(read)[number], mask) for number, mask in enumerate(masks, start=1))


def test_file_is_read_from_its_path(tmp_path: Path) -> None:
    source = a_source()
    masks = drawn_masks(source)
    path = tmp_path / "seg.dcm"
    path.write_bytes(file_of(written(source, masks)))
    assert same_mask(masks_of(read_segmentation(path).on(source))[2], masks[1])


@pytest.mark.parametrize("form", [BINARY, PROBABILITY, LABEL_MAP], ids=lambda form: form.kind.name)
def test_frames_come_one_by_one_with_segment_and_place(form: object) -> None:
    source = a_source()
    masks = drawn_masks(source)
    read = read_segmentation(file_of(written(source, masks, form))).on(source)  # type: ignore[arg-type]
    whole = {number: np.zeros(source.shape, dtype=bool) for number in (1, 2)}
    for frame in read.frames():
        for number in (1, 2) if frame.segment is None else (frame.segment,):
            whole[number][frame.place] |= frame.pixels == number if frame.segment is None else frame.pixels > 0
    assert all(np.array_equal(whole[number], masks[number - 1].into(source.shape)) for number in (1, 2))


def test_places_of_the_segmentation_itself_follow_its_normal() -> None:
    source = SOURCES["enhanced"]()
    read = read_segmentation(written(source, drawn_masks(source)))
    along = [frame.position[2] for frame in read.places.frames if frame.position]
    assert along == sorted(along)
    assert read.places.frames == source.frames


@pytest.mark.parametrize("name", VOLUMES)
def test_own_grid_is_the_sources_from_first_to_last_plane(name: str) -> None:
    volume = VOLUMES[name]()
    whole = np.zeros(volume.shape, dtype=bool)
    whole[[1, 2, 5], 3:6, 4:7] = True
    grid, affine = on_regular_grid(read_segmentation(written(volume, [Mask.cut_from(whole)])))
    np.testing.assert_array_equal(segment_array(grid, 1), whole[1:6])
    shift = np.eye(4)
    shift[0, 3] = 1
    np.testing.assert_allclose(affine, volume.affine @ shift, atol=1e-5)


def test_single_plane_is_a_grid_as_deep_as_it_says() -> None:
    volume = axial()
    grid, affine = on_regular_grid(
        read_segmentation(written(volume, [Mask(np.ones((1, 3, 3), dtype=bool), (2, 0, 0))]))
    )
    assert grid.places.shape == (1, 16, 16)
    np.testing.assert_allclose(affine[:3, 0], [0, 0, 2])


def test_planes_at_uneven_distances_are_no_grid() -> None:
    images = ct_sources(4)
    images[2].ImagePositionPatient = [-48, -50, 7.3]
    source = frames_of_images(images)
    read = read_segmentation(written(source, [Mask(np.ones((4, 2, 2), dtype=bool))]))
    with pytest.raises(ObjectInvalid, match="evenly"):
        on_regular_grid(read)


@pytest.mark.parametrize(
    ("name", "words"), [("ultrasound loop", "no place"), ("moving heart", "several frames at one place")]
)
def test_what_is_no_volume_has_no_grid(name: str, words: str) -> None:
    source = SOURCES[name]()
    with pytest.raises(ObjectInvalid, match=words):
        on_regular_grid(read_segmentation(written(source, drawn_masks(source))))


# Sources


def other_images(images: list[Dataset]) -> None:
    for image in images:
        image.SOPInstanceUID += ".9"


def shifted(images: list[Dataset]) -> None:
    for image in images:
        image.ImagePositionPatient = [0, 0, image.ImagePositionPatient[2]]


def turned(images: list[Dataset]) -> None:
    for image in images:
        image.ImageOrientationPatient = [0, 1, 0, -1, 0, 0]


def wider_spaced(images: list[Dataset]) -> None:
    for image in images:
        image.PixelSpacing = [1.2, 1.2]


def larger(images: list[Dataset]) -> None:
    for image in images:
        image.Rows = 20


def in_another_frame_of_reference(images: list[Dataset]) -> None:
    for image in images:
        image.FrameOfReferenceUID = "2.25.4711"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_images, "refers to an image that is not among"),
        (shifted, "another geometry"),
        (turned, "another geometry"),
        (wider_spaced, "another geometry"),
        (larger, "16 × 16 pixels, its source 20 × 16"),
        (in_another_frame_of_reference, "another Frame of Reference"),
    ],
)
def test_source_that_does_not_fit_is_told(change: Callable[[list[Dataset]], None], words: str) -> None:
    segmentation = written(axial(), drawn_masks(a_source()))
    images = ct_sources(8)
    change(images)
    with pytest.raises(ObjectInvalid, match=words):
        read_segmentation(segmentation).on(frames_of_images(images))


def test_place_is_enough_where_frames_name_no_image() -> None:
    source = a_source()
    masks = drawn_masks(source)
    segmentation = written(source, masks)
    for frame in segmentation.PerFrameFunctionalGroupsSequence:
        del frame.DerivationImageSequence
    back = masks_of(read_segmentation(segmentation).on(source))
    assert same_mask(back[1], masks[0])


def test_image_alone_is_not_enough_where_it_has_several_frames() -> None:
    source = frames_of_images([cine()])
    segmentation = written(source, drawn_masks(source))
    segmentation = dcmread(io.BytesIO(file_of(segmentation)))
    for frame in segmentation.PerFrameFunctionalGroupsSequence:
        del frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
    with pytest.raises(ObjectInvalid, match="does not say on which"):
        read_segmentation(segmentation).on(source)


def test_slide_of_another_size_is_told() -> None:
    segmentation = written(frames_of_images([slide()]), [Mask(np.ones((1, 4, 4), dtype=bool))])
    other = slide()
    other.TotalPixelMatrixRows = 38
    other.NumberOfFrames = 12
    with pytest.raises(ObjectInvalid, match="in its matrix"):
        read_segmentation(segmentation).on(frames_of_images([other]))


# What is broken


def an_image(_: Dataset) -> Dataset:
    return ct_sources(1)[0]


def without_type(data_set: Dataset) -> None:
    data_set.SegmentationType = "SURFACE"


def nameless_fractions(data_set: Dataset) -> None:
    data_set.SegmentationType = "FRACTIONAL"


def without_segments(data_set: Dataset) -> None:
    data_set.SegmentSequence = []


def twice_numbered(data_set: Dataset) -> None:
    data_set.SegmentSequence[1].SegmentNumber = 1


def unnumbered(data_set: Dataset) -> None:
    del data_set.SegmentSequence[0].SegmentNumber


def undescribed(data_set: Dataset) -> None:
    data_set.SegmentSequence = data_set.SegmentSequence[:1]


def too_few_groups(data_set: Dataset) -> None:
    data_set.PerFrameFunctionalGroupsSequence = data_set.PerFrameFunctionalGroupsSequence[:-1]


def no_groups(data_set: Dataset) -> None:
    del data_set.PerFrameFunctionalGroupsSequence


def short_pixels(data_set: Dataset) -> None:
    data_set.PixelData = data_set.PixelData[:-40]


def no_rows(data_set: Dataset) -> None:
    del data_set.Rows


def twelve_bits(data_set: Dataset) -> None:
    data_set.BitsAllocated = 12


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (an_image, "no Segmentation"),
        (without_type, "neither BINARY, FRACTIONAL nor LABELMAP"),
        (nameless_fractions, "neither BINARY, FRACTIONAL nor LABELMAP"),
        (without_segments, "no segment"),
        (twice_numbered, "used twice"),
        (unnumbered, "no number"),
        (undescribed, "not described"),
        (too_few_groups, "items of Per-Frame Functional Groups"),
        (no_groups, "without Per-Frame Functional Groups"),
        (short_pixels, "too short"),
        (no_rows, "no segmentation's"),
        (twelve_bits, "no segmentation's"),
    ],
)
def test_broken_segmentation_is_refused_in_words(damage: Callable[[Dataset], Dataset | None], words: str) -> None:
    data_set = written(a_source(), drawn_masks(a_source()))
    broken = damage(data_set) or data_set
    with pytest.raises(ObjectInvalid, match=words):
        read_segmentation(broken)


def test_label_map_that_says_to_overlap_is_refused() -> None:
    data_set = written(a_source(), drawn_masks(a_source()), LABEL_MAP)
    data_set.SegmentsOverlap = "YES"
    with pytest.raises(ObjectInvalid, match="overlap"):
        read_segmentation(data_set)


def test_label_map_with_two_frames_at_a_place_is_refused() -> None:
    data_set = written(a_source(), drawn_masks(a_source()), LABEL_MAP)
    groups = data_set.PerFrameFunctionalGroupsSequence
    data_set.PerFrameFunctionalGroupsSequence = [*groups[:-1], groups[0]]
    with pytest.raises(ObjectInvalid, match="on one place"):
        read_segmentation(data_set)


def test_label_that_nobody_describes_is_refused() -> None:
    data_set = written(a_source(), drawn_masks(a_source()), LABEL_MAP)
    pixels = bytearray(data_set.PixelData)
    pixels[100] = 9
    data_set.PixelData = bytes(pixels)
    read = read_segmentation(data_set)
    with pytest.raises(ObjectInvalid, match="hold 9"):
        label_array(read)


def background() -> Dataset:
    """Segment 0 as highdicom writes it."""
    item = Dataset()
    item.SegmentNumber, item.SegmentLabel, item.SegmentAlgorithmType = 0, "Background", "MANUAL"
    item.SegmentedPropertyCategoryCodeSequence = [code_item(concepts.BACKGROUND)]
    item.SegmentedPropertyTypeCodeSequence = [code_item(concepts.BACKGROUND)]
    return item


def test_padding_and_background_are_no_segment() -> None:
    data_set = written(a_source(), drawn_masks(a_source()), LABEL_MAP)
    pixels = np.frombuffer(data_set.PixelData, dtype=np.uint8).copy()
    outside = np.flatnonzero(pixels == 0)
    pixels[outside[::2]] = 77
    data_set.PixelData, data_set.PixelPaddingValue = pixels.tobytes(), 77
    data_set.SegmentSequence = [background(), *data_set.SegmentSequence]
    read = read_segmentation(data_set)
    expected = label_array(read_segmentation(written(a_source(), drawn_masks(a_source()), LABEL_MAP)))
    np.testing.assert_array_equal(label_array(read), expected)
    assert {int(one) for frame in read.frames() for one in np.unique(frame.pixels)} == {0, 1, 2}


def test_fractions_have_no_labels() -> None:
    read = read_segmentation(written(a_source(), drawn_masks(a_source()), PROBABILITY))
    with pytest.raises(ObjectInvalid, match="fractions are no labels"):
        label_array(read)


def test_segment_that_is_not_there_is_told() -> None:
    read = read_segmentation(written(a_source(), drawn_masks(a_source())))
    for array in (segment_array, fraction_array):
        with pytest.raises(ObjectInvalid, match="no segment 7"):
            array(read, 7)


@pytest.mark.parametrize("content", [b"", b"nothing of DICOM", bytes(128) + b"DICM", bytes(128) + b"DICMxxxx\0\0"])
def test_what_is_no_file_is_refused(content: bytes) -> None:
    with pytest.raises(GatewayError):
        read_segmentation(content)


def test_path_to_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InstanceUnreadable, match=r"seg\.dcm is no DICOM file"):
        read_segmentation(tmp_path / "seg.dcm")


def test_file_cut_anywhere_is_refused_or_read() -> None:
    content = file_of(written(a_source(), drawn_masks(a_source())))
    for cut in range(140, len(content), 997):
        try:
            read_segmentation(content[:cut])
        except GatewayError:
            continue
        pytest.fail(f"cut at {cut} and read all the same")


def test_syntax_that_nobody_reads_is_told() -> None:
    data_set = written(a_source(), drawn_masks(a_source()), as_form(LABEL_MAP.kind, str(RLELossless)))
    data_set.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
    with pytest.raises(TransferSyntaxNotSupported, match="no codec"):
        read_segmentation(data_set)


def test_frame_that_cannot_be_decoded_is_told() -> None:
    data_set = written(a_source(), drawn_masks(a_source()), as_form(LABEL_MAP.kind, str(RLELossless)))
    data_set.PixelData = encapsulate([b"nothing of RLE" * 9] * int(data_set.NumberOfFrames))
    with pytest.raises(InstanceUnreadable, match="Frame 1"):
        label_array(read_segmentation(data_set))


# Findings


def test_segments_come_back_as_the_findings_that_they_were() -> None:
    volume = axial()
    drawn = [nodule(volume), nodule(volume, 2, (6, 11, 3))]
    segmentation = write(volume, *drawn).segmentation
    assert segmentation is not None
    found = findings_of_segmentation(read_segmentation(segmentation).on(volume))
    for one, other in zip(found, drawn, strict=True):
        assert (one.label, one.tracking_uid, one.category, one.type) == (
            other.label, other.tracking_uid, other.category, other.type,
        )  # fmt: skip
        assert (one.site, one.laterality) == (other.site, other.laterality)
        assert max(abs(a - b) for a, b in zip(one.colour, other.colour, strict=True)) <= 1
        assert one.mask is not None
        assert other.mask is not None
        assert same_mask(one.mask, other.mask)


def test_segments_of_one_name_are_told_apart_and_get_lasting_uids() -> None:
    data_set = written(a_source(), drawn_masks(a_source()))
    for item in data_set.SegmentSequence:
        item.SegmentLabel = "Lesion"
        del item.TrackingUID, item.TrackingID
    first, second = findings_of_segmentation(read_segmentation(data_set))
    again, _ = findings_of_segmentation(read_segmentation(data_set))
    assert (first.label, second.label) == ("Lesion (1)", "Lesion (2)")
    assert first.tracking_uid == again.tracking_uid != second.tracking_uid


@pytest.mark.parametrize("keyword", ["SegmentedPropertyTypeCodeSequence", "SegmentedPropertyCategoryCodeSequence"])
def test_code_without_a_scheme_is_told(keyword: str) -> None:
    data_set = written(a_source(), drawn_masks(a_source()))
    data_set.SegmentSequence[1][keyword].value[0].CodingSchemeDesignator = ""
    with pytest.raises(ObjectInvalid, match="segment 2 has no coded property"):
        findings_of_segmentation(read_segmentation(data_set))


# Written anew


@pytest.mark.parametrize("form", [BINARY, PROBABILITY, LABEL_MAP], ids=lambda form: form.kind.name)
@pytest.mark.parametrize("name", ["axial", "radiograph", "ultrasound loop", "slide, TILED_FULL"])
def test_written_anew_it_says_the_same(name: str, form: object) -> None:
    source = SOURCES[name]()
    masks = drawn_masks(source)
    original = read_segmentation(written(source, masks, LABEL_MAP))
    anew = rewrite_segmentation(original, context(), form, source)  # type: ignore[arg-type]
    read = read_segmentation(anew).on(source)
    assert all(same_mask(masks_of(read)[number], mask) for number, mask in enumerate(masks, start=1))
    for one, other in zip(read.segments, original.segments, strict=True):
        assert one.item == other.item
    assert [str(problem) for problem in validate(anew) if problem.severity is Severity.ERROR] == []


def test_segment_that_is_nowhere_stays_described() -> None:
    data_set = written(a_source(), drawn_masks(a_source()))
    keep = [
        frame
        for frame in data_set.PerFrameFunctionalGroupsSequence
        if frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber == 1
    ]
    data_set.PerFrameFunctionalGroupsSequence, data_set.NumberOfFrames = keep, len(keep)
    anew = rewrite_segmentation(read_segmentation(data_set), context(), LABEL_MAP)
    assert [item.SegmentLabel for item in anew.SegmentSequence] == ["Part 1", "Part 2"]


def test_makers_of_what_is_written_anew_stay_named() -> None:
    data_set = written(a_source(), drawn_masks(a_source()))
    anew = rewrite_segmentation(read_segmentation(data_set), context(), LABEL_MAP)
    assert (anew.Manufacturer, anew.ManufacturerModelName) == (data_set.Manufacturer, data_set.ManufacturerModelName)
    assert anew.ContributingEquipmentSequence[0] == data_set.ContributingEquipmentSequence[0]
    assert anew.ContributingEquipmentSequence[-1].Manufacturer == "Annogate"


# Masks and forms that cannot be written


def not_a_number() -> Mask:
    fractions = np.full((1, 2, 2), 0.5, dtype=np.float32)
    fractions[0, 0, 0] = np.nan
    return Mask(fractions >= 0.5, (0, 0, 0), fractions)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (not_a_number(), "not a number from 0 to 1"),
        (replace(not_a_number(), fractions=np.full((1, 2, 2), 1.5, dtype=np.float32)), "not a number from 0 to 1"),
        (replace(not_a_number(), fractions=np.full((1, 2, 2), -0.5, dtype=np.float32)), "not a number from 0 to 1"),
        (replace(not_a_number(), fractions=np.zeros((1, 3, 2), dtype=np.float32)), "another shape"),
        (Mask(np.zeros((1, 2, 2), dtype=bool), (0, 0, 0), np.full((1, 2, 2), 0.001, dtype=np.float32)), "no voxel"),
        (Mask(np.zeros((1, 2, 2), dtype=bool)), "no voxel"),
        (Mask(np.ones((1, 2, 2), dtype=bool), (0, 15, 0)), "outside"),
        (Mask(np.ones((1, 2, 2), dtype=bool), (-1, 0, 0)), "outside"),
        (Mask(np.ones((2, 2), dtype=bool), (0, 0, 0)), "axes"),
    ],
)
def test_mask_that_cannot_be_written_is_named(mask: Mask, words: str) -> None:
    with pytest.raises(ObjectInvalid, match=f"Part 1: .*{words}"):
        written(a_source(), [mask], PROBABILITY)


@pytest.mark.parametrize("fractions", [[np.nan, 0.5], [1.5, 0.1], [-0.1, 0.2]])
def test_fractions_that_are_none_make_no_mask(fractions: list[float]) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        Mask.cut_from_fractions(np.array(fractions, dtype=np.float32).reshape(1, 1, 2))


def test_overlapping_label_map_is_refused() -> None:
    with pytest.raises(ObjectInvalid, match="write them as BINARY"):
        written(a_source(), drawn_masks(a_source(), overlap=True), LABEL_MAP)


def test_more_segments_than_can_be_numbered_are_refused() -> None:
    from service.objects.segmentation_building import SegmentMask, build_segmentation

    one = SegmentMask(Dataset(), Mask(np.ones((1, 1, 1), dtype=bool)))
    with pytest.raises(ObjectInvalid, match="65536 segments are more"):
        build_segmentation([one] * 65536, frames_of_images([radiograph()]), BINARY, context())


@pytest.mark.parametrize("syntax", [str(RLELossless), "1.2.840.10008.1.2.4.90"])
def test_binary_is_written_native_or_deflated(syntax: str) -> None:
    with pytest.raises(ObjectInvalid, match=r"BINARY|written in"):
        as_form(BINARY.kind, syntax)

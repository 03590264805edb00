"""What a segmentation says of the source that it was drawn on: references, places, dimensions, tiles."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from service.core.findings import Mask
from service.core.source_frames import Space
from service.errors import ObjectInvalid
from service.objects.source_frames_reader import frames_of_images
from tests.segmentation_sources import (
    SOURCES,
    cine,
    moving_heart,
    pages,
    projection,
    radiograph,
    slide,
    weighted,
)
from tests.segmented import LABEL_MAP, drawn_masks, written
from tests.volumes import ct_sources


def segmentation_on(*images: Dataset) -> Dataset:
    source = frames_of_images(images)
    return written(source, drawn_masks(source))


def references(segmentation: Dataset) -> list[tuple[str, int | None]]:
    """Instance and frame that each frame names, the same one once."""
    named = {
        (str(source.ReferencedSOPInstanceUID), source.get("ReferencedFrameNumber"))
        for frame in segmentation.PerFrameFunctionalGroupsSequence
        for source in frame.DerivationImageSequence[0].SourceImageSequence
    }
    return sorted(named, key=lambda one: (one[0], one[1] or 0))


def dimensions(segmentation: Dataset) -> list[str]:
    return [keyword_for_tag(item.DimensionIndexPointer) for item in segmentation.DimensionIndexSequence]


@pytest.mark.parametrize("image", [projection, radiograph, cine, pages])
def test_source_without_a_place_gives_none(image: object) -> None:
    segmentation = segmentation_on(image())  # type: ignore[operator]
    assert "FrameOfReferenceUID" not in segmentation
    groups = [*segmentation.SharedFunctionalGroupsSequence, *segmentation.PerFrameFunctionalGroupsSequence]
    for keyword in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence"):
        assert not any(keyword in group for group in groups)


def test_projection_is_named_without_a_frame() -> None:
    image = projection()
    segmentation = segmentation_on(image)
    assert references(segmentation) == [(image.SOPInstanceUID, None)]
    assert dimensions(segmentation) == ["ReferencedSegmentNumber"]
    assert list(segmentation.PatientOrientation) == ["A", "F"]


def test_lossy_compression_of_the_source_is_said() -> None:
    segmentation = segmentation_on(projection())
    assert (segmentation.LossyImageCompression, segmentation.LossyImageCompressionMethod) == ("01", "ISO_10918_1")


def test_each_picture_of_a_loop_has_its_own_mask_and_time() -> None:
    image = cine()
    segmentation = segmentation_on(image)
    assert references(segmentation) == [(image.SOPInstanceUID, number) for number in range(1, 7)]
    assert dimensions(segmentation) == ["ReferencedSegmentNumber", "TemporalPositionIndex"]
    for frame in segmentation.PerFrameFunctionalGroupsSequence:
        number = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
        assert frame.FrameContentSequence[0].TemporalPositionIndex == number


def test_mask_of_some_pictures_names_these_alone() -> None:
    source = frames_of_images([cine()])
    segmentation = written(source, [Mask(np.ones((2, 3, 3), dtype=bool), (3, 1, 1))])
    assert [number for _, number in references(segmentation)] == [4, 5]


def test_pages_are_counted_and_not_timed() -> None:
    segmentation = segmentation_on(pages())
    assert dimensions(segmentation) == ["ReferencedSegmentNumber", "InStackPositionNumber"]
    assert "TemporalPositionIndex" not in segmentation.PerFrameFunctionalGroupsSequence[0].FrameContentSequence[0]


def test_label_map_of_a_single_image_has_a_dimension_too() -> None:
    source = frames_of_images([radiograph()])
    assert dimensions(written(source, drawn_masks(source), LABEL_MAP)) == ["InStackPositionNumber"]


def test_phases_of_a_heart_are_a_dimension_of_their_own() -> None:
    segmentation = segmentation_on(moving_heart())
    assert dimensions(segmentation) == ["ReferencedSegmentNumber", "TemporalPositionIndex", "ImagePositionPatient"]
    indices = [
        tuple(frame.FrameContentSequence[0].DimensionIndexValues)
        for frame in segmentation.PerFrameFunctionalGroupsSequence
    ]
    assert indices == [(s, t, p) for s in (1, 2) for t in (1, 2) for p in (1, 2, 3)]


def test_frames_at_one_place_are_stacks() -> None:
    segmentation = segmentation_on(weighted())
    assert dimensions(segmentation) == ["ReferencedSegmentNumber", "StackID", "ImagePositionPatient"]
    stacks = [frame.FrameContentSequence[0].StackID for frame in segmentation.PerFrameFunctionalGroupsSequence]
    assert stacks[:4] == ["1", "2", "1", "2"]


@pytest.mark.parametrize("name", ["slide, TILED_FULL", "slide, TILED_SPARSE", "slide, two optical paths"])
def test_tiles_lie_where_the_slides_own_tiles_lie(name: str) -> None:
    source = SOURCES[name]()
    segmentation = written(source, drawn_masks(source))
    assert source.space is Space.SLIDE
    assert segmentation.DimensionOrganizationType == "TILED_SPARSE"
    assert (segmentation.TotalPixelMatrixRows, segmentation.TotalPixelMatrixColumns) == (26, 30)
    assert (segmentation.ContainerIdentifier, segmentation.PositionReferenceIndicator) == ("C-1", "SLIDE_CORNER")
    for frame in segmentation.PerFrameFunctionalGroupsSequence:
        place = frame.PlanePositionSlideSequence[0]
        row, column = place.RowPositionInTotalImagePixelMatrix, place.ColumnPositionInTotalImagePixelMatrix
        assert float(place.XOffsetInSlideCoordinateSystem) == pytest.approx(20 - (row - 1) * 0.0005)
        assert float(place.YOffsetInSlideCoordinateSystem) == pytest.approx(40 - (column - 1) * 0.0005)


def test_tile_names_its_frame() -> None:
    image = slide()
    source = frames_of_images([image])
    segmentation = written(source, [Mask(np.ones((1, 2, 2), dtype=bool), (0, 13, 21))])
    assert references(segmentation) == [(image.SOPInstanceUID, 6)]


def test_tile_of_two_optical_paths_names_both_frames() -> None:
    source = frames_of_images([slide(optical_paths=2)])
    segmentation = written(source, [Mask(np.ones((1, 2, 2), dtype=bool), (0, 13, 21))])
    assert [number for _, number in references(segmentation)] == [6, 15]


def test_mask_over_the_border_of_tiles_is_cut_between_them() -> None:
    source = frames_of_images([slide()])
    segmentation = written(source, [Mask(np.ones((1, 4, 4), dtype=bool), (0, 10, 8))])
    assert segmentation.NumberOfFrames == 4


def test_mask_where_a_sparse_slide_has_no_tile_is_refused() -> None:
    source = frames_of_images([slide(sparse=True)])
    with pytest.raises(ObjectInvalid, match="no tile"):
        written(source, [Mask(np.ones((1, 4, 4), dtype=bool), (0, 10, 8))])


def test_only_touched_instances_are_listed() -> None:
    images = ct_sources(6)
    segmentation = written(frames_of_images(images), [Mask(np.ones((2, 3, 3), dtype=bool), (3, 1, 1))])
    listed = segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert [item.ReferencedSOPInstanceUID for item in listed] == [image.SOPInstanceUID for image in images[3:5]]


def test_frames_of_several_orientations_say_theirs_each() -> None:
    images = ct_sources(2)
    images[1].ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    segmentation = segmentation_on(*images)
    assert "PlaneOrientationSequence" not in segmentation.SharedFunctionalGroupsSequence[0]
    said = {
        tuple(frame.PlaneOrientationSequence[0].ImageOrientationPatient)
        for frame in segmentation.PerFrameFunctionalGroupsSequence
    }
    assert said == {(1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1)}


@pytest.mark.parametrize(("segments", "organized"), [(1, True), (2, False)])
def test_single_segment_of_regular_planes_is_a_volume(segments: int, organized: bool) -> None:
    source = SOURCES["axial"]()
    segmentation = written(source, drawn_masks(source)[:segments])
    assert (segmentation.get("DimensionOrganizationType") == "3D") == organized


def test_sheared_planes_are_no_3d_organization() -> None:
    source = SOURCES["tilted"]()
    assert "DimensionOrganizationType" not in written(source, drawn_masks(source)[:1])


def several_sizes() -> list[Dataset]:
    images = ct_sources(2)
    images[1].Rows = 15
    return images


def several_series() -> list[Dataset]:
    images = ct_sources(2)
    images[1].SeriesInstanceUID = "2.25.99"
    return images


def unspaced_slide() -> list[Dataset]:
    image = slide()
    del image.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing
    return [image]


def lost_tile() -> list[Dataset]:
    image = slide(sparse=True)
    del image.PerFrameFunctionalGroupsSequence[0].PlanePositionSlideSequence
    return [image]


def short_slide() -> list[Dataset]:
    image = slide()
    image.NumberOfFrames = 8
    return [image]


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (list, "no source image"),
        (several_sizes, "several sizes"),
        (several_series, "several series"),
        (unspaced_slide, "Pixel Spacing"),
        (lost_tile, "no Plane Position"),
        (short_slide, "no whole number of rounds"),
        (lambda: [slide(), slide()], "image by image"),
    ],
)
def test_images_that_are_no_source_are_refused(images: object, words: str) -> None:
    with pytest.raises(ObjectInvalid, match=words):
        frames_of_images(images())  # type: ignore[operator]


def test_one_image_without_a_place_takes_it_from_all() -> None:
    images = ct_sources(3)
    del images[1].ImagePositionPatient
    assert frames_of_images(images).space is Space.NOWHERE


def test_sources_are_left_as_they_were() -> None:
    image = slide()
    before = deepcopy(image)
    segmentation_on(image)
    assert image == before

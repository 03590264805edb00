"""The summary as pictures: what was found is seen where it is, and no patient is named."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import VLEndoscopicImageStorage

from service.core.annotations import AnnotationSet, Outcome, PersonObserver
from service.core.findings import Finding
from service.core.geometry import ImagePlace, Shape, ShapeKind, point, rectangle
from service.core.volume import Volume
from service.errors import ObjectInvalid
from service.objects.source_images import SourceImages
from service.objects.summary_capture import write_summary_captures
from service.objects.summary_page import drawable, lines_that_fit
from service.objects.validation import validate
from tests.annotated_images import SOURCES, flat_image, slide
from tests.volumes import ABNORMAL, ALGORITHM, NODULE, ball, ct_sources, nodule, volume_of
from tests.written_results import context

READER = PersonObserver("Reader^First", "reader1", "Clinic")
GREEN = (0, 255, 0)


def lit(slices: int = 8, size: int = 64) -> Volume:
    """A volume that is brighter to the right, and as bright on each slice as the other."""
    volume = volume_of(ct_sources(slices, rows=size, columns=size))
    volume.array[:] = np.arange(size, dtype=np.float32)
    return volume


def captures(annotations: AnnotationSet, sources: SourceImages, **more: Any) -> list[Dataset]:
    read = []
    for one in write_summary_captures(annotations, "Lung nodules", sources, context(), **more):
        buffer = BytesIO()
        one.save_as(buffer, enforce_file_format=True)
        buffer.seek(0)
        read.append(dcmread(buffer))
    return read


def inked(capture: Dataset, colour: tuple[int, int, int] = GREEN) -> np.ndarray:
    return np.argwhere((capture.pixel_array == colour).all(axis=2))


def test_finding_is_drawn_on_the_slice_with_most_of_it() -> None:
    volume = lit()
    found = replace(nodule(volume), mask=ball(volume, (4, 32, 16), 6), measurements=(), colour=GREEN)
    words, picture = captures(AnnotationSet(ALGORITHM, (found,)), SourceImages.of_volume(volume))
    assert not len(inked(words))
    places = inked(picture)
    in_view = places[places[:, 1] < 400]
    scale = 396 / 64
    middle = in_view.mean(axis=0) - (32, 8)
    assert middle == pytest.approx([32.5 * scale, 16.5 * scale], abs=3)
    assert np.ptp(in_view[:, 0]) == pytest.approx(13 * scale, abs=4)
    assert picture.pixel_array.shape == (512, 512, 3)


def test_captures_say_what_they_are() -> None:
    volume = lit()
    for number, capture in enumerate(
        captures(AnnotationSet(ALGORITHM, (nodule(volume),)), SourceImages.of_volume(volume)), start=1
    ):
        assert (capture.BurnedInAnnotation, capture.ConversionType, capture.InstanceNumber) == ("YES", "WSD", number)
        assert capture.PatientID == volume.sources[0].PatientID
        assert capture.StudyInstanceUID == volume.study_uid
        assert capture.SeriesDescription.endswith("NOT FOR DIAGNOSIS")
        assert [str(one) for one in validate(capture, sources=volume.sources)] == []


def test_demonstrator_has_a_bar_of_warning_on_every_page() -> None:
    volume = lit()
    sources = SourceImages.of_volume(volume)
    for author, bar in ((ALGORITHM, True), (replace(ALGORITHM, demonstrator=False), False), (READER, False)):
        for capture in captures(AnnotationSet(author, (nodule(volume),)), sources):
            assert bool((capture.pixel_array[510] == (255, 190, 60)).all()) is bar


def test_pixels_do_not_depend_on_who_the_patient_is() -> None:
    volume = lit()
    first = captures(AnnotationSet(READER, (nodule(volume),)), SourceImages.of_volume(volume))
    for source in volume.sources:
        source.PatientName, source.PatientID, source.PatientBirthDate = "Another^Name", "X-1", "19000101"
        source.AccessionNumber, source.ReferringPhysicianName = "A-2", "Other^Doctor"
    second = captures(AnnotationSet(READER, (nodule(volume),)), SourceImages.of_volume(volume))
    assert [one.PixelData for one in first] == [one.PixelData for one in second]


@pytest.mark.parametrize("outcome", [Outcome.NO_FINDING, Outcome.NOT_ASSESSABLE])
def test_reading_without_findings_is_a_page_of_words(outcome: Outcome) -> None:
    (page,) = captures(AnnotationSet(READER, outcome=outcome), SourceImages.of_images(ct_sources(2)))
    assert (page.pixel_array[40:70] > 200).any()


def test_many_findings_go_on_over_several_pages_of_words() -> None:
    volume = lit()
    found = tuple(replace(nodule(volume, number), shapes=()) for number in range(1, 31))
    pages = captures(AnnotationSet(READER, found), SourceImages.of_volume(volume))
    assert len(pages) > 30 + 1
    assert [one.InstanceNumber for one in pages] == list(range(1, len(pages) + 1))
    assert sum(len(portion) for portion in lines_that_fit(["Nodule"] * 50)) == 50


def test_every_kind_of_shape_leaves_its_colour() -> None:
    (image,) = SOURCES["radiograph"]()
    place = ImagePlace(str(image.SOPClassUID), str(image.SOPInstanceUID))
    shapes = [
        point((5, 5), place),
        rectangle(2, 2, 9, 9, place),
        Shape(ShapeKind.CIRCLE, ((8, 8), (8, 11)), place),
        Shape(ShapeKind.ELLIPSE, ((3, 8), (13, 8), (8, 6), (8, 10)), place),
        Shape(ShapeKind.COBB_ANGLE, ((1, 1), (5, 2), (1, 9), (6, 12)), place),
        Shape(ShapeKind.KEYPOINTS, ((1, 1), (9, 9)), place, ("Hip", "Knee"), ((0, 1),)),
    ]
    for shape in shapes:
        mark = Finding("Mark", "2.25.7", ABNORMAL, NODULE, shapes=(shape,), colour=GREEN)
        _, picture = captures(
            AnnotationSet(READER, (mark,)),
            SourceImages.of_images([image]),
            stored=lambda header, _: np.zeros((header.Rows, header.Columns)),
        )
        assert len(inked(picture)) > 20


def test_colour_image_is_shown_in_its_colours() -> None:
    image = flat_image(VLEndoscopicImageStorage, "ES", SamplesPerPixel=3, PhotometricInterpretation="RGB")
    place = ImagePlace(str(image.SOPClassUID), str(image.SOPInstanceUID))
    mark = Finding("Mark", "2.25.7", ABNORMAL, NODULE, shapes=(point((2, 2), place),), colour=GREEN)
    pixels = np.full((16, 16, 3), (200, 30, 60), dtype=np.uint8)
    _, picture = captures(AnnotationSet(READER, (mark,)), SourceImages.of_images([image]), stored=lambda *_: pixels)
    assert picture.pixel_array[300, 300].tolist() == [200, 30, 60]


def test_finding_on_a_slide_as_a_whole_stands_in_the_words() -> None:
    image = slide()
    place = ImagePlace(str(image.SOPClassUID), str(image.SOPInstanceUID))
    mark = Finding("Mark", "2.25.7", ABNORMAL, NODULE, shapes=(point((4000, 2), place),))
    assert len(captures(AnnotationSet(READER, (mark,)), SourceImages.of_images([image]))) == 1


def test_no_way_to_the_pixels_is_refused() -> None:
    slices = ct_sources(2)
    place = ImagePlace(str(slices[0].SOPClassUID), str(slices[0].SOPInstanceUID))
    mark = Finding("Mark", "2.25.7", ABNORMAL, NODULE, shapes=(point((4, 2), place),))
    with pytest.raises(ObjectInvalid, match="hand over the volume"):
        captures(AnnotationSet(READER, (mark,)), SourceImages.of_images(slices))


@pytest.mark.parametrize(
    ("words", "drawn"),
    [("Größe", "Grosse"), ("3 mm²", "3 mm2"), ("µm × 2", "um x 2"), ("結節 1", "?? 1"), ("a\tb", "a b")],
)
def test_letters_that_the_font_lacks_are_spelt_in_others(words: str, drawn: str) -> None:
    assert drawable(words) == drawn

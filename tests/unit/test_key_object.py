"""Key objects name the images on which findings lie, and the results that tell of them."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.core.annotations import AnnotationSet, Answer, PersonObserver
from service.core.codes import Code
from service.core.findings import Finding
from service.core.geometry import ImagePlace, PatientPlace, Shape, ShapeKind, box, frames, line, point, rectangle
from service.errors import ObjectInvalid
from service.objects.key_object import BEST_IN_SET, OF_INTEREST, KeyObjectTitle, key_objects_in, write_key_object
from service.objects.source_images import SourceImages
from service.objects.validation import validate
from tests.annotated_images import SOURCES, annotation_sets
from tests.volumes import ABNORMAL, ALGORITHM, LEFT, NODULE, ball, ct_sources, nodule
from tests.written_results import axial, context, enhanced_volume, write

READER = PersonObserver("Reader^First", "reader1", "Clinic")
FOR_TEACHING = Code("113004", "DCM", "For Teaching")
OF_SERIES = Code("113015", "DCM", "Series")


def place_on(header: Dataset, *numbers: int) -> ImagePlace:
    return ImagePlace(str(header.SOPClassUID), str(header.SOPInstanceUID), numbers)


def marked(*shapes: Shape) -> AnnotationSet:
    return AnnotationSet(READER, (Finding("Mark", "2.25.7", ABNORMAL, NODULE, shapes=shapes),))


def shapes_of(finding: Finding) -> list[Shape]:
    return [*finding.shapes, *(one.shape for one in finding.measurements if one.shape is not None)]


def read_back(data_set: Dataset) -> Dataset:
    buffer = BytesIO()
    data_set.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return dcmread(buffer)


def images_of(annotations: AnnotationSet, sources: SourceImages, **more: Any) -> list[ImagePlace]:
    return list(key_objects_in(write_key_object(annotations, sources, (), context(), **more)).images)


def test_results_are_named_beside_the_images_of_a_mask() -> None:
    volume = axial()
    found = nodule(volume)
    written = write(volume, found)
    assert written.segmentation is not None
    made = AnnotationSet(ALGORITHM, (found,), summary="1 nodule")
    key_object = read_back(
        write_key_object(made, SourceImages.of_volume(volume), (written.segmentation, written.report), context())
    )
    said = key_objects_in(key_object)
    assert (said.title, said.description) == (OF_INTEREST, "1 nodule")
    assert said.documents == ((written.report.SOPClassUID, written.report.SOPInstanceUID),)
    assert found.mask is not None
    on_mask = volume.sources[found.mask.origin[0] : found.mask.origin[0] + len(found.mask.voxels)]
    assert {one.sop_instance_uid for one in said.images} == {
        *(one.SOPInstanceUID for one in on_mask),
        written.segmentation.SOPInstanceUID,
    }
    assert [str(one) for one in validate(key_object, sources=volume.sources)] == []


def test_one_image_a_finding_is_the_one_with_most_of_it() -> None:
    volume = axial()
    found = replace(nodule(volume), mask=ball(volume, (4, 7, 7), 3), measurements=())
    (place,) = images_of(AnnotationSet(ALGORITHM, (found,)), SourceImages.of_volume(volume), one_image_a_finding=True)
    assert place.sop_instance_uid == volume.sources[4].SOPInstanceUID


def test_frames_of_one_image_are_named_together() -> None:
    (cine,) = SOURCES["ultrasound cine"]()
    sources = SourceImages.of_images([cine])
    made = marked(frames(place_on(cine, 3, 4, 5)), rectangle(1, 1, 5, 5, place_on(cine, 9)))
    assert images_of(made, sources) == [place_on(cine, 3, 4, 5, 9)]


def test_image_as_a_whole_takes_in_its_frames() -> None:
    (cine,) = SOURCES["ultrasound cine"]()
    made = marked(frames(place_on(cine)), rectangle(1, 1, 5, 5, place_on(cine, 9)))
    assert images_of(made, SourceImages.of_images([cine])) == [place_on(cine)]


def test_mask_in_an_enhanced_image_names_its_frames() -> None:
    volume = enhanced_volume()
    found = replace(nodule(volume), mask=ball(volume, (3, 7, 7), 1), measurements=())
    (place,) = images_of(AnnotationSet(ALGORITHM, (found,)), SourceImages.of_volume(volume))
    assert place.frames == tuple(sorted(volume.frame_numbers[number] for number in (2, 3, 4)))


def test_box_names_the_slices_that_cut_it() -> None:
    slices = ct_sources(8)
    made = marked(box((-48, -48, 5), (-44, -44, 11)))
    assert [one.sop_instance_uid for one in images_of(made, SourceImages.of_images(slices))] == [
        one.SOPInstanceUID for one in slices if 5 <= one.ImagePositionPatient[2] <= 11
    ]


def test_ellipsoid_names_the_slices_that_cut_it() -> None:
    slices = ct_sources(8)
    ends = ((-45, -42, 8), (-39, -42, 8), (-42, -45, 8), (-42, -39, 8), (-42, -42, 4.5), (-42, -42, 11.5))
    made = marked(Shape(ShapeKind.ELLIPSOID, ends))
    assert [one.sop_instance_uid for one in images_of(made, SourceImages.of_images(slices))] == [
        one.SOPInstanceUID for one in slices if 4.5 < one.ImagePositionPatient[2] < 11.5
    ]


def test_image_that_was_answered_about_is_a_key_image() -> None:
    (image,) = SOURCES["radiograph"]()
    made = AnnotationSet(READER, answers=(Answer(NODULE, LEFT, place_on(image)),))
    assert images_of(made, SourceImages.of_images([image])) == [place_on(image)]


def test_best_in_set_says_of_what() -> None:
    (image,) = SOURCES["radiograph"]()
    title = KeyObjectTitle(BEST_IN_SET, (OF_SERIES,))
    made = marked(point((2, 3), place_on(image)))
    key_object = write_key_object(made, SourceImages.of_images([image]), (), context(), selected_for=title)
    assert key_objects_in(key_object).modifiers == (OF_SERIES,)
    assert [str(one) for one in validate(key_object)] == []
    with pytest.raises(ObjectInvalid, match="CID 7012"):
        KeyObjectTitle(BEST_IN_SET)


def test_title_of_another_list_is_refused() -> None:
    with pytest.raises(ObjectInvalid, match="CID 7010"):
        KeyObjectTitle(NODULE)
    assert KeyObjectTitle(FOR_TEACHING).title == FOR_TEACHING


def test_nothing_marked_has_no_key_image() -> None:
    with pytest.raises(ObjectInvalid, match="no key image"):
        write_key_object(AnnotationSet(READER), SourceImages.of_images(ct_sources(2)), (), context())


def test_result_of_another_study_is_refused() -> None:
    slices = ct_sources(2)
    other = ct_sources(1)[0]
    other.StudyInstanceUID = "2.25.999"
    with pytest.raises(ObjectInvalid, match="another study"):
        write_key_object(
            marked(point((1, 1), place_on(slices[0]))), SourceImages.of_images(slices), (other,), context()
        )


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        (line((0, 0, 0), (5, 5, 90)), "beyond the images"),
        (line((0, 0, 0), (5, 5, 5), PatientPlace("2.25.1")), "another Frame of Reference"),
    ],
)
def test_shape_on_none_of_the_images_is_refused(shape: Shape, told: str) -> None:
    with pytest.raises(ObjectInvalid, match=told):
        images_of(marked(shape), SourceImages.of_images(ct_sources(3)))


def test_mask_without_its_volume_is_refused() -> None:
    volume = axial()
    made = AnnotationSet(ALGORITHM, (nodule(volume),))
    with pytest.raises(ObjectInvalid, match="hand over the volume"):
        images_of(made, SourceImages.of_images(volume.sources))


@pytest.mark.parametrize("kind", SOURCES)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_is_marked_is_among_the_key_images(kind: str, data: st.DataObject) -> None:
    sources = SourceImages.of_images(SOURCES[kind]())
    made = data.draw(annotation_sets(sources))
    findings = tuple(one for one in made.findings if all(shape.on_image for shape in shapes_of(one)))
    drawn = [shape.on_image for found in findings for shape in shapes_of(found) if shape.on_image]
    if not drawn:
        return
    key_object = read_back(write_key_object(replace(made, findings=findings), sources, (), context()))
    named = {one.sop_instance_uid: one.frames for one in key_objects_in(key_object).images}
    for place in drawn:
        frames_named = named[place.sop_instance_uid]
        assert not frames_named or (place.frames and set(place.frames) <= set(frames_named))
    assert [str(one) for one in validate(key_object, sources=sources.headers)] == []

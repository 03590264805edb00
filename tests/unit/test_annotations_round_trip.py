"""Whatever is marked becomes a report and comes back without loss."""

from __future__ import annotations

from dataclasses import fields, replace
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.core.annotations import AnnotationSet, Answer, Outcome, PersonObserver, StudyTarget
from service.core.findings import Finding
from service.core.geometry import ImagePlace, Shape, ShapeKind, box, frames, line, point, polygon, rectangle
from service.errors import ObjectInvalid
from service.objects.annotation_reader import annotations_of
from service.objects.report import write_annotation_report
from service.objects.source_images import SourceImages
from service.objects.validation import validate
from tests.annotated_images import SOURCES, annotation_sets, is_algorithm
from tests.volumes import ABNORMAL, ALGORITHM, LEFT, NODULE, ct_sources
from tests.written_results import context

READER = PersonObserver("Reader^First", "reader1", "Clinic")


def written(annotations: AnnotationSet, sources: SourceImages) -> Dataset:
    report = write_annotation_report(annotations, "Reading", sources, None, context())
    buffer = BytesIO()
    report.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return dcmread(buffer)


def told(finding: Finding) -> dict[str, object]:
    """All that a finding says; the order of what was drawn says nothing."""
    said = {field.name: getattr(finding, field.name) for field in fields(finding)}
    said["shapes"] = sorted(map(repr, finding.shapes))
    said["measurements"] = sorted(map(repr, finding.measurements))
    return said


def said_of_the_reading(annotations: AnnotationSet) -> dict[str, object]:
    """All but the findings; an outcome that nobody stated is the one that follows from them."""
    said = {field.name: getattr(annotations, field.name) for field in fields(annotations) if field.name != "findings"}
    return {**said, "outcome": annotations.stated_outcome}


def finding(*shapes: Shape, **more: object) -> Finding:
    return replace(Finding("Mark", "2.25.7", ABNORMAL, NODULE, shapes=shapes), **more)


def shapes_back(sources: SourceImages, *shapes: Shape) -> tuple[Shape, ...]:
    (found,) = annotations_of(written(AnnotationSet(READER, (finding(*shapes),)), sources)).findings
    return found.shapes


@pytest.mark.parametrize("kind", SOURCES)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_everything_comes_back_and_nothing_breaks_a_rule(kind: str, data: st.DataObject) -> None:
    sources = SourceImages.of_images(SOURCES[kind]())
    made = data.draw(annotation_sets(sources))
    report = written(made, sources)
    read = annotations_of(report)
    assert [told(one) for one in read.findings] == [told(one) for one in made.findings]
    assert said_of_the_reading(read) == said_of_the_reading(made)
    problems = validate(report, sources=sources.headers)
    assert [str(one) for one in problems if one.severity == "error"] == []


def test_sets_of_keypoints_keep_their_own_names() -> None:
    sources = SourceImages.of_images(ct_sources(2))
    place = ImagePlace(str(sources.headers[0].SOPClassUID), str(sources.headers[0].SOPInstanceUID))
    one = Shape(ShapeKind.KEYPOINTS, ((1, 1), (2, 2)), place, ("base", "tip"), ((0, 1),))
    other = Shape(ShapeKind.KEYPOINTS, ((1, 1), (2, 3)), place, ("left", "right"))
    assert shapes_back(sources, one, other, one) == (one, other, one)


def test_shape_in_the_patient_is_drawn_on_the_slice_that_it_lies_on() -> None:
    slices = ct_sources(8)
    sources = SourceImages.of_images(slices)
    corner = [float(value) for value in slices[3].ImagePositionPatient]
    (back,) = shapes_back(
        sources, polygon([corner, (corner[0] + 4, *corner[1:]), (corner[0], corner[1] + 3, corner[2])])
    )
    assert back.on_image is not None
    assert back.on_image.sop_instance_uid == slices[3].SOPInstanceUID
    assert back.points[0] == (0.5, 0.5)


def test_box_comes_back_as_the_box_that_it_was() -> None:
    slices = ct_sources(8)
    sources = SourceImages.of_images(slices)
    x, y, z = (float(value) for value in slices[2].ImagePositionPatient)
    (back,) = shapes_back(sources, box((x + 1, y + 1, z), (x + 5, y + 4, z + 4)))
    assert back.kind is ShapeKind.BOX
    assert back.points == ((x + 1, y + 1, z), (x + 5, y + 4, z + 4))


def test_two_views_of_one_thing_share_a_tracking_uid() -> None:
    first, second = SOURCES["mammograms"]()
    places = [ImagePlace(str(one.SOPClassUID), str(one.SOPInstanceUID)) for one in (first, second)]
    marks = [rectangle(2, 3, 9, 8, place) for place in places]
    sources = SourceImages.of_images([first, second])
    assert set(shapes_back(sources, *marks)) == set(marks)


def test_range_of_frames_comes_back_as_its_frames() -> None:
    (cine,) = SOURCES["ultrasound cine"]()
    mark = frames(ImagePlace(str(cine.SOPClassUID), str(cine.SOPInstanceUID), (3, 4, 5, 6)))
    assert shapes_back(SourceImages.of_images([cine]), mark) == (mark,)


@pytest.mark.parametrize("outcome", [Outcome.NO_FINDING, Outcome.NOT_ASSESSABLE])
def test_no_finding_and_not_assessable_are_answers_of_their_own(outcome: Outcome) -> None:
    sources = SourceImages.of_images(SOURCES["radiograph"]())
    assert annotations_of(written(AnnotationSet(READER, outcome=outcome), sources)).outcome is outcome


def test_answer_about_the_study_needs_no_place() -> None:
    sources = SourceImages.of_images(SOURCES["radiograph"]())
    answer = Answer(NODULE, LEFT, StudyTarget(), confidence=0.25)
    assert annotations_of(written(AnnotationSet(READER, answers=(answer,)), sources)).answers == (answer,)


def test_report_of_a_person_is_verified_by_that_person() -> None:
    report = written(AnnotationSet(READER), SourceImages.of_images(SOURCES["radiograph"]()))
    assert report.VerificationFlag == "VERIFIED"
    assert str(report.VerifyingObserverSequence[0].VerifyingObserverName) == "Reader^First"


def test_report_of_a_program_is_verified_once_a_person_stands_for_it() -> None:
    sources = SourceImages.of_images(SOURCES["radiograph"]())
    made = AnnotationSet(ALGORITHM)
    assert is_algorithm(made)
    assert written(made, sources).VerificationFlag == "UNVERIFIED"
    accepted = replace(context(), verified_by=READER)
    report = write_annotation_report(made, "Reading", sources, None, accepted)
    assert (report.VerificationFlag, len(report.VerifyingObserverSequence)) == ("VERIFIED", 1)


def test_mark_on_an_image_of_another_series_is_refused() -> None:
    sources = SourceImages.of_images(ct_sources(3))
    elsewhere = ImagePlace("1.2.840.10008.5.1.4.1.1.2", "2.25.404")
    with pytest.raises(ObjectInvalid, match="not of its series"):
        written(AnnotationSet(READER, (finding(point((1, 1), elsewhere)),)), sources)


def test_outline_of_more_points_than_a_report_holds_is_refused() -> None:
    (image,) = SOURCES["radiograph"]()
    place = ImagePlace(str(image.SOPClassUID), str(image.SOPInstanceUID))
    outline = polygon([(number / 1000, number % 7) for number in range(9000)], place)
    with pytest.raises(ObjectInvalid, match="thin it out"):
        written(AnnotationSet(READER, (finding(outline),)), SourceImages.of_images([image]))


def test_mark_on_a_frame_that_is_not_there_is_refused() -> None:
    (cine,) = SOURCES["ultrasound cine"]()
    place = ImagePlace(str(cine.SOPClassUID), str(cine.SOPInstanceUID), (13,))
    with pytest.raises(ObjectInvalid, match="frame 13 of an image of 12"):
        written(AnnotationSet(READER, (finding(point((1, 1), place)),)), SourceImages.of_images([cine]))


def test_mark_in_the_patient_is_refused_where_no_image_lies_in_one() -> None:
    sources = SourceImages.of_images(SOURCES["radiograph"]())
    with pytest.raises(ObjectInvalid, match="no Frame of Reference"):
        written(AnnotationSet(READER, (finding(line((0, 0, 0), (1, 1, 1))),)), sources)


def test_images_of_two_series_are_refused() -> None:
    one, other = ct_sources(2)
    other.SeriesInstanceUID = "2.25.5"
    with pytest.raises(ObjectInvalid, match="one series at a time"):
        SourceImages.of_images([one, other])

"""dciodvfy finds no Error in reports of any kind of mark on any kind of image."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from service.core.annotations import AnnotationSet, Answer, Outcome, PersonObserver, ProtocolReference, SeriesTarget
from service.core.findings import Finding, Measurement
from service.core.geometry import ImagePlace, PatientPlace, Shape, ShapeKind
from service.objects.report import write_annotation_report
from service.objects.source_images import SourceImages
from tests.annotated_images import AREA, COUNTS, MM, SOURCES
from tests.integration.test_objects_dciodvfy import errors_in
from tests.volumes import ABNORMAL, LEFT, LUNG, NODULE
from tests.written_results import context

pytestmark = pytest.mark.peer("dicom3tools")
READER = PersonObserver("Reader^First", "reader1", "Clinic")


def one_of_each(sources: SourceImages) -> list[Finding]:
    """A finding for each kind of shape, measured and not."""
    drawn = random.Random(1)
    header = sources.headers[0]
    frames = (1,) if int(header.get("NumberOfFrames") or 1) > 1 else ()
    place = ImagePlace(str(header.SOPClassUID), str(header.SOPInstanceUID), frames)
    shapes = [Shape(ShapeKind.FRAMES, (), place)]
    for kind, count in COUNTS.items():
        points = tuple((drawn.uniform(0, header.Columns), drawn.uniform(0, header.Rows)) for _ in range(count))
        names = tuple(f"Landmark {number}" for number in range(count)) if kind is ShapeKind.KEYPOINTS else ()
        shapes.append(Shape(kind, points, place, names, ((0, 1), (1, 2)) if names else ()))
    if sources.planes:
        space = PatientPlace(sources.frame_of_reference_uid)
        shapes.append(Shape(ShapeKind.LINE, ((0.0, 0.0, 0.0), (5.0, 6.0, 70.0)), space))
    found = []
    for number, shape in enumerate(shapes):
        mark = Finding(
            f"Mark {number}", f"2.25.6{number}", ABNORMAL, NODULE, LUNG, LEFT, confidence=0.5, comment="Words"
        )
        found.append(replace(mark, shapes=(shape,)))
        if shape.kind is not ShapeKind.FRAMES:
            measured = Measurement(AREA, 12.5, MM, shape)
            found.append(replace(mark, tracking_uid=f"2.25.5{number}", measurements=(measured,)))
    return found


@pytest.mark.parametrize("kind", SOURCES)
def test_every_kind_of_mark_has_no_error(kind: str, tmp_path: Path) -> None:
    sources = SourceImages.of_images(SOURCES[kind]())
    header = sources.headers[0]
    answers = (
        Answer(NODULE, LEFT, confidence=0.75),
        Answer(NODULE, "words", SeriesTarget(sources.series_uid)),
        Answer(NODULE, LEFT, ImagePlace(str(header.SOPClassUID), str(header.SOPInstanceUID))),
    )
    made = AnnotationSet(
        READER,
        tuple(one_of_each(sources)),
        answers,
        summary="All kinds",
        comment="Words",
        protocol=ProtocolReference("lung-screening", "3"),
        seconds_spent=12.5,
    )
    report = write_annotation_report(made, "Reading", sources, None, context())
    assert errors_in(report, tmp_path) == []


@pytest.mark.parametrize("outcome", [Outcome.NO_FINDING, Outcome.NOT_ASSESSABLE])
def test_nothing_marked_has_no_error(outcome: Outcome, tmp_path: Path) -> None:
    sources = SourceImages.of_images(SOURCES["radiograph"]())
    report = write_annotation_report(AnnotationSet(READER, outcome=outcome), "Reading", sources, None, context())
    assert errors_in(report, tmp_path) == []

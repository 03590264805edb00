"""Bulk annotations of a tiled image come back as they were, number by number."""

from __future__ import annotations

from dataclasses import fields, replace
from io import BytesIO
from typing import Any

import highdicom
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.core.annotations import Author, PersonObserver
from service.core.findings import Finding, Mask, Measurement
from service.core.geometry import ImagePlace, PatientPlace, Place, Shape, ShapeKind
from service.errors import ObjectInvalid
from service.objects.annotation_groups import POINTS_EACH, AnnotationGroup, BulkAnnotations, GroupMeasurement
from service.objects.bulk_annotation_reader import read_bulk_annotations
from service.objects.bulk_annotations import write_bulk_annotations
from service.objects.bulk_findings import findings_of_groups, groups_of_findings
from service.objects.validation import validate
from tests.annotated_images import AREA, LENGTH, MM, WORDS, slide
from tests.volumes import ABNORMAL, ALGORITHM, LEFT, LUNG, NODULE
from tests.written_results import context

READER = PersonObserver("Reader^First")
SLIDE = slide()
WHOLE = ImagePlace(str(SLIDE.SOPClassUID), str(SLIDE.SOPInstanceUID))


def group(kind: ShapeKind = ShapeKind.POINT, points: Any = ((1, 2), (3, 4)), **more: Any) -> AnnotationGroup:
    values = {"label": "Mitoses", "uid": "2.25.8", "category": ABNORMAL, "type": NODULE} | more
    array = np.asarray(points, dtype=values.pop("dtype", np.float32))
    if "starts" in values:
        return AnnotationGroup(kind=kind, points=array, **values)
    return AnnotationGroup.of_fixed_size(kind=kind, points=array, **values)


def written(*groups: AnnotationGroup, author: Author = ALGORITHM, place: Place = WHOLE) -> Dataset:
    data_set = write_bulk_annotations(BulkAnnotations(author, place, groups), "Mitoses", SLIDE, context())
    buffer = BytesIO()
    data_set.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return dcmread(buffer)


def same(one: Any, other: Any) -> bool:
    """Equality that looks into arrays, and holds NaN for itself."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=True)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, AnnotationGroup | GroupMeasurement):
        return all(same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    return bool(one == other)


@st.composite
def groups(draw: st.DrawFn, axes: int) -> AnnotationGroup:
    kind = draw(st.sampled_from([*POINTS_EACH]))
    least = {ShapeKind.POLYGON: 3, ShapeKind.POLYLINE: 2}.get(kind, POINTS_EACH[kind])
    most = POINTS_EACH[kind] or 9
    counts = draw(st.lists(st.integers(least or 1, most), min_size=1, max_size=6))
    dtype, width = draw(st.sampled_from([(np.float32, 32), (np.float64, 64)]))
    number = st.floats(0, 3000, width=width)
    points = draw(st.lists(st.tuples(*[number] * axes), min_size=sum(counts), max_size=sum(counts)))
    array = np.array(points, dtype=dtype).reshape(-1, axes)
    if axes == 3 and draw(st.booleans()):
        array[:, 2] = array[0, 2]
    values = st.one_of(st.just(float("nan")), st.floats(width=32, allow_nan=False, allow_infinity=False))
    given_somewhere = st.lists(values, min_size=len(counts), max_size=len(counts)).filter(
        lambda numbers: not np.isnan(numbers).all()
    )
    measured = [
        GroupMeasurement(name, MM, np.array(draw(given_somewhere), dtype=np.float32))
        for name in sorted(draw(st.sets(st.sampled_from([LENGTH, AREA]))), key=str)
    ]
    return AnnotationGroup(
        label=draw(WORDS.filter(lambda words: "\\" not in words)),
        uid="2.25.8",
        category=ABNORMAL,
        type=NODULE,
        kind=kind,
        points=array,
        starts=np.concatenate([[0], np.cumsum(counts[:-1])]).astype(np.int64),
        measurements=tuple(measured),
        site=draw(st.sampled_from([LUNG, None])),
        laterality=draw(st.sampled_from([LEFT, None])),
        colour=draw(st.sampled_from([None, (255, 0, 0), (12, 200, 90)])),
        description=draw(st.one_of(st.just(""), WORDS)),
    )


@pytest.mark.parametrize(("axes", "place"), [(2, WHOLE), (3, PatientPlace("2.25.4242"))])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_groups_come_back_as_they_were(axes: int, place: Place, data: st.DataObject) -> None:
    made = tuple(data.draw(st.lists(groups(axes), min_size=1, max_size=3)))
    author = data.draw(st.sampled_from([ALGORITHM, READER]))
    data_set = written(*made, author=author, place=place)
    read = read_bulk_annotations(data_set)
    assert (read.author, read.place) == (author, place)
    assert same(read.groups, made)
    assert [str(one) for one in validate(data_set, sources=[SLIDE]) if one.severity == "error"] == []


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_highdicom_reads_the_same_coordinates_and_numbers(data: st.DataObject) -> None:
    made = data.draw(groups(2))
    again = highdicom.ann.MicroscopyBulkSimpleAnnotations.from_dataset(written(made))
    (read,) = again.get_annotation_groups()
    assert (read.label, read.uid, read.graphic_type.value.lower()) == (made.label, made.uid, str(made.kind))
    coordinates = read.get_graphic_data("2D")
    assert len(coordinates) == len(made)
    for number, points in enumerate(coordinates):
        assert np.array_equal(np.reshape(points, (-1, 2)), made.points_of(number))
    for one in made.measurements:
        concept = highdicom.sr.CodedConcept(one.name.value, one.name.scheme, one.name.meaning)
        names, values, units = read.get_measurements(name=concept)
        assert np.array_equal(values[:, 0], one.values, equal_nan=True)
        assert (len(names), units[0].value) == (1, one.unit.value)


def marks(*shapes: Shape, **more: Any) -> Finding:
    return replace(Finding("Mitoses", "2.25.7", ABNORMAL, NODULE, LUNG, LEFT, shapes=shapes), **more)


def point_at(column: float, row: float) -> Shape:
    return Shape(ShapeKind.POINT, ((column, row),), WHOLE)


def back(*findings: Finding, by_class: bool = False) -> tuple[Finding, ...]:
    data_set = written(*groups_of_findings(findings, by_class=by_class))
    return findings_of_groups(read_bulk_annotations(data_set))


def test_finding_of_many_points_comes_back_whole() -> None:
    shapes = tuple(point_at(number / 4, 7.25) for number in range(2000))
    made = marks(
        *shapes,
        measurements=tuple(Measurement(AREA, number / 2, MM, shape) for number, shape in enumerate(shapes[::2])),
        confidence=0.873,
        comment="Counted twice",
        colour=(0, 128, 255),
    )
    (read,) = back(made)
    assert all(getattr(read, one.name) == getattr(made, one.name) for one in fields(Finding))


def test_coordinates_that_single_precision_cannot_say_are_double() -> None:
    (read,) = back(marks(point_at(1000.1, 2000.2)))
    assert read.shapes == (point_at(1000.1, 2000.2),)
    (exact,) = groups_of_findings([marks(point_at(1000.5, 2000.25))])
    assert exact.points.dtype == np.float32


def test_kinds_of_one_finding_are_groups_of_their_own() -> None:
    polygon = Shape(ShapeKind.POLYGON, ((1, 1), (5, 1), (5, 5)), WHOLE)
    made = groups_of_findings([marks(point_at(1, 2), polygon, point_at(1, 2))])
    assert [(one.kind, len(one)) for one in made] == [(ShapeKind.POINT, 2), (ShapeKind.POLYGON, 1)]
    assert made[0].uid == "2.25.7"
    assert made[0].uid != made[1].uid
    assert made[1].uid == groups_of_findings([marks(point_at(1, 2), polygon)])[1].uid


def test_findings_of_one_class_are_put_together() -> None:
    cells = [
        marks(point_at(number, number), label=f"Cell {number}", tracking_uid=f"2.25.1{number}", confidence=number / 100)
        for number in range(50)
    ]
    other = marks(point_at(3, 3), type=ABNORMAL, tracking_uid="2.25.99")
    read = back(*cells, other, by_class=True)
    assert [(one.label, len(one.shapes)) for one in read] == [
        ("Nodule, Left", 50),
        ("Morphologically Abnormal Structure, Left", 1),
    ]
    assert [one.value for one in read[0].measurements] == pytest.approx([float(number) for number in range(50)])


def test_circle_becomes_the_ellipse_that_it_is() -> None:
    (read,) = back(marks(Shape(ShapeKind.CIRCLE, ((50, 60), (53, 64)), WHOLE)))
    assert read.shapes == (Shape(ShapeKind.ELLIPSE, ((45, 60), (55, 60), (50, 55), (50, 65)), WHOLE),)


def test_frame_of_the_tiles_is_a_place_of_its_own() -> None:
    tile = replace(WHOLE, frames=(7,))
    data_set = written(group(), place=tile)
    assert data_set.PixelOriginInterpretation == "FRAME"
    assert read_bulk_annotations(data_set).place == tile


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: group(label="Left\\right"), "without a backslash"),
        (lambda: group(points=((1, float("nan")),)), "coordinate that is no number"),
        (lambda: group(points=np.zeros((0, 2))), "holds no annotation"),
        (lambda: group(ShapeKind.RECTANGLE, ((1, 1), (2, 2), (3, 3))), "has 3 points, and a rectangle has 4"),
        (lambda: group(ShapeKind.POLYGON, ((1, 1), (2, 2)), starts=np.array([0])), "a polygon has 3 or more"),
        (lambda: group(ShapeKind.BOX, ((1, 1),), starts=np.array([0])), "no kind of bulk annotation"),
        (lambda: group(points=(1, 2)), "two or three coordinates"),
        (lambda: group(ShapeKind.POLYLINE, ((1, 1), (2, 2)), starts=np.array([1])), "begin with the first point"),
        (lambda: group(measurements=(GroupMeasurement(AREA, MM, np.zeros(3, "f4")),)), "3 values for 2"),
        (
            lambda: group(measurements=(GroupMeasurement(AREA, MM, np.full(2, np.nan, "f4")),)),
            "no annotation has a value",
        ),
        (lambda: written(group(points=((5000.5, 2),))), "lies outside the image of 5000 columns"),
        (written, "no group"),
        (lambda: written(group(points=((1, 2, 3),))), "two coordinates"),
        (lambda: written(group(), place=replace(WHOLE, sop_instance_uid="2.25.1")), "another image"),
        (lambda: written(group(), place=replace(WHOLE, frames=(1, 2))), "one frame"),
        (lambda: written(group(points=((1, 2, 3),)), place=PatientPlace("2.25.1")), "another Frame of Reference"),
        (lambda: back(marks()), "nothing is drawn"),
        (lambda: back(marks(mask=Mask(np.ones((1, 1, 1), dtype=bool)))), "write a segmentation"),
        (lambda: back(marks(Shape(ShapeKind.FRAMES, (), WHOLE))), "write a report"),
        (lambda: back(marks(point_at(1, 1), point_at(2, 2), measurements=(Measurement(AREA, 1, MM),))), "no one shape"),
    ],
)
def test_what_bulk_annotations_cannot_hold_is_refused(made: Any, told: str) -> None:
    with pytest.raises(ObjectInvalid, match=told):
        made()


def test_image_without_tiles_is_refused() -> None:
    plain = slide()
    del plain.TotalPixelMatrixColumns
    with pytest.raises(ObjectInvalid, match="tiled microscopy"):
        write_bulk_annotations(BulkAnnotations(READER, WHOLE, (group(),)), "Mitoses", plain, context())


def _spoil(keyword: str, value: Any) -> Any:
    return lambda item: setattr(item, keyword, value)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_spoil("PointCoordinatesData", b"\0" * 12), "no whole points"),
        (_spoil("PointCoordinatesData", b""), "no whole points"),
        (_spoil("LongPrimitivePointIndexList", np.array([1, 900], "<u4").tobytes()), "points at no points"),
        (_spoil("LongPrimitivePointIndexList", b""), "points at no points"),
        (_spoil("NumberOfAnnotations", 9), "Number of Annotations"),
        (_spoil("GraphicType", "STAR"), "Graphic Type"),
        (_spoil("AnnotationPropertyTypeCodeSequence", []), "what it marks"),
        (lambda item: setattr(item.MeasurementsSequence[0], "MeasurementValuesSequence", []), "without name"),
        (
            lambda item: setattr(
                item.MeasurementsSequence[0].MeasurementValuesSequence[0],
                "AnnotationIndexList",
                np.array([1, 9], "<u4").tobytes(),
            ),
            "that are not there",
        ),
    ],
)
def test_broken_object_is_refused_in_words(spoil: Any, told: str) -> None:
    lines = group(
        ShapeKind.POLYLINE,
        ((1, 1), (2, 2), (3, 3), (4, 4)),
        starts=np.array([0, 2]),
        measurements=(GroupMeasurement(AREA, MM, np.array([1, 2], "f4")),),
    )
    data_set = written(lines)
    spoil(data_set.AnnotationGroupSequence[0])
    with pytest.raises(ObjectInvalid, match=told):
        read_bulk_annotations(data_set)


def test_object_of_another_class_is_refused() -> None:
    with pytest.raises(ObjectInvalid, match="of that class"):
        read_bulk_annotations(SLIDE)


def test_backslash_of_a_label_is_written_as_a_slash() -> None:
    assert [one.label for one in back(marks(point_at(1, 1), label="Left\\right"))] == ["Left/right"]

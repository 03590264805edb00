"""Presentation states show what was drawn and measured, where it was."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    ColorSoftcopyPresentationStateStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    VLEndoscopicImageStorage,
)

from service.core.annotations import AnnotationSet, Answer, Outcome, PersonObserver
from service.core.findings import Finding, Mask, Measurement
from service.core.geometry import ImagePlace, Shape, ShapeKind, box, frames, line, point, polygon, rectangle
from service.errors import ObjectInvalid
from service.objects.presentation_state import write_presentation_states
from service.objects.source_images import SourceImages
from service.objects.validation import validate
from service.web.dicomweb.presentation_state import present
from tests.annotated_images import LENGTH, SOURCES, annotation_sets, flat_image, slide
from tests.datasets import ct_slice
from tests.unit.test_dicomweb_rendering import frame
from tests.volumes import ABNORMAL, ALGORITHM, LEFT, MM, NODULE, ct_sources, nodule, pet_volume
from tests.written_results import axial, context

READER = PersonObserver("Reader^First", "reader1", "Clinic")


def place_on(header: Dataset, *numbers: int) -> ImagePlace:
    return ImagePlace(str(header.SOPClassUID), str(header.SOPInstanceUID), numbers)


def found(*shapes: Shape, **more: object) -> Finding:
    return replace(Finding("Nodule 1", "2.25.7", ABNORMAL, NODULE, shapes=shapes), **more)


def shown_by(sources: SourceImages, *readings: AnnotationSet) -> list[Dataset]:
    states = []
    for state in write_presentation_states(readings, "Reading", sources, context()):
        buffer = BytesIO()
        state.save_as(buffer, enforce_file_format=True)
        buffer.seek(0)
        states.append(dcmread(buffer))
    return states


def graphics_in(state: Dataset) -> list[Dataset]:
    return [one for item in state.GraphicAnnotationSequence for one in item.get("GraphicObjectSequence", ())]


def texts_in(state: Dataset) -> list[str]:
    return [
        str(one.UnformattedTextValue)
        for item in state.GraphicAnnotationSequence
        for one in item.get("TextObjectSequence", ())
    ]


def test_length_is_drawn_and_told_beside_it() -> None:
    slices = ct_sources(4)
    drawn = Shape(ShapeKind.LINE, ((2.0, 3.0), (10.0, 3.0)), place_on(slices[2]))
    made = AnnotationSet(READER, (found(measurements=(Measurement(LENGTH, 8.4, MM, drawn),)),))
    (state,) = shown_by(SourceImages.of_images(slices), made)
    (item,) = state.GraphicAnnotationSequence
    assert item.ReferencedImageSequence[0].ReferencedSOPInstanceUID == slices[2].SOPInstanceUID
    (graphic,) = item.GraphicObjectSequence
    assert (graphic.GraphicType, list(graphic.GraphicData)) == ("POLYLINE", [2, 3, 10, 3])
    (text,) = item.TextObjectSequence
    assert (text.UnformattedTextValue, list(text.AnchorPoint)) == ("Nodule 1  8.4 mm", [12, 3])


@pytest.mark.parametrize(
    ("kind", "points", "graphic", "numbers"),
    [
        (ShapeKind.POINT, ((2, 3),), "POINT", [2, 3]),
        (ShapeKind.POLYLINE, ((2, 3), (4, 3), (4, 8)), "POLYLINE", [2, 3, 4, 3, 4, 8]),
        (ShapeKind.POLYGON, ((2, 3), (4, 3), (4, 8)), "POLYLINE", [2, 3, 4, 3, 4, 8, 2, 3]),
        (ShapeKind.CIRCLE, ((5, 5), (5, 8)), "CIRCLE", [5, 5, 5, 8]),
        (ShapeKind.ELLIPSE, ((1, 5), (9, 5), (5, 3), (5, 7)), "ELLIPSE", [1, 5, 9, 5, 5, 3, 5, 7]),
    ],
)
def test_kind_of_shape_has_its_graphic_type(
    kind: ShapeKind, points: tuple[tuple[float, ...], ...], graphic: str, numbers: list[float]
) -> None:
    (image,) = SOURCES["radiograph"]()
    (state,) = shown_by(
        SourceImages.of_images([image]), AnnotationSet(READER, (found(Shape(kind, points, place_on(image))),))
    )
    (drawn,) = graphics_in(state)
    assert (drawn.GraphicType, list(drawn.GraphicData)) == (graphic, numbers)
    assert drawn.get("GraphicFilled") == (None if graphic == "POINT" or kind is ShapeKind.POLYLINE else "N")


def test_keypoints_keep_their_names_and_skeleton() -> None:
    (image,) = SOURCES["radiograph"]()
    shape = Shape(
        ShapeKind.KEYPOINTS, ((1, 1), (5, 5), (9, 9)), place_on(image), ("Hip", "Knee", "Ankle"), ((0, 1), (1, 2))
    )
    (state,) = shown_by(SourceImages.of_images([image]), AnnotationSet(READER, (found(shape),)))
    assert [one.GraphicType for one in graphics_in(state)] == ["POINT"] * 3 + ["POLYLINE"] * 2
    assert texts_in(state) == ["Nodule 1", "Hip", "Knee", "Ankle"]


def test_mask_is_drawn_as_its_outline_on_each_of_its_slices() -> None:
    volume = axial()
    voxels = np.zeros(volume.shape, dtype=bool)
    voxels[2:5, 4:8, 5:11] = True
    made = AnnotationSet(ALGORITHM, (found(mask=Mask.cut_from(voxels)),))
    (state,) = shown_by(SourceImages.of_volume(volume), made)
    named = [item.ReferencedImageSequence[0].ReferencedSOPInstanceUID for item in state.GraphicAnnotationSequence]
    assert named == [one.SOPInstanceUID for one in volume.sources[2:5]]
    for drawn in graphics_in(state):
        corners = {tuple(pair) for pair in np.reshape(drawn.GraphicData, (-1, 2)).tolist()}
        assert corners == {(5, 4), (11, 4), (11, 8), (5, 8)}


def test_outline_too_long_for_one_graphic_goes_on_in_another() -> None:
    (image,) = SOURCES["radiograph"]()
    points = tuple((float(number % 16), number / 1000) for number in range(16001))
    (state,) = shown_by(
        SourceImages.of_images([image]),
        AnnotationSet(READER, (found(Shape(ShapeKind.POLYLINE, points, place_on(image))),)),
    )
    parts = [np.reshape(one.GraphicData, (-1, 2)) for one in graphics_in(state)]
    again = np.vstack([parts[0], *(part[1:] for part in parts[1:])])
    assert np.allclose(again, points)
    assert all(np.array_equal(before[-1], after[0]) for before, after in pairwise(parts))


def test_box_is_drawn_on_the_slices_that_cut_it() -> None:
    slices = ct_sources(8)
    (state,) = shown_by(
        SourceImages.of_images(slices), AnnotationSet(READER, (found(box((-48, -47, 5), (-44, -42, 9))),))
    )
    assert len(graphics_in(state)) == 2
    corners = {tuple(pair) for pair in np.reshape(graphics_in(state)[0].GraphicData, (-1, 2)).tolist()}
    assert corners == {(2.5, 3.5), (6.5, 3.5), (6.5, 8.5), (2.5, 8.5)}


def test_line_that_leaves_its_slice_says_that_it_is_projected() -> None:
    slices = ct_sources(8)
    (state,) = shown_by(
        SourceImages.of_images(slices), AnnotationSet(READER, (found(line((-48, -48, 4), (-40, -40, 12))),))
    )
    assert texts_in(state) == ["Nodule 1 (projected)"]
    (item,) = state.GraphicAnnotationSequence
    assert item.ReferencedImageSequence[0].ReferencedSOPInstanceUID == slices[3].SOPInstanceUID


def test_each_author_has_a_layer() -> None:
    slices = ct_sources(2)
    mark = found(point((3, 3), place_on(slices[0])))
    other = PersonObserver("Reader^Second")
    (state,) = shown_by(
        SourceImages.of_images(slices),
        AnnotationSet(READER, (mark,)),
        AnnotationSet(other, (mark,)),
        AnnotationSet(other),
    )
    layers = [
        (one.GraphicLayer, one.GraphicLayerOrder, one.GraphicLayerDescription) for one in state.GraphicLayerSequence
    ]
    assert layers == [("FIRST_READER", 1, "First Reader"), ("SECOND_READER", 2, "Second Reader")]
    assert [one.GraphicLayer for one in state.GraphicAnnotationSequence] == ["FIRST_READER", "SECOND_READER"]


def test_result_of_a_demonstrator_says_so_on_every_image() -> None:
    volume = axial()
    (state,) = shown_by(SourceImages.of_volume(volume), AnnotationSet(ALGORITHM, (nodule(volume),)))
    for item in state.GraphicAnnotationSequence:
        assert item.TextObjectSequence[0].UnformattedTextValue == "NOT FOR DIAGNOSIS"


def test_answers_and_whole_images_are_told_at_the_top() -> None:
    (cine,) = SOURCES["ultrasound cine"]()
    made = AnnotationSet(READER, (found(frames(place_on(cine, 4, 5))),), (Answer(NODULE, LEFT, place_on(cine, 5)),))
    (state,) = shown_by(SourceImages.of_images([cine]), made)
    assert texts_in(state) == ["Nodule 1", "Nodule 1\r\nNodule: Left"]
    assert list(state.ReferencedSeriesSequence[0].ReferencedImageSequence[0].ReferencedFrameNumber) == [4, 5]


def test_image_is_shown_with_its_own_window_and_rescale() -> None:
    slices = ct_sources(3)
    for number, one in enumerate(slices):
        one.WindowCenter, one.WindowWidth = [40 + 10 * (number // 2), -600], [400, 1500]
        one.RescaleIntercept = -1024
    made = AnnotationSet(READER, (found(*(point((3, 3), place_on(one)) for one in slices)),))
    (state,) = shown_by(SourceImages.of_images(slices), made)
    windows = [(one.WindowCenter, len(one.ReferencedImageSequence)) for one in state.SoftcopyVOILUTSequence]
    assert windows == [(40, 2), (50, 1)]
    assert (state.RescaleIntercept, state.PresentationLUTShape) == (-1024, "IDENTITY")


def test_slices_rescaled_each_in_its_own_way_have_a_state_each() -> None:
    volume = pet_volume(4)
    for number, one in enumerate(volume.sources, start=1):
        one.RescaleSlope = 0.5 * number
    marks = [point((3, 3), place_on(one)) for one in volume.sources[:3]]
    states = shown_by(SourceImages.of_volume(volume), AnnotationSet(READER, (found(*marks),)))
    assert [(one.RescaleSlope, one.InstanceNumber) for one in states] == [(0.5, 1), (1.0, 2), (1.5, 3)]
    assert len({one.SeriesInstanceUID for one in states}) == 1


def test_monochrome1_stays_as_bright_as_it_was() -> None:
    (image,) = SOURCES["radiograph"]()
    image.PhotometricInterpretation = "MONOCHROME1"
    (state,) = shown_by(
        SourceImages.of_images([image]), AnnotationSet(READER, (found(point((1, 1), place_on(image))),))
    )
    assert state.PresentationLUTShape == "INVERSE"


def test_colour_image_has_a_color_state_with_its_profile() -> None:
    image = flat_image(VLEndoscopicImageStorage, "ES", SamplesPerPixel=3, PhotometricInterpretation="RGB")
    made = AnnotationSet(READER, (found(point((1, 1), place_on(image))),))
    (state,) = shown_by(SourceImages.of_images([image]), made)
    assert state.SOPClassUID == ColorSoftcopyPresentationStateStorage
    assert state.ICCProfile[36:40] == b"acsp"
    assert "PresentationLUTShape" not in state
    image.ICCProfile = b"own profile!"
    assert shown_by(SourceImages.of_images([image]), made)[0].ICCProfile == b"own profile!"


def test_reading_without_a_mark_on_an_image_has_no_state() -> None:
    made = AnnotationSet(READER, outcome=Outcome.NO_FINDING)
    assert shown_by(SourceImages.of_images(ct_sources(2)), made) == []


def test_no_reading_at_all_is_refused() -> None:
    with pytest.raises(ObjectInvalid, match="a reading at least"):
        shown_by(SourceImages.of_images(ct_sources(2)))


@pytest.mark.parametrize("kind", SOURCES)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_point_that_was_drawn_is_shown_and_no_rule_broken(kind: str, data: st.DataObject) -> None:
    sources = SourceImages.of_images(SOURCES[kind]())
    made = data.draw(annotation_sets(sources))
    shapes = [
        (one, shape)
        for one in made.findings
        for shape in (*one.shapes, *(number.shape for number in one.measurements if number.shape is not None))
    ]
    made = replace(made, findings=tuple(one for one in made.findings if all(s.on_image for f, s in shapes if f is one)))
    states = shown_by(sources, made)
    drawn = {
        (item.ReferencedImageSequence[0].ReferencedSOPInstanceUID, *pair)
        for state in states
        for item in state.GraphicAnnotationSequence
        for one in item.get("GraphicObjectSequence", ())
        for pair in np.reshape(one.GraphicData, (-1, 2)).tolist()
    }
    expected = {
        (shape.on_image.sop_instance_uid, *pair)
        for one, shape in shapes
        if shape.on_image and one in made.findings
        for pair in shape.points
    }
    assert expected <= drawn
    for state in states:
        colour = kind == "slide"
        assert state.SOPClassUID == (
            ColorSoftcopyPresentationStateStorage if colour else GrayscaleSoftcopyPresentationStateStorage
        )
        assert [str(one) for one in validate(state, sources=sources.headers) if one.severity == "error"] == []
        for item in state.GraphicAnnotationSequence:
            for text in item.get("TextObjectSequence", ()):
                at = text.get("AnchorPoint", (1, 1))
                assert 0 < at[0] < sources.headers[0].Columns
                assert 0 < at[1] < sources.headers[0].Rows


def test_graphic_of_a_rectangle_is_closed() -> None:
    (image,) = SOURCES["radiograph"]()
    made = AnnotationSet(
        READER, (found(rectangle(2, 3, 9, 8, place_on(image)), polygon([(1, 1), (2, 1), (2, 2)], place_on(image))),)
    )
    (state,) = shown_by(SourceImages.of_images([image]), made)
    assert all(list(one.GraphicData[:2]) == list(one.GraphicData[-2:]) for one in graphics_in(state))


def test_contour_appears_where_it_was_drawn_in_the_rendered_image() -> None:
    image = ct_slice(1, rows=64, columns=64)
    image.WindowCenter, image.WindowWidth = 50, 100
    mark = found(rectangle(20, 10, 50, 40, place_on(image)))
    (state,) = shown_by(SourceImages.of_images([image]), AnnotationSet(READER, (mark,)))
    shown = present(frame(np.zeros((64, 64), dtype=np.int16), bits_stored=16, signed=True), image, state, 1).pixels
    assert (shown[10:41, 20] == 255).all()
    assert (shown[25:41, 50] == 255).all()
    assert (shown[40, 20:51] == 255).all()
    assert not shown[20:38, 22:48].any()


def test_mark_on_a_slide_as_a_whole_lies_in_its_matrix_of_tiles() -> None:
    image = slide()
    (state,) = shown_by(
        SourceImages.of_images([image]),
        AnnotationSet(READER, (found(rectangle(4000, 10, 4900, 800, place_on(image))),)),
    )
    assert [one.GraphicAnnotationUnits for one in graphics_in(state)] == ["MATRIX"]
    (area,) = state.DisplayedAreaSelectionSequence
    assert list(area.DisplayedAreaBottomRightHandCorner) == [5000, 3000]
    assert area.PixelOriginInterpretation == "VOLUME"

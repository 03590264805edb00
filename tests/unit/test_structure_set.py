"""Findings become an RT Structure Set and come back; what cannot be read is refused in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydicom.dataset import Dataset

from service.core.annotations import AnnotationSet
from service.core.contour_masks import fill_contours
from service.core.geometry import ImagePlace, PatientPlace, Shape, ShapeKind, box, line, point, polygon
from service.errors import ObjectInvalid
from service.objects.source_images import SourceImages
from service.objects.structure_set import write_structure_set
from service.objects.structure_set_reader import read_structure_set, region_of
from service.objects.validation import validate
from tests.annotated_images import SOURCES
from tests.structure_sets import READER, as_read, finding, marked, written
from tests.volumes import ALGORITHM, ball, ct_sources, nodule, organ, volume_of
from tests.written_results import VOLUMES, axial, context

REGIONS = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.bool_, shape).filter(lambda region: bool(region.any()))
)
CORNERS = ((1.5, 1.25), (9.5, 2.0), (7.0, 12.75), (2.0, 11.0))


def on_slice(sources: SourceImages, number: int = 3) -> ImagePlace:
    plane = sources.planes[number]
    frames = () if plane.frame_number is None else (plane.frame_number,)
    return ImagePlace(plane.sop_class_uid, plane.sop_instance_uid, frames)


def read_back(sources: SourceImages, *shapes: Shape) -> tuple[Shape, ...]:
    (back,) = read_structure_set(as_read(written(sources, finding(*shapes)).data_set)).annotations.findings
    return back.shapes


@pytest.mark.parametrize("name", VOLUMES)
@settings(max_examples=20, deadline=None)
@given(region=REGIONS)
def test_mask_comes_back_voxel_for_voxel(name: str, region: npt.NDArray[np.bool_]) -> None:
    volume = VOLUMES[name]()
    made = marked(volume, region)
    assert made.mask is not None
    sources = SourceImages.of_volume(volume)
    (back,) = read_structure_set(as_read(written(sources, made).data_set)).annotations.findings
    filled = region_of(back, volume)
    assert np.array_equal(filled.mask.into(volume.shape), made.mask.into(volume.shape))
    assert [remark for remark in filled.remarks if "no contour" not in remark] == []


def test_hole_is_part_of_the_one_contour_of_its_piece() -> None:
    ring = np.ones((1, 5, 5), dtype=bool)
    ring[0, 2, 2] = False
    volume = axial()
    data_set = written(SourceImages.of_volume(volume), marked(volume, ring)).data_set
    (contour,) = data_set.ROIContourSequence[0].ContourSequence
    assert contour.ContourGeometricType == "CLOSED_PLANAR"


@pytest.mark.parametrize("name", VOLUMES)
def test_contour_names_the_image_that_it_lies_on(name: str) -> None:
    volume = VOLUMES[name]()
    sources = SourceImages.of_volume(volume)
    data_set = written(sources, replace(nodule(volume), mask=ball(volume, (3, 6, 7), 0))).data_set
    (contour,) = data_set.ROIContourSequence[0].ContourSequence
    (image,) = contour.ContourImageSequence
    assert image.ReferencedSOPInstanceUID == sources.planes[3].sop_instance_uid
    assert image.get("ReferencedFrameNumber") == sources.planes[3].frame_number


@pytest.mark.parametrize("name", VOLUMES)
def test_nothing_that_is_written_breaks_a_rule(name: str) -> None:
    volume = VOLUMES[name]()
    sources = SourceImages.of_volume(volume)
    drawn = finding(polygon(CORNERS, on_slice(sources)), point((3.0, 4.0), on_slice(sources)))
    data_set = as_read(written(sources, nodule(volume), organ(volume), drawn, author=ALGORITHM).data_set)
    assert [str(problem) for problem in validate(data_set, sources=sources.headers)] == []


@pytest.mark.parametrize("kind", ["CT slices", "enhanced CT"])
@pytest.mark.parametrize("shape_kind", [ShapeKind.POLYGON, ShapeKind.FREEHAND, ShapeKind.RECTANGLE])
def test_closed_contour_comes_back_where_it_lies_in_the_patient(kind: str, shape_kind: ShapeKind) -> None:
    sources = SourceImages.of_images(SOURCES[kind]())
    shape = Shape(shape_kind, CORNERS, on_slice(sources))
    (back,) = read_back(sources, shape)
    assert back.kind is ShapeKind.POLYGON
    assert back.place == PatientPlace(sources.frame_of_reference_uid)
    assert np.allclose(back.points, sources.to_patient(shape).points, atol=1e-9)


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        (ShapeKind.CIRCLE, ((8.0, 8.0), (13.0, 8.0))),
        (ShapeKind.ELLIPSE, ((3.0, 8.0), (13.0, 8.0), (8.0, 3.0), (8.0, 13.0))),
    ],
)
def test_round_shape_becomes_a_polygon_of_its_size(kind: ShapeKind, points: tuple[tuple[float, float], ...]) -> None:
    sources = SourceImages.of_images(ct_sources(8))
    (back,) = read_back(sources, Shape(kind, points, on_slice(sources)))
    corners = np.array(back.points)
    radii = np.linalg.norm(corners - corners.mean(axis=0), axis=1)
    assert radii == pytest.approx(5.0)
    x, y, _ = corners.T
    assert abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2 == pytest.approx(np.pi * 25, rel=5e-4)


def test_circle_in_the_patient_lies_in_its_slice() -> None:
    sources = SourceImages.of_images(ct_sources(8))
    centre = np.array(sources.planes[3].to_patient([(8.0, 8.0)])[0])
    circle = Shape(ShapeKind.CIRCLE, (tuple(centre), tuple(centre + np.array([0, 4, 0]))), PatientPlace())
    (back,) = read_back(sources, circle)
    assert np.linalg.norm(np.array(back.points) - centre, axis=1) == pytest.approx(4.0)
    assert {z for _, _, z in back.points} == {centre[2]}


def test_points_and_lines_come_back_as_such() -> None:
    sources = SourceImages.of_images(ct_sources(8))
    place = on_slice(sources)
    shapes = (point((3.0, 4.0), place), line((1.0, 1.0), (5.0, 6.0), place), Shape(ShapeKind.POLYLINE, CORNERS, place))
    found = read_structure_set(as_read(written(sources, finding(*shapes)).data_set)).annotations.findings
    assert [[shape.kind for shape in one.shapes] for one in found] == [
        [ShapeKind.LINE, ShapeKind.POLYLINE],
        [ShapeKind.POINT],
    ]
    assert [one.label for one in found] == ["Mark", "Mark (points)"]
    assert {one.tracking_uid for one in found} == {"2.25.7"}


def test_box_becomes_its_cuts_by_the_slices() -> None:
    volume = axial()
    low, high = volume.to_patient([(1.5, 2.5, 3.5), (4.5, 8.5, 10.5)]).tolist()
    shapes = read_back(SourceImages.of_volume(volume), box(low, high))
    assert len(shapes) == 3
    filled = region_of(finding(*shapes), volume).mask
    assert (filled.origin, filled.voxels.shape) == ((2, 3, 4), (3, 6, 7))


def test_what_a_finding_is_comes_back() -> None:
    volume = axial()
    made = finding(mask=ball(volume, (3, 6, 7)))
    (back,) = read_structure_set(as_read(written(SourceImages.of_volume(volume), made).data_set)).annotations.findings
    for said in ("label", "tracking_uid", "category", "type", "site", "laterality", "colour", "comment"):
        assert getattr(back, said) == getattr(made, said), said


def test_side_of_a_finding_without_site_comes_back() -> None:
    volume = axial()
    (back,) = read_structure_set(
        as_read(written(SourceImages.of_volume(volume), organ(volume)).data_set)
    ).annotations.findings
    assert back.laterality == organ(volume).laterality
    assert back.category == organ(volume).category


@pytest.mark.parametrize("author", [READER, ALGORITHM])
def test_author_is_known_from_the_object(author: object) -> None:
    volume = axial()
    data_set = as_read(written(SourceImages.of_volume(volume), nodule(volume), author=author).data_set)
    back = read_structure_set(data_set).annotations.author
    assert back == (replace(READER, login="", organization="") if author is READER else ALGORITHM)
    assert data_set.StructureSetROISequence[0].ROIGenerationAlgorithm == ("MANUAL" if author is READER else "AUTOMATIC")


def test_what_no_contour_can_be_is_said() -> None:
    sources = SourceImages.of_images(ct_sources(8))
    place = on_slice(sources)
    angle = Shape(ShapeKind.ANGLE, CORNERS[:3], place)
    askew = polygon([(0, 0, 0), (5, 0, 0), (5, 5, 5), (0, 5, 0)])
    told = written(sources, finding(point((3.0, 4.0), place), angle, askew))
    assert told.left_out == ("Mark: angle", "Mark: polygon")


def test_structure_set_can_be_saved_in_another_transfer_syntax() -> None:
    volume = axial()
    data_set = written(SourceImages.of_volume(volume), nodule(volume)).data_set
    data_set.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    (back,) = read_structure_set(as_read(data_set)).annotations.findings
    mask = nodule(volume).mask
    assert mask is not None
    assert np.array_equal(region_of(back, volume).mask.into(volume.shape), mask.into(volume.shape))


def test_region_with_more_coordinates_than_explicit_vr_holds_comes_back() -> None:
    volume = volume_of(ct_sources(2, rows=160, columns=160))
    comb = np.ones((1, 159, 160), dtype=bool)
    comb[0, 1:, 1::2] = np.arange(158)[:, None] % 2 == 0
    made = marked(volume, comb)
    data_set = as_read(written(SourceImages.of_volume(volume), made).data_set)
    assert data_set.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2"
    (back,) = read_structure_set(data_set).annotations.findings
    assert np.array_equal(region_of(back, volume).mask.into(volume.shape), made.mask.into(volume.shape))


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (lambda: written(SourceImages.of_images(SOURCES["radiograph"]()), finding()), "write a report"),
        (lambda: written(SourceImages.of_images(ct_sources(8)), finding()), "nothing of this can be a contour"),
        (lambda: written(SourceImages.of_images(ct_sources(8)), nodule(axial())), "needs the volume"),
        (
            lambda: written(
                SourceImages.of_images(ct_sources(8)), finding(point((1.0, 2.0, 3.0), PatientPlace("2.25.1")))
            ),
            "another Frame of Reference",
        ),
        (
            lambda: written(
                SourceImages.of_images(ct_sources(8)), finding(point((1.0, 2.0), ImagePlace("1.2", "1.3")))
            ),
            "not of its series",
        ),
    ],
)
def test_what_cannot_be_written_is_refused(refused: Callable[[], object], words: str) -> None:
    with pytest.raises(ObjectInvalid, match=words):
        refused()


def a_structure_set() -> Dataset:
    volume = axial()
    return as_read(written(SourceImages.of_volume(volume), nodule(volume)).data_set)


def first_contour(data_set: Dataset) -> Dataset:
    contour: Dataset = data_set.ROIContourSequence[0].ContourSequence[0]
    return contour


def cut_to_two_points(data_set: Dataset) -> None:
    first_contour(data_set).ContourData = ["1", "2", "3", "4", "5", "6"]
    first_contour(data_set).NumberOfContourPoints = 2


def without_a_coordinate(data_set: Dataset) -> None:
    del first_contour(data_set).ContourData[-1]


def of_unknown_type(data_set: Dataset) -> None:
    first_contour(data_set).ContourGeometricType = "SPLINE"


def without_observation(data_set: Dataset) -> None:
    data_set.RTROIObservationsSequence = []


def with_contours_of_nobody(data_set: Dataset) -> None:
    data_set.ROIContourSequence[0].ReferencedROINumber = 9


def with_a_number_twice(data_set: Dataset) -> None:
    data_set.StructureSetROISequence.append(data_set.StructureSetROISequence[0])


def without_rois(data_set: Dataset) -> None:
    data_set.StructureSetROISequence = []


def of_another_class(data_set: Dataset) -> None:
    data_set.SOPClassUID = "1.2.840.10008.5.1.4.1.1.481.5"


@pytest.mark.parametrize(
    ("breaking", "words"),
    [
        (cut_to_two_points, "contour 1 of ROI 1: 2 points make no CLOSED_PLANAR contour"),
        (without_a_coordinate, "coordinates do not make"),
        (of_unknown_type, "Contour Geometric Type is none of CLOSED_PLANAR, CLOSEDPLANAR_XOR"),
        (without_observation, "ROI 1 has no item in RT ROI Observations"),
        (with_contours_of_nobody, "ROIContourSequence refers to ROI 9"),
        (with_a_number_twice, "used twice"),
        (without_rois, "has no ROI"),
        (of_another_class, "not an RT Structure Set"),
    ],
)
def test_broken_structure_set_is_refused_with_what_to_do(breaking: Callable[[Dataset], None], words: str) -> None:
    data_set = a_structure_set()
    breaking(data_set)
    with pytest.raises(ObjectInvalid, match=words):
        read_structure_set(data_set)


@pytest.mark.parametrize("text", [b"NaN", b"inf ", b"none"])
def test_coordinate_that_is_no_number_is_refused(text: bytes) -> None:
    made = written(SourceImages.of_volume(axial()), nodule(axial())).data_set
    element = first_contour(made).get_item("ContourData")
    first_contour(made)["ContourData"] = element._replace(value=text + b"\\" + element.value.partition(b"\\")[2])
    with pytest.raises(ObjectInvalid, match="contour 1 of ROI 1: a coordinate is no number"):
        read_structure_set(made)


def test_roi_without_contours_is_said_and_no_finding() -> None:
    data_set = a_structure_set()
    del data_set.ROIContourSequence[0].ContourSequence
    told = read_structure_set(data_set)
    assert told.annotations.findings == ()
    assert told.remarks == ("ROI 1 has no contour",)


def test_roi_of_another_maker_gets_a_tracking_uid_that_stays() -> None:
    data_set = a_structure_set()
    del data_set.RTROIObservationsSequence[0].TrackingUID
    (first,), (second,) = (read_structure_set(data_set).annotations.findings for _ in range(2))
    assert first.tracking_uid == second.tracking_uid
    assert first.tracking_uid.startswith("2.25.")


def test_conceptual_volume_of_another_maker_is_the_tracking_uid() -> None:
    data_set = a_structure_set()
    del data_set.RTROIObservationsSequence[0].TrackingUID
    concept = Dataset()
    concept.ConceptualVolumeUID = "2.25.99"
    data_set.StructureSetROISequence[0].ConceptualVolumeIdentificationSequence = [concept]
    (back,) = read_structure_set(data_set).annotations.findings
    assert back.tracking_uid == "2.25.99"


@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
def test_contour_within_a_contour_is_a_hole(kind: str) -> None:
    volume = axial()
    sources = SourceImages.of_volume(volume)
    place = on_slice(sources)
    squares = [Shape(ShapeKind.POLYGON, ((a, a), (b, a), (b, b), (a, b)), place) for a, b in ((2.0, 12.0), (5.0, 8.0))]
    data_set = as_read(written(sources, finding(*squares)).data_set)
    for contour in data_set.ROIContourSequence[0].ContourSequence:
        contour.ContourGeometricType = kind
    (back,) = read_structure_set(data_set).annotations.findings
    assert region_of(back, volume).mask.voxels.sum() == 10 * 10 - 3 * 3


def square_at(height_mm: float) -> npt.NDArray[np.float64]:
    """A square of 4 × 4 voxels of ``axial()``, whose slices are 2 mm apart from 2 mm on."""
    x, y, _ = axial().affine[:3, 3]
    corners = [(2.5, 2.5), (6.5, 2.5), (6.5, 6.5), (2.5, 6.5)]
    return np.array([(x + right, y + down, height_mm) for right, down in corners])


def test_contour_off_its_slice_counts_to_the_nearest_and_is_said() -> None:
    filled = fill_contours([square_at(6.6)], axial())
    assert (filled.mask.origin[0], filled.mask.voxels.sum()) == (2, 16)
    assert filled.remarks == ("1 contours lie up to 0.60 mm off a slice and count to the nearest one",)


def test_slices_without_contour_between_others_are_said() -> None:
    assert fill_contours([square_at(4.0), square_at(10.0)], axial()).remarks == (
        "2 slices between the first and the last have no contour",
    )


def test_contour_beyond_the_edge_is_cut_off_and_said() -> None:
    filled = fill_contours([square_at(6.0) - np.array([4.5, 0, 0])], axial())
    assert filled.mask.voxels.sum() == 2 * 4 + 4 - 4
    assert filled.remarks == ("1 contours reach beyond the images and are cut off there",)


@pytest.mark.parametrize(
    ("contours", "words"),
    [
        ([square_at(7.0)], "half way between two slices"),
        ([square_at(40.0)], "beyond the slices"),
        ([square_at(6.0) + np.array([[0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 1]])], "askew"),
        ([square_at(6.0), square_at(6.7)], "several planes fall on one slice"),
        ([square_at(6.0) * np.array([0.01, 0.01, 1.0])], "enclose no centre"),
    ],
)
def test_contours_that_do_not_fit_the_slices_are_refused(contours: list[npt.NDArray[np.float64]], words: str) -> None:
    with pytest.raises(ObjectInvalid, match=words):
        fill_contours(contours, axial())


def test_contours_of_another_frame_of_reference_are_not_filled() -> None:
    (back,) = read_structure_set(a_structure_set()).annotations.findings
    with pytest.raises(ObjectInvalid, match="another Frame of Reference"):
        region_of(back, replace(axial(), frame_of_reference_uid="2.25.1"))


def test_structure_set_of_a_verified_result_names_who_looked() -> None:
    volume = axial()
    looked = replace(context(), verified_by=READER)
    data_set = write_structure_set(
        AnnotationSet(ALGORITHM, (nodule(volume),)), "Lung nodules", SourceImages.of_volume(volume), looked
    ).data_set
    assert (data_set.ApprovalStatus, data_set.ReviewerName) == ("APPROVED", "Reader^First")

"""Contours, boxes and points lie on the slices where they were drawn, in the formats that have a place for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.core.findings import Finding, Measurement
from service.core.geometry import (
    ImagePlace,
    Point,
    ShapeKind,
    box,
    line,
    point,
    polygon,
    rectangle,
)
from service.core.geometry import Shape as Drawn
from service.core.volume_slices import VolumeSlices, open_volumes
from service.errors import FormatRefused
from service.formats.case import Case, LabelledFinding
from service.formats.coco_layout import CocoLayout
from service.formats.finding_shapes import PointsShape, PolygonShape, Shape, SlicePlanes, shapes_of
from service.formats.label_file import load_labels
from service.formats.layout import CaseFiles
from service.formats.pictures import Window, is_inverted, window_of
from service.formats.png_layout import PngLayout
from service.formats.staged_file import DatasetFolder
from service.formats.volume_layouts import NiftiLayout, NrrdLayout
from service.formats.voxel_types import ValuesBeyond, typed_slices, voxel_type
from service.formats.yolo_layout import YoloLayout
from tests.dataset_house import ct_series
from tests.volumes import LONG_AXIS, MM, MM3, OBLIQUE, VOLUME, enhanced_volume

LABELS = load_labels(Path(__file__).resolve().parents[2] / "config" / "labels" / "default.toml")
WAYS: dict[str, dict[str, Any]] = {
    "axial": {},
    "oblique": {"orientation": OBLIQUE, "step_mm": (0.96, -1.28, 1.2)},
    "tilted": {"step_mm": (0.0, 0.9, 2.5)},
}


def volume(way: str = "axial", **attributes: Any) -> VolumeSlices:
    sources = ct_series(**WAYS[way], **attributes)
    pixels = [np.frombuffer(one.PixelData, dtype="<i2").reshape(one.Rows, one.Columns) for one in sources]
    if attributes.get("PixelRepresentation") == 0:
        pixels = [one.view(np.uint16) for one in pixels]
    (opened,) = open_volumes(sources, lambda index: pixels[index]).volumes
    return opened


def finding(**drawn: Any) -> Finding:
    nodule = LABELS.named("nodule")
    return Finding("Nodule 1", "2.25.1", nodule.category, nodule.types[0], **drawn)


def patient(opened: VolumeSlices, number: int, *pixels: tuple[float, float]) -> tuple[Point, ...]:
    """Points of a slice, given as (column, row), in mm."""
    return SlicePlanes(opened).planes[number].to_patient(pixels)


def shapes(opened: VolumeSlices, *drawn: Drawn) -> list[tuple[int, Shape]]:
    return list(shapes_of(finding(shapes=drawn), None, SlicePlanes(opened)))


@pytest.mark.parametrize("way", WAYS)
def test_contour_lies_on_its_slice_pixel_by_pixel(way: str) -> None:
    opened = volume(way)
    corners = ((2.0, 3.0), (9.5, 3.25), (7.0, 11.0))
    ((number, shape),) = shapes(opened, polygon(patient(opened, 4, *corners)))
    assert isinstance(shape, PolygonShape)
    assert number == 4
    np.testing.assert_allclose(shape.points, corners, atol=1e-9)
    assert shape.area == pytest.approx(abs(7.5 * 8 - 0.25 * 5) / 2)


@pytest.mark.parametrize("way", WAYS)
def test_point_lies_on_its_slice(way: str) -> None:
    opened = volume(way)
    ((number, shape),) = shapes(opened, point(patient(opened, 2, (4.5, 6.25))[0]))
    assert isinstance(shape, PointsShape)
    assert number == 2
    np.testing.assert_allclose(shape.points, [(4.5, 6.25)], atol=1e-9)


def test_box_shows_on_every_slice_that_it_reaches() -> None:
    opened = volume()
    (low,), (high,) = patient(opened, 1, (2, 3)), patient(opened, 3, (6, 8))
    found = shapes(opened, box(low, high))
    assert [number for number, _ in found] == [1, 2, 3]
    for _, shape in found:
        np.testing.assert_allclose(shape.extent, (2, 3, 6, 8), atol=1e-9)


def test_flat_box_shows_on_its_slice() -> None:
    opened = volume()
    (low,), (high,) = patient(opened, 2, (2, 3)), patient(opened, 2, (6, 8))
    ((number, shape),) = shapes(opened, box(low, high))
    assert (number, getattr(shape, "is_box", None)) == (2, True)
    np.testing.assert_allclose(shape.extent, (2, 3, 6, 8), atol=1e-9)


@pytest.mark.parametrize(
    "drawn",
    [
        polygon(((0, 0, 900), (1, 0, 900), (0, 1, 900))),
        box((0, 0, 900), (5, 5, 905)),
        point((0, 0, 900)),
        rectangle(1, 1, 2, 2, ImagePlace("1.2", "1.2.3")),
        Drawn(ShapeKind.CIRCLE, ((0, 0, 900), (1, 0, 900))),
        Drawn(ShapeKind.ELLIPSOID, ((0, 0, 900), (4, 0, 900), (2, -1, 900), (2, 1, 900), (2, 0, 899), (2, 0, 901))),
    ],
    ids=lambda drawn: str(drawn.kind),
)
def test_region_beside_the_volume_is_refused(drawn: Drawn) -> None:
    with pytest.raises(FormatRefused, match="lies on no slice"):
        shapes(volume(), drawn)


def written(tmp_path: Path, layout: Any, opened: VolumeSlices, *findings: Finding) -> Any:
    labelled = tuple(LabelledFinding(one, LABELS.named("nodule"), "us") for one in findings)
    case = Case("case", "patient", "train", "1.2", "1.2.3", 0, "CT", opened, labelled)
    return layout(LABELS.labels).write(case, CaseFiles(DatasetFolder(tmp_path)))


def test_coco_has_a_place_for_each_kind_of_region(tmp_path: Path) -> None:
    opened = volume("oblique")
    outline = polygon(patient(opened, 1, (1, 1), (5, 1), (5.5, 6.25)))
    at = point(patient(opened, 1, (7.5, 8.5))[0])
    drawn = finding(shapes=(outline, at), confidence=0.25)
    (entry,) = written(tmp_path, CocoLayout, opened, drawn)["entries"]
    outlined, pointed = entry["annotations"]
    np.testing.assert_allclose(outlined["segmentation"], [[1, 1, 5, 1, 5.5, 6.25]], atol=1e-9)
    np.testing.assert_allclose(outlined["bbox"], [1, 1, 4.5, 5.25], atol=1e-9)
    assert (outlined["score"], outlined["annogate"]["kind"]) == (0.25, "polygon")
    np.testing.assert_allclose(pointed["points"]["at"][0][1:], [7.5, 8.5], atol=1e-9)
    assert (pointed["segmentation"], pointed["annogate"]["kind"]) == ([], "point")


def test_ellipsoid_shows_on_every_slice_that_cuts_it() -> None:
    opened = volume()
    (x, y, z), (_, _, below), (_, _, above) = (patient(opened, number, (8, 8))[0] for number in (2, 1, 3))
    reach = 1.25
    ends = [(x - 3, y, z), (x + 3, y, z), (x, y - 2, z), (x, y + 2, z)]
    ends += [(x, y, z + (below - z) * reach), (x, y, z + (above - z) * reach)]
    found = dict(shapes(opened, Drawn(ShapeKind.ELLIPSOID, tuple(ends))))
    assert sorted(found) == [1, 2, 3]
    np.testing.assert_allclose(found[2].extent, (8 - 3 / 0.7, 8 - 2 / 0.8, 8 + 3 / 0.7, 8 + 2 / 0.8), atol=1e-2)
    assert found[2].area == pytest.approx(np.pi * 3 / 0.7 * 2 / 0.8, rel=2e-3)
    # The cut at 1 of 1.25 half axes.
    assert found[1].area == pytest.approx(found[2].area * (1 - 0.8**2), rel=1e-6)


def test_small_ellipsoid_between_slices_shows_on_the_nearer_one() -> None:
    opened = volume()
    (x, y, z), (_, _, above) = (patient(opened, number, (8, 8))[0] for number in (2, 3))
    middle = z + 0.3 * (above - z)
    ends = [(x - 1, y, middle), (x + 1, y, middle), (x, y - 1, middle), (x, y + 1, middle)]
    ends += [(x, y, middle - 0.1), (x, y, middle + 0.1)]
    ((number, shape),) = shapes(opened, Drawn(ShapeKind.ELLIPSOID, tuple(ends)))
    assert number == 2
    np.testing.assert_allclose(shape.extent, (8 - 1 / 0.7, 8 - 1 / 0.8, 8 + 1 / 0.7, 8 + 1 / 0.8), atol=1e-2)


def test_shape_of_several_frames_shows_on_each() -> None:
    source = enhanced_volume(5).sources[0]
    (opened,) = open_volumes([source], lambda index: np.zeros((5, source.Rows, source.Columns))).volumes
    place = ImagePlace(str(source.SOPClassUID), str(source.SOPInstanceUID), (2, 5))
    found = shapes(opened, rectangle(1, 2, 5, 7, place))
    assert sorted(opened.slices[number].frame_number for number, _ in found) == [2, 5]
    assert {shape.extent for _, shape in found} == {(1, 2, 5, 7)}


@pytest.mark.parametrize("kind", [ShapeKind.CIRCLE, ShapeKind.ELLIPSE])
def test_round_shapes_are_polygons_of_nearly_their_area(kind: ShapeKind) -> None:
    opened = volume()
    place = SlicePlanes(opened).place(3)
    points = ((8.0, 8.0), (8.0, 12.0)) if kind is ShapeKind.CIRCLE else ((4, 8), (12, 8), (8, 4), (8, 12))
    ((number, shape),) = shapes(opened, Drawn(kind, points, place))
    assert number == 3
    np.testing.assert_allclose(shape.extent, (4, 4, 12, 12), atol=1e-9)
    assert shape.area == pytest.approx(np.pi * 16, rel=2e-3)


def test_outline_that_was_measured_is_a_region_and_a_line_is_none() -> None:
    opened = volume()
    place = SlicePlanes(opened).place(1)
    drawn = rectangle(2, 3, 6, 8, place)
    measured = [
        Measurement(VOLUME, 1.0, MM3, drawn),
        Measurement(LONG_AXIS, 4.0, MM, line((1.0, 1.0), (5.0, 1.0), place)),
    ]
    found = list(shapes_of(finding(shapes=(drawn,), measurements=tuple(measured)), None, SlicePlanes(opened)))
    assert [(number, shape.extent) for number, shape in found] == [(1, (2, 3, 6, 8))]


def test_yolo_leaves_points_out_and_keeps_boxes_in_shares(tmp_path: Path) -> None:
    opened = volume()
    (low,), (high,) = patient(opened, 1, (2, 4)), patient(opened, 1, (6, 8))
    written(tmp_path, YoloLayout, opened, finding(shapes=(box(low, high), point(patient(opened, 1, (1, 1))[0]))))
    (text,) = (tmp_path / "labels").rglob("*.txt")
    assert text.read_text() == "2 0.2 0.375 0.2 0.25\n"


@pytest.mark.parametrize(
    ("layout", "drawn", "words"),
    [
        (CocoLayout, {}, "without a region"),
        (YoloLayout, {"shapes": (point((-37.0, -37.0, -37.5)),)}, "without a region"),
        (NiftiLayout, {"shapes": (point((-37.0, -37.0, -37.5)),)}, "without a mask"),
        (NrrdLayout, {}, "without a mask"),
        (PngLayout, {}, "without a mask"),
    ],
)
def test_finding_that_a_format_cannot_hold_keeps_its_series_out(
    tmp_path: Path, layout: Any, drawn: dict[str, Any], words: str
) -> None:
    with pytest.raises(FormatRefused, match=f"nodule was marked {words}"):
        written(tmp_path, layout, volume(), finding(**drawn))


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({}, np.int16),
        ({"RescaleIntercept": -1024, "PixelRepresentation": 0, "BitsStored": 12}, np.int16),
        ({"RescaleIntercept": 0, "PixelRepresentation": 0, "RescaleType": "US", "Modality": "MR"}, np.uint16),
        ({"RescaleIntercept": -1024, "PixelRepresentation": 0}, np.int32),
        ({"RescaleSlope": 0.5}, np.float32),
        ({"RescaleSlope": 2, "RescaleIntercept": 0.25}, np.float32),
        ({"RescaleSlope": 100000}, np.float32),
    ],
)
def test_voxels_take_the_smallest_type_that_holds_them(attributes: dict[str, Any], kind: type) -> None:
    opened = volume(**attributes)
    dtype = voxel_type(opened)
    assert dtype == kind
    if "BitsStored" not in attributes:
        slices = np.stack(list(typed_slices(opened, dtype)))
        np.testing.assert_array_equal(slices, opened.whole().array)


def test_values_that_bits_stored_does_not_promise_are_noticed() -> None:
    opened = volume(BitsStored=8)
    with pytest.raises(ValuesBeyond):
        list(typed_slices(opened, np.dtype(np.uint8)))


def test_window_is_the_headers_or_from_end_to_end() -> None:
    assert window_of(volume(WindowCenter=[40, 50], WindowWidth=[400, 500])) == Window(40, 400)
    opened = volume()
    values = opened.whole().array
    grey = window_of(opened).grey(values)
    assert (grey[values == values.min()].max(), grey[values == values.max()].min()) == (0, 255)
    assert is_inverted(volume(PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(Window(0, 100).grey(values, is_inverted=True), 255 - Window(0, 100).grey(values))


def test_rows_of_a_case_are_json(tmp_path: Path) -> None:
    opened = volume()
    told = written(tmp_path, CocoLayout, opened, finding(shapes=(point(patient(opened, 1, (1, 1))[0]),)))
    assert json.loads(json.dumps(told)) == told

"""Regions of a slice become outlines between its pixels, and come back pixel for pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage.measure import grid_points_in_poly

from service.core.outlines import filled, outlines_of

REGIONS = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(lambda shape: arrays(np.bool_, shape))
RING = np.array([[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 1, 1]], dtype=bool)


def area(outline: npt.NDArray[np.float64]) -> float:
    x, y = outline.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


@settings(max_examples=300, deadline=None)
@given(region=REGIONS)
def test_region_comes_back_from_its_outlines(region: npt.NDArray[np.bool_]) -> None:
    assert np.array_equal(filled(outlines_of(region), region.shape), region)


@settings(max_examples=200, deadline=None)
@given(region=REGIONS)
def test_each_outline_is_one_piece_with_its_holes(region: npt.NDArray[np.bool_]) -> None:
    pieces, count = ndimage.label(region)
    outlines = outlines_of(region)
    assert len(outlines) == count
    for outline in outlines:
        piece = filled([outline], region.shape)
        assert np.array_equal(piece, pieces == pieces[piece][0])
        assert area(outline) == piece.sum()


def test_whole_image_has_the_outline_of_its_edges() -> None:
    (outline,) = outlines_of(np.ones((2, 3), dtype=bool))
    assert {tuple(point) for point in outline} == {(0, 0), (3, 0), (3, 2), (0, 2)}


def test_empty_region_has_no_outline() -> None:
    assert outlines_of(np.zeros((2, 3), dtype=bool)) == []


def test_hole_is_joined_by_a_channel_that_runs_there_and_back() -> None:
    (outline,) = outlines_of(RING)
    assert [tuple(point) for point in outline].count((1, 1)) == 2
    assert [tuple(point) for point in outline].count((1, 0)) == 2


def test_outline_within_another_is_a_hole() -> None:
    outer, inner = [(0, 0), (4, 0), (4, 3), (0, 3)], [(1, 1), (2, 1), (2, 2), (1, 2)]
    assert np.array_equal(filled([outer, inner], (3, 4)), RING)


def test_centre_on_an_edge_counts_to_the_lower_right() -> None:
    # From centre to centre: what a tool draws that takes a pixel for a point.
    square = [(1.5, 1.5), (3.5, 1.5), (3.5, 3.5), (1.5, 3.5)]
    region = filled([square], (5, 5))
    assert region[1:3, 1:3].all()
    assert region.sum() == 4


def test_last_digit_of_a_coordinate_decides_nothing() -> None:
    square = np.array([(1.5, 1.5), (3.5, 1.5), (3.5, 3.5), (1.5, 3.5)])
    assert np.array_equal(filled([square + 1e-9], (5, 5)), filled([square - 1e-9], (5, 5)))


def test_outline_beyond_the_image_is_cut_off() -> None:
    assert filled([[(-5, -5), (2, -5), (2, 9), (-5, 9)]], (3, 4)).sum() == 6


@settings(max_examples=100, deadline=None)
@given(
    corners=st.lists(
        st.tuples(st.integers(-80, 400), st.integers(-80, 400)).map(lambda pair: (pair[0] / 32, pair[1] / 32)),
        min_size=3,
        max_size=9,
    )
)
def test_any_polygon_is_filled_as_by_scikit_image(corners: list[tuple[float, float]]) -> None:
    # Off the centres and off halves of them, so that no centre lies on an edge by chance.
    moved = np.array(corners) + np.array([0.0113, 0.0071])
    expected = grid_points_in_poly((10, 11), moved[:, ::-1] - 0.5, binarize=False) == 1
    assert np.array_equal(filled([moved], (10, 11)), expected)


@pytest.mark.parametrize("outlines", [[], [[(1, 1), (1, 1), (1, 1)]], [[(1, 1), (3, 1), (2, 1)]]])
def test_nothing_is_enclosed_by_nothing(outlines: list[object]) -> None:
    assert not filled(outlines, (4, 4)).any()

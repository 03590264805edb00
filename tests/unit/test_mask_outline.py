"""The outline of a mask, filled again, is the same mask."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from service.core.mask_outline import Outline, outlines_of


def crossings(outline: Outline, column: float, row: float) -> int:
    """How often a line from a point to the right crosses an outline's upright sides."""
    ends = zip(outline.corners, (*outline.corners[1:], outline.corners[0]), strict=True)
    return sum(x == x2 and x > column and min(y, y2) < row < max(y, y2) for (x, y), (x2, y2) in ends)


@settings(max_examples=60, deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 7))))
def test_outline_filled_again_is_the_mask(mask: np.ndarray) -> None:
    outlines = outlines_of(mask)
    again = [
        [sum(crossings(one, column + 0.5, row + 0.5) for one in outlines) % 2 for column in range(mask.shape[1])]
        for row in range(mask.shape[0])
    ]
    assert np.array_equal(np.array(again, dtype=bool), mask)
    assert all(
        a[0] == b[0] or a[1] == b[1] for one in outlines for a, b in zip(one.corners, one.corners[1:], strict=False)
    )


def test_hole_is_an_outline_of_its_own() -> None:
    ring = np.ones((3, 3), dtype=bool)
    ring[1, 1] = False
    assert sorted(one.is_hole for one in outlines_of(ring)) == [False, True]


masks = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


@settings(deadline=None)
@given(masks)
def test_outlines_turn_at_every_corner(mask: np.ndarray) -> None:
    for outline in outlines_of(mask):
        points = np.array(outline.corners)
        steps = np.roll(points, -1, axis=0) - points
        assert np.all((steps == 0).sum(axis=1) == 1)
        assert np.all((steps * np.roll(steps, -1, axis=0)).sum(axis=1) == 0)


@settings(deadline=None)
@given(masks)
def test_pieces_are_those_of_four_neighbours_and_holes_are_known(mask: np.ndarray) -> None:
    outlines = outlines_of(mask)
    assert sum(not outline.is_hole for outline in outlines) == ndimage.label(mask)[1]
    around = ndimage.label(np.pad(~mask, 1, constant_values=True), np.ones((3, 3)))[1]
    assert sum(outline.is_hole for outline in outlines) == around - 1


def test_empty_mask_has_no_outline() -> None:
    assert outlines_of(np.zeros((3, 3), dtype=bool)) == []

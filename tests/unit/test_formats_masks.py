"""Masks as run lengths and as outlines are the same masks."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from service.errors import FormatRefused
from service.formats.mask_outline import Outline, outlines_of
from service.formats.run_lengths import decoded, encoded, mask_of, runs_of, runs_of_text, text_of

masks = hnp.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))
runs = st.lists(st.integers(0, 1 << 30), min_size=1, max_size=12)


def filled(outlines: list[Outline], rows: int, columns: int) -> np.ndarray:
    """Pixels whose centre lies within an odd number of outlines, and how often each lies within one."""
    inside = np.zeros((rows, columns), dtype=bool)
    x, y = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
    for outline in outlines:
        for (x0, y0), (x1, y1) in zip(outline.corners, (*outline.corners[1:], outline.corners[0]), strict=True):
            if x0 == x1:  # a vertical edge to the right of the centre is crossed
                inside ^= (x < x0) & (np.minimum(y0, y1) < y) & (y < np.maximum(y0, y1))
    return inside


@given(masks)
def test_runs_give_the_mask_back(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(decoded(encoded(mask), *mask.shape), mask)
    np.testing.assert_array_equal(decoded({"size": list(mask.shape), "counts": runs_of(mask)}, *mask.shape), mask)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools itself
@given(masks)
def test_runs_are_those_of_pycocotools(mask: np.ndarray) -> None:
    theirs = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    assert encoded(mask) == {"size": theirs["size"], "counts": theirs["counts"].decode()}
    np.testing.assert_array_equal(coco.decode(encoded(mask)).astype(bool), mask)


@given(runs)
def test_text_gives_any_runs_back(lengths: list[int]) -> None:
    assert runs_of_text(text_of(lengths)) == lengths


@pytest.mark.parametrize("text", ["~", "1\n", "x\x7f", "o", "é"])
def test_text_that_stands_for_nothing_is_refused(text: str) -> None:
    with pytest.raises(FormatRefused):
        runs_of_text(text)


@given(st.text(max_size=6))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(FormatRefused):
        assert runs_of_text(text_of(runs_of_text(text))) == runs_of_text(text)


@pytest.mark.parametrize("lengths", [[3], [5], [-1, 5], []])
def test_runs_that_do_not_fill_the_image_are_refused(lengths: list[int]) -> None:
    with pytest.raises(FormatRefused, match="2 × 2 = 4"):
        mask_of(lengths, 2, 2)


@pytest.mark.parametrize("segmentation", [{"size": [2, 3], "counts": [4]}, {"size": [2, 2], "counts": None}, {}])
def test_runs_of_another_image_are_refused(segmentation: dict) -> None:
    with pytest.raises(FormatRefused):
        decoded(segmentation, 2, 2)


@given(masks)
def test_outlines_filled_are_the_mask(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(filled(outlines_of(mask), *mask.shape), mask)


@given(masks)
def test_outlines_turn_at_every_corner(mask: np.ndarray) -> None:
    for outline in outlines_of(mask):
        points = np.array(outline.corners)
        steps = np.roll(points, -1, axis=0) - points
        assert np.all((steps == 0).sum(axis=1) == 1)
        assert np.all((steps * np.roll(steps, -1, axis=0)).sum(axis=1) == 0)


@given(masks)
def test_pieces_are_those_of_four_neighbours_and_holes_are_known(mask: np.ndarray) -> None:
    from scipy import ndimage

    outlines = outlines_of(mask)
    assert sum(not outline.is_hole for outline in outlines) == ndimage.label(mask)[1]
    around = ndimage.label(np.pad(~mask, 1, constant_values=True), np.ones((3, 3)))[1]
    assert sum(outline.is_hole for outline in outlines) == around - 1


def test_empty_mask_has_no_outline() -> None:
    assert outlines_of(np.zeros((3, 3), dtype=bool)) == []

"""Masks as run lengths are the same masks, those of pycocotools included."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from service.errors import FormatRefused
from service.formats.run_lengths import decoded, encoded, mask_of, runs_of, runs_of_text, text_of

masks = hnp.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))
runs = st.lists(st.integers(0, 1 << 30), min_size=1, max_size=12)


@settings(deadline=None)
@given(masks)
def test_runs_give_the_mask_back(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(decoded(encoded(mask), *mask.shape), mask)
    np.testing.assert_array_equal(decoded({"size": list(mask.shape), "counts": runs_of(mask)}, *mask.shape), mask)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools itself
@settings(deadline=None)
@given(masks)
def test_runs_are_those_of_pycocotools(mask: np.ndarray) -> None:
    theirs = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    assert encoded(mask) == {"size": theirs["size"], "counts": theirs["counts"].decode()}
    np.testing.assert_array_equal(coco.decode(encoded(mask)).astype(bool), mask)


@settings(deadline=None)
@given(runs)
def test_text_gives_any_runs_back(lengths: list[int]) -> None:
    assert runs_of_text(text_of(lengths)) == lengths


@pytest.mark.parametrize("text", ["~", "1\n", "x\x7f", "o", "é"])
def test_text_that_stands_for_nothing_is_refused(text: str) -> None:
    with pytest.raises(FormatRefused):
        runs_of_text(text)


@settings(deadline=None)
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

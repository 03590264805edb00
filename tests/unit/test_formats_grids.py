"""Grids of files are laid on those of volumes exactly, whatever the order and direction of their axes."""

from __future__ import annotations

from itertools import permutations, product

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import FormatRefused
from service.formats.grids import is_sheared, lps_of, placement, ras_of, rectangular
from tests.grids_drawn import affines

SHAPE = (4, 5, 6)
TURNS = list(product(permutations(range(3)), product([False, True], repeat=3)))


@given(affines(), st.tuples(*(st.integers(-9, 9) for _ in range(3))))
def test_same_point_has_the_same_place_in_both_systems(affine: np.ndarray, index: tuple[int, int, int]) -> None:
    slice_, row, column = index
    lps = affine @ [slice_, row, column, 1]
    ras = ras_of(affine) @ [column, row, slice_, 1]
    np.testing.assert_allclose(ras, lps * [-1, -1, 1, 1])
    np.testing.assert_allclose(lps_of(ras_of(affine)), affine)


@pytest.mark.parametrize(("axes", "backwards"), TURNS)
def test_turned_grid_is_laid_on_the_other_voxel_by_voxel(axes: tuple, backwards: tuple) -> None:
    affine = np.array([[0.1, 0.6, -0.48, 3], [0.2, 0.3, 0.64, -5], [2.4, -0.1, 0.2, 8], [0, 0, 0, 1.0]])
    voxels = np.arange(4 * 5 * 6).reshape(SHAPE)
    ornt = np.array([[axes.index(axis), -1 if backwards[axes.index(axis)] else 1] for axis in range(3)])
    turned = nibabel.orientations.apply_orientation(voxels, ornt)
    own = affine @ nibabel.orientations.inv_ornt_aff(ornt, SHAPE)
    found = placement(own, turned.shape, affine, SHAPE)
    np.testing.assert_array_equal(found.turned(turned), voxels)
    assert found.origin == (0, 0, 0)


@given(affines(), st.tuples(*(st.integers(-3, 3) for _ in range(3))))
def test_part_of_a_grid_is_laid_where_it_was_cut(affine: np.ndarray, origin: tuple[int, int, int]) -> None:
    own = affine.copy()
    own[:3, 3] += affine[:3, :3] @ origin
    single = own.astype(np.float32).astype(np.float64)  # as a file keeps it
    assert placement(single, (2, 2, 2), affine, SHAPE).origin == origin


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a @ np.diag([1, 2, 1, 1]), "voxels of 2.000 × 2.000 × 1.000 mm"),
        (lambda a: a + np.outer([0.5, 0, 0, 0], [0, 0, 0, 1]), "its middle lies 0.50 mm off"),
        (
            lambda a: np.array([[0.9848, -0.1736, 0, 0], [0.1736, 0.9848, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]) @ a,
            "turned by 10.00°",
        ),
    ],
)
def test_other_grid_is_refused_and_says_by_how_much(change, words: str) -> None:
    affine = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [2, 0, 0, 0], [0, 0, 0, 1.0]])
    with pytest.raises(FormatRefused, match="Resample it") as refused:
        placement(change(affine), SHAPE, affine, SHAPE)
    assert words in str(refused.value)


def test_other_size_is_said() -> None:
    affine = np.eye(4)
    with pytest.raises(FormatRefused, match="2 × 2 × 2 voxels, the series has 4 × 5 × 6"):
        placement(affine * [1, 1, 1.5, 1], (2, 2, 2), affine, SHAPE)


@given(affines())
def test_turned_axes_are_no_shear(affine: np.ndarray) -> None:
    assert not is_sheared(affine, (200, 512, 512))
    np.testing.assert_allclose(rectangular(affine), affine, atol=1e-9)


@given(affines(tilted=True))
def test_tilted_gantry_is_a_shear(affine: np.ndarray) -> None:
    assert is_sheared(affine, (40, 512, 512))
    axes = rectangular(affine)[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-9)

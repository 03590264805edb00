"""Between millimetres and pixels, and the lines and outlines that are computed."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.core.findings import Mask
from service.core.geometry import box
from service.errors import ObjectInvalid
from service.objects.box_outline import outline_on
from service.objects.drawn_axis import largest_axial_extent
from service.objects.image_plane import plane_of, planes_of, slice_distance_mm
from tests.volumes import ball, ct_sources, volume_of
from tests.written_results import VOLUMES


@pytest.mark.parametrize("name", VOLUMES)
def test_pixels_and_millimetres_lead_back(name: str) -> None:
    plane = planes_of(VOLUMES[name]())[3]
    pixels = [(0.5, 0.5), (3.25, 7.75), (16.0, 0.0)]
    np.testing.assert_allclose(plane.to_pixels(plane.to_patient(pixels)), pixels, atol=1e-9)


@pytest.mark.parametrize("name", VOLUMES)
def test_plane_agrees_with_the_volumes_grid(name: str) -> None:
    volume = VOLUMES[name]()
    (point,) = planes_of(volume)[5].to_patient([(4.5, 9.5)])
    np.testing.assert_allclose(point, volume.to_patient((5, 9, 4)), atol=1e-5)


def test_slice_distance_is_along_the_normal() -> None:
    tilted = volume_of(ct_sources(4, step_mm=(0.0, 0.8, 2.4)))
    assert slice_distance_mm(tilted) == pytest.approx(2.4)


def test_source_without_a_position_is_refused() -> None:
    source = ct_sources(1)[0]
    del source.ImagePositionPatient
    with pytest.raises(ObjectInvalid):
        plane_of(source)


def brute_force(voxels: np.ndarray, spacing: tuple[float, float]) -> float:
    """The longest distance between corners of set pixels of one slice."""
    longest = 0.0
    for plane in voxels:
        corners = {
            (row + half_row, column + half_column)
            for row, column in np.argwhere(plane)
            for half_row in (-0.5, 0.5)
            for half_column in (-0.5, 0.5)
        }
        for one, other in combinations(corners, 2):
            longest = max(longest, float(np.hypot(*(np.subtract(one, other) * spacing))))
    return longest


@settings(max_examples=60, deadline=None)
@given(arrays(bool, (2, 5, 6)).filter(np.any))
def test_largest_extent_is_the_longest_there_is(voxels: np.ndarray) -> None:
    volume = volume_of(ct_sources(8, spacing_mm=(0.7, 1.3)))
    line = largest_axial_extent(Mask(voxels, (3, 2, 4)), volume)
    assert line.length_mm == pytest.approx(brute_force(voxels, (0.7, 1.3)))


def test_largest_extent_lies_on_a_slice_of_the_mask() -> None:
    volume = volume_of(ct_sources(8, step_mm=(0.0, 0.8, 2.4)))
    line = largest_axial_extent(ball(volume, (3, 6, 7), 2), volume)
    assert volume.to_index(list(line.points))[:, 0] == pytest.approx([3, 3])


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.floats(1, 8)] * 3))
def test_cut_of_a_box_lies_on_plane_and_box(size: tuple[float, float, float]) -> None:
    plane = planes_of(VOLUMES["oblique"]())[4]
    middle = np.array(plane.to_patient([(8.5, 8.5)])[0])
    low, high = (tuple(float(value) for value in middle + sign * np.array(size) / 2) for sign in (-1, 1))
    corners = np.array(outline_on(plane, box(low, high)))
    assert all(plane.distance_mm(tuple(corner)) < 1e-6 for corner in corners)
    assert (corners >= np.array(low) - 1e-6).all()
    assert (corners <= np.array(high) + 1e-6).all()


def test_box_beside_the_plane_is_refused() -> None:
    plane = planes_of(VOLUMES["axial"]())[0]
    with pytest.raises(ObjectInvalid):
        outline_on(plane, box((0.0, 0.0, 50.0), (1.0, 1.0, 60.0)))

"""Long and short axis, finer than a voxel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.annotators.axes import measure_axes
from service.core.volume import Volume
from tests.volumes import ct_sources, volume_of

SIZE, SUB = 48, 8


def drawn(long_mm: float, short_mm: float, degrees: float, pixel: float, at: tuple[float, float]) -> np.ndarray:
    """An ellipse of 40 in -860, each pixel with the share that it covers."""
    places = (np.arange(SIZE * SUB) + 0.5) / SUB - 0.5 - SIZE / 2
    y, x = np.meshgrid((places - at[0]) * pixel, (places - at[1]) * pixel, indexing="ij")
    angle = np.deg2rad(degrees)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    inside = (2 * u / long_mm) ** 2 + (2 * v / short_mm) ** 2 <= 1
    share = inside.reshape(SIZE, SUB, SIZE, SUB).mean(axis=(1, 3))
    return (-860 + 900 * share).astype(np.float32)


def volume(pixel: float) -> Volume:
    return volume_of(ct_sources(3, rows=SIZE, columns=SIZE, spacing_mm=(pixel, pixel)))


@settings(max_examples=40, deadline=None)
@given(
    long_mm=st.floats(8, 20),
    ratio=st.floats(0.5, 1),
    degrees=st.floats(0, 180),
    pixel=st.floats(0.6, 0.9),
    at=st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)),
)
def test_axes_of_an_ellipse_are_its_diameters(long_mm, ratio, degrees, pixel, at) -> None:
    plane = drawn(long_mm, ratio * long_mm, degrees, pixel, at)
    axes = measure_axes(volume(pixel), plane[None], (1, 0, 0), -410)
    assert axes is not None
    assert axes.long.length_mm == pytest.approx(long_mm, abs=0.4 * pixel)
    assert axes.short.length_mm == pytest.approx(ratio * long_mm, abs=0.5 * pixel)


def test_long_axis_stands_on_the_slice_where_it_is_longest() -> None:
    planes = np.stack([drawn(size, size, 0, 0.7, (0, 0)) for size in (8, 14, 10)])
    axes = measure_axes(volume(0.7), planes, (0, 0, 0), -410)
    assert axes is not None
    assert volume(0.7).to_index(axes.long.points[0])[0] == pytest.approx(1)
    assert volume(0.7).to_index(axes.short.points[0])[0] == pytest.approx(1)


def test_nothing_denser_has_no_axes() -> None:
    assert measure_axes(volume(0.7), np.full((2, SIZE, SIZE), -860, np.float32), (0, 0, 0), -410) is None


def test_origin_of_the_box_moves_the_lines() -> None:
    plane = drawn(10, 8, 30, 0.7, (0, 0))[None]
    here, there = (measure_axes(volume(0.7), plane, (0, rows, 0), -410) for rows in (0, 5))
    assert here is not None
    assert there is not None
    np.testing.assert_allclose(np.subtract(there.long.points[0], here.long.points[0]), [0, 3.5, 0], atol=1e-9)

"""Faces are found in a process of its own; whatever happens there, a series is cleaned whole or left to a person."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.deident.faces.face_finder import FaceFinder, FaceLimits, SeriesImage
from service.deident.faces.face_regions import regions_of_mask
from service.deident.faces.face_series import face_masks
from service.deident.pixels.pixel_source import HeldPixels
from service.errors import IdentityNotRemovable
from tests.unit.test_deident_face_series import series

EXPLICIT = "1.2.840.10008.1.2.1"


def images() -> list[SeriesImage]:
    data_sets, stored = series()
    for one in data_sets:
        one.SamplesPerPixel, one.PhotometricInterpretation, one.HighBit = 1, "MONOCHROME2", 11
    return [
        SeriesImage(header, HeldPixels(values.astype("<u2").tobytes()), EXPLICIT)
        for header, values in zip(data_sets, stored, strict=True)
    ]


@given(arrays(np.bool_, st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 12))))
def test_rectangles_cover_just_the_mask(mask):
    covered = np.zeros(mask.shape, dtype=int)
    for region in regions_of_mask(mask):
        frame = covered[region.frame - 1]
        frame[region.y : region.y + region.height, region.x : region.x + region.width] += 1
    assert np.array_equal(covered, mask.astype(int))


def test_the_other_process_finds_what_is_found_here():
    data_sets, stored = series()
    here = [regions_of_mask(mask) for mask in face_masks(data_sets, stored.__getitem__)]
    assert FaceFinder().find(images()) == here


def test_why_a_face_is_not_found_is_said():
    with pytest.raises(IdentityNotRemovable, match="fewer than 5 slices"):
        FaceFinder().find(images()[:3])


def test_pixels_that_end_too_early_are_a_reason_in_words():
    broken = images()
    broken[4] = SeriesImage(broken[4].header, HeldPixels(b"\0" * 10), EXPLICIT)
    with pytest.raises(IdentityNotRemovable, match="shorter than Rows"):
        FaceFinder().find(broken)


def test_a_series_beyond_the_time_limit_is_left_to_a_person():
    with pytest.raises(IdentityNotRemovable, match="took longer than"):
        FaceFinder(FaceLimits(seconds=0.001)).find(images())


class _Deadly:
    """Ends the process that reads it."""

    length = 512 * 512 * 2

    def read(self, offset: int, size: int) -> bytes:
        for child in _children():
            os.kill(child, signal.SIGKILL)
        return b"\0" * size


def _children() -> list[int]:
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_a_process_that_dies_ends_nobody_else():
    broken = images()
    broken[0] = SeriesImage(broken[0].header, _Deadly(), EXPLICIT)
    with pytest.raises(IdentityNotRemovable, match="ended the process"):
        FaceFinder().find(broken)

"""A volume's slices are read one by one, as they are in the whole volume."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from service.core.stored_pixels import decode_pixels
from service.core.volume_slices import VolumeSlices, open_volumes
from tests.datasets import as_file, ct_slice


def series(count: int) -> list[Dataset]:
    random = np.random.default_rng(5)
    slices = [ct_slice(number, pixels=random.integers(-900, 900, (16, 16), dtype=np.int16)) for number in range(count)]
    for one in slices:
        as_file(one)
    return slices[::-1]


class Reading:
    """Opens a series and remembers which instances were decoded."""

    def __init__(self, data_sets: list[Dataset]) -> None:
        self.decoded: list[int] = []
        self.opened = open_volumes(data_sets, lambda index: self._pixels(data_sets[index], index))

    def _pixels(self, data_set: Dataset, index: int) -> Any:
        self.decoded.append(index)
        return decode_pixels(data_set)

    @property
    def volume(self) -> VolumeSlices:
        (volume,) = self.opened.volumes
        return volume


def test_no_pixel_is_read_before_a_slice_is_asked_for() -> None:
    reading = Reading(series(4))
    assert reading.volume.shape == (4, 16, 16)
    assert reading.decoded == []
    reading.volume.real_slice(2)
    assert len(reading.decoded) == 1


def test_each_slice_is_that_of_the_whole_volume() -> None:
    volume = Reading(series(5)).volume
    whole = volume.whole()
    np.testing.assert_array_equal(np.stack([volume.real_slice(number) for number in range(5)]), whole.array)
    np.testing.assert_array_equal(volume.affine, whole.affine)


def test_volume_without_voxels_has_the_grid_and_takes_no_memory() -> None:
    volume = Reading(series(3)).volume
    empty = volume.without_voxels()
    assert (empty.shape, empty.array.strides) == ((3, 16, 16), (0, 0, 0))
    assert [one.SOPInstanceUID for one in empty.sources] == [one.source.SOPInstanceUID for one in volume.slices]
    assert not empty.array.any()


@pytest.mark.parametrize("count", [0, 3])
def test_what_is_none_is_said(count: int) -> None:
    localizers = series(count)
    for one in localizers:
        one.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    opened = Reading(localizers).opened
    assert opened.volumes == ()
    assert len(opened.refused) == 1

"""The images of a series, read from their blobs when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.core.archived import InstanceRow
from service.core.ports import BlobStore
from service.core.stored_pixels import decode_pixels
from service.errors import VolumeRefused


class SeriesImages:
    """Headers at once, pixels one instance at a time, in any transfer syntax that a codec here reads."""

    def __init__(self, blobs: BlobStore, rows: Sequence[InstanceRow]) -> None:
        self._blobs = blobs
        self._rows = rows

    def headers(self) -> list[Dataset]:
        """Every instance without its pixels.

        Raises
        ------
        VolumeRefused : one cannot be read
        """
        return [self._read(row, stop_before_pixels=True) for row in self._rows]

    def pixels(self, index: int) -> npt.NDArray[Any]:
        """Stored pixel values of one instance.

        Raises
        ------
        TransferSyntaxNotSupported : no codec here reads its transfer syntax
        VolumeRefused : its pixels cannot be decoded
        """
        return decode_pixels(self._read(self._rows[index], stop_before_pixels=False))

    def _read(self, row: InstanceRow, *, stop_before_pixels: bool) -> Dataset:
        return _reading(lambda: self._dcmread(row, stop_before_pixels))

    def _dcmread(self, row: InstanceRow, stop_before_pixels: bool) -> Dataset:
        with self._blobs.open(row.blob.key) as stream:
            return dcmread(stream, stop_before_pixels=stop_before_pixels)


def _reading(read: Callable[[], Dataset]) -> Dataset:
    try:
        return read()
    except (AttributeError, EOFError, IndexError, KeyError, NotImplementedError, TypeError, ValueError) as err:
        raise VolumeRefused("an instance of the series cannot be read") from err

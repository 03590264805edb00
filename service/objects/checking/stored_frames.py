"""The pixels of a segmentation frame by frame, without holding more than one decoded (PS3.3 C.8.20.2, PS3.5 8.1.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from service.objects.known_instances import number_of_frames

Plane = npt.NDArray[Any]

_NATIVE: Final = frozenset(
    {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
)
_KINDS: Final = {8: "u1", 16: "u2"}


class Unreadable(Exception):
    """What is written cannot be read; the message says what."""


def is_native(data_set: Dataset) -> bool:
    """Whether pixel data are not encapsulated, as far as the file meta says; of a syntax unknown here they may be."""
    return _transfer_syntax(data_set) in _NATIVE


def expected_pixel_bytes(data_set: Dataset) -> int:
    """How long native pixel data are, padding to an even length included (PS3.5 8.1.1)."""
    samples = int(data_set.get("SamplesPerPixel") or 1) * number_of_frames(data_set)
    bits = int(data_set.Rows) * int(data_set.Columns) * samples * int(data_set.BitsAllocated)
    octets = (bits + 7) // 8
    return octets + octets % 2


def has_frames(data_set: Dataset) -> bool:
    """Whether there are pixel data, and what says how they are laid out."""
    named = all(data_set.get(name) for name in ("Rows", "Columns", "BitsAllocated"))
    return named and isinstance(data_set.get("PixelData"), bytes)


def can_be_picked(data_set: Dataset) -> bool:
    """Whether any frame can be read without those before it."""
    return has_frames(data_set) and is_native(data_set)


def frames_of(data_set: Dataset) -> Iterator[Plane]:
    """Every frame's stored values, shape (rows, columns), bool for one bit; none where no codec here reads them.

    Raises
    ------
    Unreadable : the pixels are damaged
    """
    if not has_frames(data_set):
        return
    yield from _native_frames(data_set) if is_native(data_set) else _decoded_frames(data_set)


def native_frame(data_set: Dataset, number: int) -> Plane | None:
    """One frame of native pixel data by its number, from 0; None where it cannot be read."""
    rows, columns, bits = int(data_set.Rows), int(data_set.Columns), int(data_set.BitsAllocated)
    pixels = rows * columns
    data: bytes = data_set.PixelData
    if bits == 1:
        first, last = number * pixels, (number + 1) * pixels
        octets = np.frombuffer(data, np.uint8)[first // 8 : (last + 7) // 8]
        unpacked = np.unpackbits(octets, bitorder="little")[first % 8 : first % 8 + pixels]
        return unpacked.reshape(rows, columns).astype(bool) if unpacked.size == pixels else None
    if bits not in _KINDS:
        return None
    kind = np.dtype(_KINDS[bits]).newbyteorder(">" if _transfer_syntax(data_set) == ExplicitVRBigEndian else "<")
    start = number * pixels * kind.itemsize
    if start + pixels * kind.itemsize > len(data):
        return None
    return np.frombuffer(data, kind, count=pixels, offset=start).reshape(rows, columns)


def _native_frames(data_set: Dataset) -> Iterator[Plane]:
    for number in range(number_of_frames(data_set)):
        plane = native_frame(data_set, number)
        if plane is None:
            return
        yield plane


def _decoded_frames(data_set: Dataset) -> Iterator[Plane]:
    try:
        decoder = get_decoder(_transfer_syntax(data_set))
    except NotImplementedError:
        return
    if not decoder.is_available:
        return
    try:
        for plane, _ in decoder.iter_array(data_set, raw=True):
            yield plane.astype(bool) if data_set.BitsAllocated == 1 else plane
    except Exception as err:  # codecs raise whatever they like on broken streams
        raise Unreadable("its pixels cannot be decoded") from err


def _transfer_syntax(data_set: Dataset) -> str:
    """As the file meta says, the default of a data set where there is none."""
    meta = getattr(data_set, "file_meta", None)
    syntax = meta.get("TransferSyntaxUID") if meta is not None else None
    return str(syntax or ExplicitVRLittleEndian)

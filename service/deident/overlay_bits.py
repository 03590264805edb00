"""Overlay planes that lie in unused bits of native Pixel Data (PS3.3 C.9.2, PS3.5 8.1.2; retired): cleared as read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from service.deident.pixel_rest import BITS_ALLOCATED, number_at
from service.deident.pixels.frame_reader import BIG_ENDIAN, NATIVE
from service.deident.pixels.pixel_outcome import BlackenedPixels
from service.deident.pixels.pixel_source import PixelSource

BITS_STORED, HIGH_BIT, PIXEL_REPRESENTATION = 0x00280101, 0x00280102, 0x00280103
_FIRST, _LAST = 0x60000000, 0x60FFFFFF
_BITS_ALLOCATED, _BIT_POSITION, _DATA = 0x0100, 0x0102, 0x3000
_OWN: Final = {_BITS_ALLOCATED: 1, _BIT_POSITION: 0}
"""What a plane says that has Overlay Data of its own (PS3.3 C.9.2)."""
_SIZES: Final = (8, 16, 32)


@dataclass(frozen=True, slots=True)
class UsedBits:
    """Which bits of a sample hold its value.

    Parameters
    ----------
    allocated, stored, high : Bits Allocated, Bits Stored and High Bit
    signed : two's complement (Pixel Representation 1)
    """

    allocated: int
    stored: int
    high: int
    signed: bool

    @property
    def low(self) -> int:
        """The lowest bit of the value."""
        return self.high + 1 - self.stored

    def holds(self, bit: int) -> bool:
        """Whether a bit belongs to the value; none outside of the sample is free either."""
        return self.low <= bit <= self.high or not 0 <= bit < self.allocated

    def alone(self, samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The samples without anything in their other bits; above a signed value stands its sign."""
        if self.signed and self.low == 0:
            spare = self.allocated - self.stored
            native = samples.astype(f"=i{self.allocated // 8}")
            return np.asarray((native << spare) >> spare).astype(samples.dtype)
        return np.asarray(samples & np.array(((1 << self.stored) - 1) << self.low, dtype=samples.dtype))


class UsedBitsAlone:
    """A pixel source over native pixel data, without what stands in unused bits; holds no more than is asked for."""

    def __init__(self, pixels: PixelSource, bits: UsedBits, *, big_endian: bool) -> None:
        self._pixels = pixels
        self._bits = bits
        self._size = bits.allocated // 8
        self._kind = np.dtype(f"{'>' if big_endian else '<'}u{self._size}")

    @property
    def length(self) -> int:
        """As many bytes as before."""
        return self._pixels.length

    def read(self, offset: int, size: int) -> bytes:
        """The bytes from ``offset`` on; what does not fill a sample at the end is zeros."""
        size = max(0, min(size, self.length - offset))
        first = offset // self._size * self._size
        last = -(-(offset + size) // self._size) * self._size
        encoded = self._pixels.read(first, last - first)
        whole = len(encoded) // self._size * self._size
        samples = self._bits.alone(np.frombuffer(encoded, dtype=self._kind, count=whole // self._size))
        return samples.tobytes().ljust(last - first, b"\0")[offset - first : offset - first + size]


def without_overlay_bits(header: Dataset, pixels: PixelSource, transfer_syntax_uid: str) -> BlackenedPixels | None:
    """Pixel data without planes in its unused bits, and a header whose overlays claim none of them.

    None where no overlay claims bits of the pixels; and where the pixels are compressed, or bits are claimed that hold
    a pixel's value: cleaning the header holds such an object.
    """
    # As plain numbers, which compare several times faster; and the keys alone, or elements are converted.
    groups = {tag >> 16 for tag in map(int, header.keys()) if _FIRST <= tag <= _LAST}
    planes = sorted(group for group in groups if _is_embedded(header, group))
    bits = used_bits(header) if planes and transfer_syntax_uid in NATIVE else None
    if bits is None:
        return None
    if any(bits.holds(number_at(header, group << 16 | _BIT_POSITION) or 0) for group in planes):
        return None
    changed = Dataset()
    for group in planes:
        for element, own in _OWN.items():
            if (tag := group << 16 | element) in header:
                changed.add_new(tag, "US", own)
    value = UsedBitsAlone(pixels, bits, big_endian=transfer_syntax_uid == BIG_ENDIAN)
    return BlackenedPixels(value, transfer_syntax_uid, False, changed)


def used_bits(header: Dataset) -> UsedBits | None:
    """Which bits the pixels' values take; None where the header says nothing that can be."""
    allocated = number_at(header, BITS_ALLOCATED)
    stored = number_at(header, BITS_STORED)
    if allocated not in _SIZES or stored is None or not 0 < stored <= allocated:
        return None
    high = number_at(header, HIGH_BIT)
    bits = UsedBits(
        allocated, stored, stored - 1 if high is None else high, number_at(header, PIXEL_REPRESENTATION) == 1
    )
    return bits if bits.low >= 0 and bits.high < allocated else None


def _is_embedded(header: Dataset, group: int) -> bool:
    """Whether a plane says that its bits lie in Pixel Data: it has no Overlay Data, and not the values beside that."""
    if (group << 16 | _DATA) in header:
        return False
    said = {element: number_at(header, group << 16 | element) for element in _OWN}
    return any(value not in (None, _OWN[element]) for element, value in said.items())

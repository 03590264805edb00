"""Recommended display colours, which DICOM writes as CIELab (PS3.3 C.10.7.1.1), as sRGB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_D50: Final = (0.9642, 1.0, 0.8249)
# From XYZ under D50 to linear sRGB, adapted after Bradford.
_TO_RGB: Final = (
    (3.1338561, -1.6168667, -0.4906146),
    (-0.9787684, 1.9161415, 0.0334540),
    (0.0719453, -0.2289914, 1.4052427),
)
_LARGEST: Final = 65535
_LINEAR_BELOW: Final = 6 / 29


def rgb_of(encoded: Sequence[int]) -> tuple[int, int, int]:
    """Bytes of red, green and blue.

    Parameters
    ----------
    encoded : L*, a* and b*, each from 0 to 65535
    """
    lightness, a, b = (int(value) for value in encoded)
    y = (lightness * 100 / _LARGEST + 16) / 116
    x, z = y + (a * 255 / _LARGEST - 128) / 500, y - (b * 255 / _LARGEST - 128) / 200
    xyz = [white * _light(value) for white, value in zip(_D50, (x, y, z), strict=True)]
    red, green, blue = (sum(factor * value for factor, value in zip(row, xyz, strict=True)) for row in _TO_RGB)
    return _byte(red), _byte(green), _byte(blue)


def _light(value: float) -> float:
    return value**3 if value > _LINEAR_BELOW else 3 * _LINEAR_BELOW**2 * (value - 4 / 29)


def _byte(linear: float) -> int:
    """Through the curve of sRGB (IEC 61966-2-1)."""
    bounded = min(max(linear, 0.0), 1.0)
    encoded = 12.92 * bounded if bounded <= 0.0031308 else 1.055 * bounded ** (1 / 2.4) - 0.055
    return round(encoded * 255)

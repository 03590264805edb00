"""Colours between sRGB and the CIELab values that segments carry (PS3.3 C.10.7.1.1).

White is D65 on both ends, as in highdicom, dcmqi and the viewers: taken through D50, which the clause names, a colour
would come out of OHIF as another one. Without highdicom, so that a process may read a colour that has not loaded it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

_WHITE: Final = np.array([0.95047, 1.0, 1.08883])
_XYZ_TO_RGB: Final = np.array(
    [[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560], [0.0556434, -0.2040259, 1.0572252]]
)
_RGB_TO_XYZ: Final = np.linalg.inv(_XYZ_TO_RGB)
_KNEE: Final = 6 / 29


def cielab_of(rgb: Sequence[int]) -> list[int]:
    """Recommended Display CIELab Value (0062,000D) of an sRGB colour, 0 to 255 each."""
    encoded = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    ratio = _RGB_TO_XYZ @ linear / _WHITE
    x, y, z = np.where(ratio > _KNEE**3, np.cbrt(ratio), ratio / (3 * _KNEE**2) + 4 / 29)
    lab = np.array([(116 * y - 16) / 100, (500 * (x - y) + 128) / 255, (200 * (y - z) + 128) / 255])
    return [int(value) for value in np.rint(np.clip(lab, 0, 1) * 65535)]


def rgb_of(cielab: Sequence[int]) -> tuple[int, int, int]:
    """The sRGB colour, 0 to 255 each, of a Recommended Display CIELab Value."""
    fractions = np.asarray([int(value) for value in cielab], dtype=np.float64) / 65535
    lightness, a, b = fractions[0] * 100, fractions[1] * 255 - 128, fractions[2] * 255 - 128
    y = (lightness + 16) / 116
    roots = np.array([y + a / 500, y, y - b / 200])
    ratio = np.where(roots > _KNEE, roots**3, 3 * _KNEE**2 * (roots - 4 / 29))
    linear = np.clip(_XYZ_TO_RGB @ (ratio * _WHITE), 0, 1)
    encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = (int(value) for value in np.rint(encoded * 255))
    return red, green, blue

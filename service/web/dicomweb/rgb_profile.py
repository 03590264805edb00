"""ICC profiles of the named colour spaces that a rendered image can be had in, built from what was published of them.

They are of version 2 (ICC.1:2001-04): three colorants adapted to D50 and a tone curve, which every reader knows.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import numpy as np

_Matrix = np.ndarray[Any, Any]

_D50: Final = (0.9642, 1.0, 0.8249)
"""The illuminant of the profile connection space (ICC.1 7.2.16)."""
_BRADFORD: Final = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_CURVE_ENTRIES: Final = 1024
_HEADER: Final = struct.Struct(">I4xI4s4s4s6H4s28x3i48x")
_VERSION: Final = 0x02400000
_MADE: Final = (2024, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class RgbSpace:
    """A colour space of three primaries.

    Parameters
    ----------
    primaries : x and y of red, green and blue (CIE 1931)
    white : x and y of what equal parts of them show
    curve : from an encoded value to the light that it stands for, both from 0 to 1
    """

    name: str
    primaries: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    white: tuple[float, float]
    curve: Callable[[_Matrix], _Matrix] = field(repr=False)


ADOBE_RGB: Final = RgbSpace(
    "Adobe RGB (1998)",  # IEC 61966-2-5, opRGB
    ((0.6400, 0.3300), (0.2100, 0.7100), (0.1500, 0.0600)),
    (0.3127, 0.3290),
    lambda values: np.power(values, 2.19921875),
)
ROMM_RGB: Final = RgbSpace(
    "ROMM RGB",  # ISO 22028-2
    ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)),
    (0.3457, 0.3585),
    lambda values: np.where(values < 1 / 32, values / 16, np.power(values, 1.8)),
)


@cache
def profile_bytes(space: RgbSpace) -> bytes:
    """The profile as it is embedded in an image."""
    colorants = _adapted_colorants(space)
    curve = _curve(space)
    tags = {
        b"desc": _description(space.name),
        b"cprt": _text("No copyright, use freely"),
        b"wtpt": _point(_D50),
        **{name: _point(colorants[:, index]) for index, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    offset = _HEADER.size + 4 + 12 * len(tags)
    table, places = [struct.pack(">I", len(tags))], {}
    body = b""
    for name, data in tags.items():
        if data not in places:
            places[data] = offset + len(body)
            body += data + b"\0" * (-len(data) % 4)
        table.append(struct.pack(">4sII", name, places[data], len(data)))
    head = _HEADER.pack(
        offset + len(body), _VERSION, b"mntr", b"RGB ", b"XYZ ", *_MADE, b"acsp", *(_fixed(value) for value in _D50)
    )
    return b"".join((head, *table, body))


def _adapted_colorants(space: RgbSpace) -> _Matrix:
    """XYZ of each primary as seen under D50, in columns (ICC.1 Annex E)."""
    primaries = np.array([_xyz(*place) for place in space.primaries]).T
    white = np.array(_xyz(*space.white))
    scaled = primaries * np.linalg.solve(primaries, white)
    cones = np.diag((_BRADFORD @ np.array(_D50)) / (_BRADFORD @ white))
    adapted: _Matrix = np.linalg.inv(_BRADFORD) @ cones @ _BRADFORD @ scaled
    return adapted


def _xyz(x: float, y: float) -> tuple[float, float, float]:
    """Of a chromaticity at luminance 1."""
    return x / y, 1.0, (1 - x - y) / y


def _curve(space: RgbSpace) -> bytes:
    light = space.curve(np.linspace(0, 1, _CURVE_ENTRIES))
    entries = bytes(np.rint(light * 65535).astype(">u2"))
    return struct.pack(">4s4xI", b"curv", _CURVE_ENTRIES) + entries


def _point(values: Any) -> bytes:
    return struct.pack(">4s4x3i", b"XYZ ", *(_fixed(float(value)) for value in values))


def _text(text: str) -> bytes:
    return struct.pack(">4s4x", b"text") + text.encode("ascii") + b"\0"


def _description(text: str) -> bytes:
    """In ASCII alone; the Unicode and Macintosh forms are empty (ICC.1 6.5.17)."""
    plain = text.encode("ascii") + b"\0"
    return struct.pack(">4s4xI", b"desc", len(plain)) + plain + bytes(4 + 4 + 2 + 1 + 67)


def _fixed(value: float) -> int:
    """As s15Fixed16Number."""
    return round(value * 65536)

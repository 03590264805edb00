"""The colours that a label map's palette gives its segments (PS3.3 C.7.6.3.1.5, C.7.9)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

_CHANNELS = ("Red", "Green", "Blue")
Colour = tuple[int, int, int]


def palette_colours(header: Dataset) -> dict[int, Colour]:
    """The colour, sRGB, of each pixel value that the palette maps; nothing where there is no plain palette."""
    if header.get("PhotometricInterpretation") != "PALETTE COLOR":
        return {}
    channels = [_channel(header, name) for name in _CHANNELS]
    found: dict[int, Colour] = {}
    if all(channels):
        firsts, tables = zip(*(channel for channel in channels if channel is not None), strict=True)
        red, green, blue = tables
        for place, colour in enumerate(zip(red.tolist(), green.tolist(), blue.tolist(), strict=False)):
            found[int(firsts[0]) + place] = colour
    return found


def _channel(header: Dataset, name: str) -> tuple[int, npt.NDArray[np.uint8]] | None:
    """The first value that is mapped, and what it and the following ones are mapped to."""
    descriptor = header.get(f"{name}PaletteColorLookupTableDescriptor")
    data = header.get(f"{name}PaletteColorLookupTableData")
    if descriptor is None or data is None or len(descriptor) != 3:
        return None
    entries, first, bits = (int(value) for value in descriptor)
    count = entries or 1 << 16
    if bits == 8 and len(data) < 2 * count:
        return first, np.frombuffer(data, dtype=np.uint8)[:count]
    values = np.frombuffer(data, dtype="<u2")[:count]
    return first, (values >> (8 if bits == 16 else 0)).astype(np.uint8)

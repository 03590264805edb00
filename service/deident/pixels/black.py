"""Blackening rectangles of stored values: what is written looks black when it is shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from dicom_nodes.errors import InstanceUnreadable
from service.core.pixel_format import PixelFormat
from service.deident.pixels.frame_reader import Stored, shares_chroma
from service.deident.pixels.palette import coloured
from service.deident.pixels.pixel_outcome import Region

_RGB: Final = ("RGB", "YBR_RCT", "YBR_ICT")
_YBR: Final = ("YBR_FULL", "YBR_FULL_422")


def blacken(stored: Stored, regions: Iterable[Region], photometric: str, layout: PixelFormat, header: Dataset) -> None:
    """Blacken rectangles of one frame in place, shape (rows, columns[, samples]).

    Raises
    ------
    InstanceUnreadable : nobody knows what is black in this photometric interpretation
    """
    black = black_value(stored, photometric, layout, header)
    for region in regions:
        stored[region.y : region.y + region.height, region.x : region.x + region.width] = black


def blacken_layout(native: Stored, regions: Iterable[Region], layout: PixelFormat, header: Dataset) -> None:
    """Blacken rectangles of one native frame as its values lie: by pixel, by plane, or two sharing their chroma."""
    if shares_chroma(layout):
        middle = 1 << (layout.bits_stored - 1)
        for region in regions:
            # Both pixels of a pair go: half a pair would keep the chroma of what stood there.
            first, last = region.x // 2, -(-(region.x + region.width) // 2)
            native[region.y : region.y + region.height, first:last] = (0, 0, middle, middle)
        return
    if layout.samples > 1 and layout.planar == 1:
        native = native.transpose(1, 2, 0)
    blacken(native, regions, layout.photometric, layout, header)


def black_value(stored: Stored, photometric: str, layout: PixelFormat, header: Dataset) -> Stored | int:
    """The stored value that is shown as black; one for each sample of a colour."""
    if photometric == "PALETTE COLOR":
        return _darkest_index(layout, header)
    if photometric in _RGB:
        return np.zeros(layout.samples, dtype=stored.dtype)
    if photometric in _YBR:
        middle = 1 << (layout.bits_stored - 1)
        return np.array([0, middle, middle]).astype(stored.dtype)
    if photometric in ("MONOCHROME1", "MONOCHROME2") and stored.ndim == 2:
        return _darkest_grey(stored, photometric == "MONOCHROME1", layout, header)
    raise InstanceUnreadable("Pixels of this photometric interpretation cannot be blackened")


def _darkest_grey(stored: Stored, inverted: bool, layout: PixelFormat, header: Dataset) -> int:
    """The frame's own darkest value, or its window's where that is darker still.

    With more than eight bits a value far below all others would change how viewers without a window show the rest.
    """
    bits = layout.bits_stored
    smallest, largest = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if layout.signed else (0, (1 << bits) - 1)
    if bits <= 8:
        return largest if inverted else smallest
    values = [int(stored.max() if inverted else stored.min())]
    edge = _window_edge(inverted, header)
    if edge is not None:
        values.append(edge)
    darkest = max(values) if inverted else min(values)
    return min(max(darkest, smallest), largest)


def _window_edge(inverted: bool, header: Dataset) -> int | None:
    """The stored value at the dark end of the window, where there is a plain one."""
    try:
        center, width = (header.get(keyword) for keyword in ("WindowCenter", "WindowWidth"))
        center, width = (float(each[0] if hasattr(each, "__getitem__") else each) for each in (center, width))
        slope, intercept = float(header.get("RescaleSlope") or 1), float(header.get("RescaleIntercept") or 0)
        edge = center + width / 2 if inverted else center - width / 2
        return round((edge - intercept) / slope)
    except (TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError):
        return None


def _darkest_index(layout: PixelFormat, header: Dataset) -> int:
    """The entry of the palette with the least luminance."""
    indices: npt.NDArray[Any] = np.arange(1 << min(layout.bits_stored, 16))
    kind = np.uint8 if layout.bits_allocated == 8 else np.uint16
    colours = coloured(indices.astype(kind), header).astype(np.float64)
    return int(np.argmin(colours @ (0.299, 0.587, 0.114)))

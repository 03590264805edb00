"""Overlay planes (PS3.3 C.9.2) as masks over an image: those of a presentation state, or of the image itself."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset

from service.errors import NotAcceptable
from service.web.dicomweb.pixel_decoding import DecodedFrame, unpack_bits

GROUPS: Final = range(0x6000, 0x6020, 2)

_FRAMES: Final = 0x0015
_ROWS: Final = 0x0010
_COLUMNS: Final = 0x0011
_ORIGIN: Final = 0x0050
_FIRST_FRAME: Final = 0x0051
_BIT_POSITION: Final = 0x0102
_ACTIVATION_LAYER: Final = 0x1001
_DATA: Final = 0x3000
_LARGEST: Final = 1 << 26


def activated(state: Dataset) -> dict[int, str]:
    """The groups of the overlays that a state shows, and the layer of each (PS3.3 C.11.7)."""
    layers = {group: str(_value(state, group, _ACTIVATION_LAYER) or "") for group in GROUPS}
    return {group: layer for group, layer in layers.items() if layer}


def has_overlay(item: Dataset, group: int) -> bool:
    """Whether a data set holds the bits of an overlay."""
    return (group, _DATA) in item


def overlay_mask(item: Dataset, group: int, size: tuple[int, int], number: int) -> Image.Image:
    """255 where a bit of the overlay is set.

    Parameters
    ----------
    size : columns and rows of the image
    number : of the image's frame, from 1

    Raises
    ------
    NotAcceptable : the overlay is too large, or has fewer bits than it says
    """
    rows, columns = int(_value(item, group, _ROWS)), int(_value(item, group, _COLUMNS))
    if not 0 < rows * columns <= _LARGEST:
        raise NotAcceptable("An overlay of this size is not drawn here")
    mask = Image.new("L", size, 0)
    frames = int(_value(item, group, _FRAMES) or 1)
    frame = number - int(_value(item, group, _FIRST_FRAME) or 1) if frames > 1 else 0
    if not 0 <= frame < frames:
        return mask  # this frame of the image has none
    start = frame * rows * columns
    data = bytes(_value(item, group, _DATA))[start // 8 : (start + rows * columns + 7) // 8]
    bits = unpack_bits(data, rows * columns, start % 8)
    if len(bits) < rows * columns:
        raise NotAcceptable("An overlay of the presentation state or the image is cut short")
    top, left = (int(place) - 1 for place in _value(item, group, _ORIGIN) or (1, 1))
    mask.paste(_picture(bits.reshape(rows, columns)), (left, top))
    return mask


def mask_in_pixels(image: Dataset, group: int, frame: DecodedFrame) -> Image.Image | None:
    """The same of an overlay in a bit of the pixels above Bits Stored (retired); None where there is none."""
    position = _value(image, group, _BIT_POSITION)
    layout = frame.format
    if position is None or frame.pixels.ndim != 2 or not layout.bits_stored <= int(position) < layout.bits_allocated:
        return None
    unsigned = frame.pixels.view(f"u{frame.pixels.dtype.itemsize}")
    return _picture((unsigned >> int(position)) & 1)


def _picture(bits: np.ndarray[Any, Any]) -> Image.Image:
    return Image.fromarray((bits * 255).astype(np.uint8))


def _value(item: Dataset, group: int, element: int) -> Any:
    found = item.get((group, element))
    return None if found is None else found.value

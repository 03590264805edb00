"""Pixel values → the grey or colour values of a display (PS3.4 N.2: modality, VOI and presentation transformation)."""

from __future__ import annotations

import colorsys
from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi, convert_color_space

from service.core.stored_pixels import without_unused_bits
from service.errors import NotAcceptable
from service.web.dicomweb.pixel_decoding import DecodedFrame
from service.web.dicomweb.render_parameters import Window

Pixels = np.ndarray[Any, Any]

_SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.4"
_LABEL_MAP: Final = "1.2.840.10008.5.1.4.1.1.66.7"
_GOLDEN: Final = 0.618033988749895
_BLACK_IS_LARGEST: Final = "MONOCHROME1"


def displayed(frame: DecodedFrame, header: Dataset, number: int, window: Window | None = None) -> Pixels:
    """The frame as unsigned bytes, shape (rows, columns) or (rows, columns, 3).

    Parameters
    ----------
    header : the instance's attributes; functional groups are looked into
    number : of the frame, from 1
    window : instead of the instance's own

    Raises
    ------
    NotAcceptable : a photometric interpretation that cannot be drawn
    """
    photometric = frame.format.photometric
    sop_class_uid = str(header.get("SOPClassUID", ""))
    if photometric == "PALETTE COLOR":
        return through_palette(frame.pixels, header)
    if frame.format.samples == 3:
        return _of_colour(frame)
    if frame.format.samples != 1 or not photometric.startswith("MONOCHROME"):
        raise NotAcceptable(f"Pixels with {frame.format.samples} samples and this photometric interpretation")
    if sop_class_uid == _LABEL_MAP:
        return _of_labels(frame.pixels)
    if sop_class_uid == _SEGMENTATION:
        return _of_segment(frame, header)
    grey = _of_grey(frame, header, number, window)
    return 255 - grey if photometric == _BLACK_IS_LARGEST else grey


def windowed(values: Pixels, window: Window) -> Pixels:
    """Unsigned bytes through a window (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    if window.function == "sigmoid":
        exponent = np.clip(-4 * (values - window.center) / window.width, -700, 700)
        return to_bytes(255 / (1 + np.exp(exponent)))
    if window.function == "linear-exact":
        return to_bytes(((values - window.center) / window.width + 0.5) * 255)
    if window.width <= 1:
        return to_bytes(np.where(values <= window.center - 0.5, 0, 255))
    return to_bytes(((values - (window.center - 0.5)) / (window.width - 1) + 0.5) * 255)


def _of_grey(frame: DecodedFrame, header: Dataset, number: int, window: Window | None) -> Pixels:
    groups = _functional_groups(header, number)
    values = modality_values(frame, header, groups)
    if window is not None:
        return windowed(values, window)
    own = _own_window(header, groups)
    if own is None and header.get("VOILUTSequence"):
        return through_table(values, header)
    return windowed(values, own or full_range(values, frame, header))


def through_table(values: Pixels, item: Dataset) -> Pixels:
    """Unsigned bytes through the first VOI LUT of a data set or item (PS3.3 C.11.2.1.1)."""
    drawn = apply_voi(values.astype(np.int64).clip(-(1 << 31), (1 << 31) - 1), item)
    bits = int(item.VOILUTSequence[0].LUTDescriptor[2])
    return to_bytes(drawn.astype(np.float64) * 255 / ((1 << bits) - 1))


def modality_values(frame: DecodedFrame, header: Dataset, groups: list[Dataset]) -> Pixels:
    """Rescaled values as floating point numbers."""
    for group in groups:
        for item in group.get("PixelValueTransformationSequence") or ():
            return _rescaled(_without_unused_bits(frame), item)
    if header.get("ModalityLUTSequence"):
        table = apply_modality_lut(_without_unused_bits(frame), header)
        return np.asarray(table, dtype=np.float64)
    return _rescaled(_without_unused_bits(frame), header)


def _rescaled(stored: Pixels, item: Dataset) -> Pixels:
    values: Pixels = stored.astype(np.float64)
    values *= _float(item, "RescaleSlope", 1.0)
    values += _float(item, "RescaleIntercept", 0.0)
    return values


def _without_unused_bits(frame: DecodedFrame) -> Pixels:
    layout = frame.format
    return frame.pixels if layout.bits_allocated == 1 else without_unused_bits(frame.pixels, layout.bits_stored)


def _own_window(header: Dataset, groups: list[Dataset]) -> Window | None:
    """The first window that the object itself suggests."""
    for group in groups:
        for item in group.get("FrameVOILUTSequence") or ():
            if (found := window_of(item)) is not None:
                return found
    return window_of(header)


def window_of(item: Dataset) -> Window | None:
    """The first window of a data set or item; None where it has none."""
    center, width = _float(item, "WindowCenter", None), _float(item, "WindowWidth", None)
    if center is None or width is None or width <= 0:
        return None
    function = str(item.get("VOILUTFunction") or "LINEAR").upper()
    return Window(center, width, {"LINEAR_EXACT": "linear-exact", "SIGMOID": "sigmoid"}.get(function, "linear"))


def full_range(values: Pixels, frame: DecodedFrame, header: Dataset) -> Window:
    """From the darkest to the brightest value; padding (0028,0120) is no part of the image."""
    shown = values
    padding = _float(header, "PixelPaddingValue", None)
    if padding is not None and frame.pixels.shape == values.shape:
        kept = values[frame.pixels != padding]
        shown = kept if kept.size else values
    finite = shown[np.isfinite(shown)]
    if not finite.size:
        return Window(0.0, 1.0, "linear-exact")
    low, high = float(finite.min()), float(finite.max())
    return Window((low + high) / 2, max(high - low, 1e-9), "linear-exact")


def _of_colour(frame: DecodedFrame) -> Pixels:
    layout = frame.format
    pixels = frame.pixels
    if layout.bits_allocated > 8:
        pixels = to_bytes(_without_unused_bits(frame).astype(np.float64) * 255 / ((1 << layout.bits_stored) - 1))
    pixels = np.asarray(pixels, dtype=np.uint8)
    if layout.photometric == "YBR_FULL":
        return convert_color_space(pixels, "YBR_FULL", "RGB")
    if layout.photometric not in ("RGB", "YBR_RCT", "YBR_ICT"):
        raise NotAcceptable("Pixels in this photometric interpretation cannot be drawn here")
    return pixels


def through_palette(pixels: Pixels, header: Dataset) -> Pixels:
    """The colours that the palette of a data set gives to indices (PS3.3 C.7.6.3.1.5).

    Raises
    ------
    NotAcceptable : a table is missing or broken
    """
    try:
        drawn = apply_color_lut(pixels, header)
    except Exception as error:  # pydicom says in many ways that a table is missing or broken
        raise NotAcceptable("The palette of this image cannot be read") from error
    colours = drawn[..., :3]
    return to_bytes(colours.astype(np.float64) * 255 / 65535) if drawn.dtype.itemsize > 1 else colours


def _of_segment(frame: DecodedFrame, header: Dataset) -> Pixels:
    """A binary or fractional segment: white where it is whole."""
    whole = 1.0 if frame.format.bits_allocated == 1 else _float(header, "MaximumFractionalValue", 255.0) or 255.0
    return to_bytes(frame.pixels.astype(np.float64) * 255 / whole)


def _of_labels(pixels: Pixels) -> Pixels:
    """A label map: black for the background, for each segment number a colour of its own."""
    if pixels.dtype in (np.uint8, np.uint16):
        labels, places = np.arange(int(pixels.max(initial=0)) + 1), pixels
    else:
        labels, places = np.unique(pixels, return_inverse=True)
    colours = np.zeros((len(labels), 3), dtype=np.uint8)
    for index, label in enumerate(labels.tolist()):
        if label > 0:
            red, green, blue = colorsys.hsv_to_rgb(label * _GOLDEN % 1.0, 0.75, 1.0)
            colours[index] = (round(red * 255), round(green * 255), round(blue * 255))
    return colours[places.reshape(pixels.shape)]


def _functional_groups(header: Dataset, number: int) -> list[Dataset]:
    """The functional groups of one frame, its own before the shared ones (PS3.3 C.7.6.16)."""
    groups: list[Dataset] = []
    own = header.get("PerFrameFunctionalGroupsSequence")
    if own and number <= len(own):
        groups.append(own[number - 1])
    shared = header.get("SharedFunctionalGroupsSequence")
    if shared:
        groups.append(shared[0])
    return groups


def _float(item: Dataset, keyword: str, default: float | None) -> Any:
    """The first value of an element as a number; the default where there is none that can be read."""
    try:
        value = item.get(keyword)
        if value is None or value == "":
            return default
        return float(value[0] if hasattr(value, "__getitem__") and not isinstance(value, str) else value)
    except Exception:  # noqa: BLE001 - pydicom raises what it likes on a broken number
        return default


def to_bytes(values: Pixels) -> Pixels:
    """Values rounded to what a byte holds."""
    drawn: Pixels = np.clip(np.nan_to_num(values), 0, 255).round().astype(np.uint8)
    return drawn

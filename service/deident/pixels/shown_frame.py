"""Stored values → pictures as people see them (PS3.4 N.2), for finding text and for the person who decides."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi, convert_color_space

from dicom_nodes.errors import InstanceUnreadable
from service.core.pixel_format import PixelFormat
from service.deident.pixels.frame_reader import Stored
from service.deident.pixels.palette import coloured
from service.deident.pixels.text_model import Picture

Values = npt.NDArray[np.float32]

_LARGEST_SAMPLE: Final = 1 << 20
_NARROW: Final = 0.7
"""A window of less than this part of the values' range shows something else than the range does."""


def pictures(stored: Stored, photometric: str, layout: PixelFormat, header: Dataset) -> list[Picture]:
    """The frame as it may be shown: through its own window or most of its values first, then over its whole range.

    Text brighter or darker than a window shows is seen over the whole range only.

    Raises
    ------
    InstanceUnreadable : a photometric interpretation that cannot be drawn
    """
    if photometric == "PALETTE COLOR":
        return [coloured(stored, header)]
    if stored.ndim == 3 and stored.shape[2] == 3:
        return [_colour_picture(stored, photometric, layout)]
    if stored.ndim != 2 or not photometric.startswith("MONOCHROME"):
        raise InstanceUnreadable("Pixels of this photometric interpretation are not looked at")
    return _grey_pictures(_in_use(stored, layout), photometric == "MONOCHROME1", header)


def _grey_pictures(stored: Stored, inverted: bool, header: Dataset) -> list[Picture]:
    values = _modality_values(stored, header)
    low, high = float(values.min()), float(values.max())
    shown = [_stretched(values, *limits) for limits in _windows(values, low, high, header)]
    table = _through_table(stored, header)
    if table is not None:
        shown.insert(0, table)
    return [_three(255 - picture if inverted else picture) for picture in shown]


def _windows(values: Values, low: float, high: float, header: Dataset) -> list[tuple[float, float]]:
    """The limits of the windows to look through, what people see first."""
    own = _own_window(header)
    if own is None:
        step = max(1, values.size // _LARGEST_SAMPLE)
        first, last = np.percentile(values.ravel()[::step], (0.5, 99.5))
        own = float(first), float(last)
    if own[1] - own[0] > _NARROW * (high - low) or own[1] <= own[0]:
        return [(low, high)]
    return [own, (low, high)]


def _own_window(header: Dataset) -> tuple[float, float] | None:
    """Window Center and Width (0028,1050), (0028,1051) as limits; the first of several."""
    try:
        center, width = (header.get(keyword) for keyword in ("WindowCenter", "WindowWidth"))
        center, width = (float(each[0] if hasattr(each, "__getitem__") else each) for each in (center, width))
    except (TypeError, ValueError, IndexError):
        return None
    return (center - width / 2, center + width / 2) if width >= 1 else None


def _modality_values(stored: Stored, header: Dataset) -> Values:
    try:
        if header.get("ModalityLUTSequence"):
            return np.asarray(apply_modality_lut(stored, header), dtype=np.float32)
        slope, intercept = float(header.get("RescaleSlope") or 1), float(header.get("RescaleIntercept") or 0)
    except Exception:  # noqa: BLE001 - a broken table shows other greys, the text is the same
        return stored.astype(np.float32)
    return stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)


def _through_table(stored: Stored, header: Dataset) -> npt.NDArray[np.uint8] | None:
    """The frame through its VOI LUT (PS3.3 C.11.2), where it has one."""
    try:
        if not header.get("VOILUTSequence"):
            return None
        values = np.asarray(apply_voi(np.asarray(apply_modality_lut(stored, header)).astype(np.int64), header))
    except Exception:  # noqa: BLE001 - a broken table shows nothing; the windows remain
        return None
    return _stretched(values.astype(np.float32), float(values.min()), float(values.max()))


def _stretched(values: Values, low: float, high: float) -> npt.NDArray[np.uint8]:
    if high <= low:
        return np.zeros(values.shape, dtype=np.uint8)
    scaled: Values = (values - np.float32(low)) * np.float32(255 / (high - low))
    return np.asarray(np.clip(scaled, 0, 255), dtype=np.uint8)


def _in_use(stored: Stored, layout: PixelFormat) -> Stored:
    """Without the bits above Bits Stored, which may hold an overlay (PS3.5 8.1.1)."""
    spare = layout.bits_allocated - layout.bits_stored
    if spare <= 0 or layout.bits_allocated not in (8, 16, 32) or stored.dtype.kind not in "iu":
        return stored
    native = stored.astype(stored.dtype.newbyteorder("="))
    shifted: Stored = (native << spare) >> spare
    return shifted


def _colour_picture(stored: Stored, photometric: str, layout: PixelFormat) -> Picture:
    shift = max(0, layout.bits_stored - 8)
    eight = np.ascontiguousarray(stored >> shift if shift else stored).astype(np.uint8)
    if photometric in ("YBR_FULL", "YBR_FULL_422"):
        eight = convert_color_space(eight, "YBR_FULL", "RGB")
    elif photometric not in ("RGB", "YBR_RCT", "YBR_ICT"):
        raise InstanceUnreadable("Pixels of this photometric interpretation are not looked at")
    return np.ascontiguousarray(eight)


def _three(grey: npt.NDArray[np.uint8]) -> Picture:
    return np.repeat(grey[:, :, None], 3, axis=2)

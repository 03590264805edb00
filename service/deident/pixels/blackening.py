"""Blackening regions of an object's pixels in the form that came in, and what its header then has to say."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from pydicom.dataset import Dataset

from service.deident.pixels.blackened_frames import EncapsulatedValue, EncodedFrames, encode_blackened
from service.deident.pixels.blackened_native import blackened_native
from service.deident.pixels.extended_jpeg import LOSSY_JPEG
from service.deident.pixels.frame_reader import JPEG_BASELINE, FrameReader
from service.deident.pixels.pixel_outcome import BlackenedPixels, Region
from service.deident.pixels.pixel_source import PixelSource

SMALLEST_AND_LARGEST: Final = (0x00280106, 0x00280107)
"""Smallest and Largest Image Pixel Value: optional, and perhaps those of the text that is gone."""
EXTENDED_TABLES: Final = (0x7FE00001, 0x7FE00002)
_JPEG_METHOD: Final = "ISO_10918_1"


def blacken_pixels(
    frames: FrameReader, pixels: PixelSource, header: Dataset, regions: Sequence[Region]
) -> BlackenedPixels:
    """Blacken regions and encode what changed again.

    Raises
    ------
    InstanceUnreadable, TransferSyntaxNotSupported : it cannot be done, with the reason
    """
    removed = [tag for tag in SMALLEST_AND_LARGEST if tag in header]
    if frames.native:
        value = blackened_native(frames, pixels, header, regions)
        return BlackenedPixels(value, frames.transfer_syntax_uid, False, Dataset(), tuple(removed))
    encoded = encode_blackened(frames, header, regions)
    extended = EXTENDED_TABLES[0] in header
    encapsulated = EncapsulatedValue(encoded.frames, pixels, basic_table=not extended)
    changed = _changes(frames, header, encoded)
    if extended:
        changed.ExtendedOffsetTable = struct.pack(f"<{len(encapsulated.offsets)}Q", *encapsulated.offsets)
        changed.ExtendedOffsetTableLengths = struct.pack(f"<{len(encapsulated.lengths)}Q", *encapsulated.lengths)
    return BlackenedPixels(encapsulated, encoded.transfer_syntax_uid, True, changed, tuple(removed))


def with_changes(header: Dataset, blackened: BlackenedPixels) -> Dataset:
    """The header as it stands beside the new pixels; the one that came in is not changed."""
    changed = Dataset()
    changed.set_original_encoding(*header.original_encoding)
    changed.update(header)
    for tag in blackened.removed:
        del changed[tag]
    changed.update(blackened.changed)
    return changed


def _changes(frames: FrameReader, header: Dataset, encoded: EncodedFrames) -> Dataset:
    """What the new frames change in the header (PS3.3 C.7.6.3.1, C.7.6.1.1.5)."""
    changed = Dataset()
    if encoded.photometric != frames.format.photometric:
        changed.PhotometricInterpretation = encoded.photometric
    if frames.format.samples > 1 and encoded.transfer_syntax_uid != frames.transfer_syntax_uid:
        changed.PlanarConfiguration = 0
    if encoded.transfer_syntax_uid == JPEG_BASELINE:
        _stamp_loss(changed, frames, header, encoded, again=True)
    elif frames.transfer_syntax_uid in LOSSY_JPEG:
        _stamp_loss(changed, frames, header, encoded, again=False)
    return changed


def _stamp_loss(changed: Dataset, frames: FrameReader, header: Dataset, encoded: EncodedFrames, *, again: bool) -> None:
    """What was lost in JPEG: the loss that came in, named where it was not, and ours where there is one."""
    layout = frames.format
    native = layout.rows * layout.columns * layout.samples * layout.bits_stored / 8 * len(encoded.changed)
    ratios, methods = (_values(header, name) for name in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"))
    first = f"{native / max(1, encoded.original_bytes):.4g}"
    second = [f"{native / max(1, encoded.encoded_bytes):.4g}"] if again else []
    changed.LossyImageCompression = "01"
    changed.LossyImageCompressionRatio = [*(ratios or [first]), *second]
    changed.LossyImageCompressionMethod = [*(methods or [_JPEG_METHOD]), *([_JPEG_METHOD] if again else [])]


def _values(header: Dataset, keyword: str) -> list[str]:
    try:
        value = header.get(keyword)
    except Exception:  # noqa: BLE001 - pydicom raises what it likes on values that break their VR
        return []
    if value is None or value == "":
        return []
    return [str(value)] if isinstance(value, str | float | int) else [str(each) for each in value]

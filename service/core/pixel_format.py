"""What the Image Pixel module says about the pixels of one object (PS3.3 C.7.6.3), read from encoded bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from service.core.encoded_data_set import Encoding, elements
from service.errors import InstanceNotFound

FLOAT_PIXEL_DATA: Final = 0x7FE00008
DOUBLE_FLOAT_PIXEL_DATA: Final = 0x7FE00009
_EXTENDED_OFFSET_TABLE: Final = 0x7FE00001
_EXTENDED_OFFSET_TABLE_LENGTHS: Final = 0x7FE00002
_WANTED: Final = frozenset(
    {
        0x00280002,
        0x00280004,
        0x00280006,
        0x00280008,
        0x00280010,
        0x00280011,
        0x00280100,
        0x00280101,
        0x00280103,
        0x00282110,
    }
)


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How the pixels of an object are laid out; ``bits_stored`` and ``signed`` say nothing for float pixels."""

    tag: int
    rows: int
    columns: int
    samples: int
    frames: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    photometric: str
    planar: int
    lossy: bool

    @property
    def samples_per_frame(self) -> int:
        """Values in one native frame; YBR_FULL_422 shares its chroma between two pixels (PS3.3 C.7.6.3.1.2)."""
        samples = 2 if self.photometric == "YBR_FULL_422" and self.samples == 3 else self.samples
        return self.rows * self.columns * samples

    @property
    def native_frame_bytes(self) -> int:
        """Bytes of one native frame that starts on its own byte."""
        return (self.samples_per_frame * self.bits_allocated + 7) // 8


@dataclass(frozen=True, slots=True)
class OffsetTable:
    """An Extended Offset Table (PS3.3 C.7.6.3.1.8): the start and length of each frame, in bytes."""

    offsets: tuple[int, ...]
    lengths: tuple[int, ...]


def read_pixel_format(header: bytes | memoryview, encoding: Encoding, pixel_tag: int) -> PixelFormat:
    """Read the layout from the header of a data set.

    Raises
    ------
    InstanceNotFound : the header lacks Rows or Columns, so there are no frames
    """
    view = memoryview(header)
    found: dict[int, bytes] = {}
    for element in elements(view, encoding):
        if element.tag in _WANTED:
            found[element.tag] = bytes(view[element.value_start : element.value_end])
        if element.tag >> 16 > 0x0028:
            break  # what follows can be long: functional groups of every frame

    def number(tag: int, default: int) -> int:
        value = found.get(tag, b"")
        return int(struct.unpack(encoding.order + "H", value[:2])[0]) if len(value) >= 2 else default

    def text(tag: int) -> str:
        return found.get(tag, b"").decode("ascii", "replace").strip("\0 ")

    rows, columns = number(0x00280010, 0), number(0x00280011, 0)
    if not rows or not columns:
        raise InstanceNotFound("This instance has no frames")
    bits = {FLOAT_PIXEL_DATA: 32, DOUBLE_FLOAT_PIXEL_DATA: 64}.get(pixel_tag) or number(0x00280100, 16)
    return PixelFormat(
        tag=pixel_tag,
        rows=rows,
        columns=columns,
        samples=number(0x00280002, 1),
        frames=_frames(text(0x00280008)),
        bits_allocated=bits,
        bits_stored=number(0x00280101, bits),
        signed=number(0x00280103, 0) == 1,
        photometric=text(0x00280004) or "MONOCHROME2",
        planar=number(0x00280006, 0),
        lossy=text(0x00282110) == "01",
    )


def read_offset_table(header: bytes | memoryview, encoding: Encoding) -> OffsetTable | None:
    """Read the Extended Offset Table and its lengths; None where there is none."""
    view = memoryview(header)
    found: dict[int, tuple[int, ...]] = {}
    for element in elements(view, encoding):
        if element.tag in (_EXTENDED_OFFSET_TABLE, _EXTENDED_OFFSET_TABLE_LENGTHS):
            value = bytes(view[element.value_start : element.value_end])
            found[element.tag] = struct.unpack(f"<{len(value) // 8}Q", value[: len(value) // 8 * 8])
    offsets, lengths = found.get(_EXTENDED_OFFSET_TABLE, ()), found.get(_EXTENDED_OFFSET_TABLE_LENGTHS, ())
    return OffsetTable(offsets, lengths) if offsets and len(offsets) == len(lengths) else None


def _frames(text: str) -> int:
    """Number of Frames (0028,0008), 1 where it is absent or no number."""
    try:
        return max(1, int(text.split("\\", maxsplit=1)[0]))
    except ValueError:
        return 1

"""Objects of gigabytes that cost neither memory nor disk to make: their frames are holes in a file, or made as sent."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import UID, EnhancedCTImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless

from tests.commented_frames import SOT, jpeg_2000
from tests.datasets import as_file, ct_slice, encode

ROWS: Final = 4096
COLUMNS: Final = 4096
FRAME: Final = ROWS * COLUMNS * 2
MOST_FRAMES: Final = 127
"""More would not fit the length of a native pixel element."""
_ITEM: Final = b"\xfe\xff\x00\xe0"
_DELIMITER: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"
_UNDEFINED: Final = 0xFFFFFFFF


def multiframe_header(frames: int) -> Dataset:
    """A CT of many frames with identity in its header, and no pixel data."""
    header = ct_slice()
    header.SOPClassUID = EnhancedCTImageStorage
    header.NumberOfFrames = frames
    header.Rows, header.Columns = ROWS, COLUMNS
    del header.PixelData
    return header


def native_data_set(frames: int) -> Iterator[bytes]:
    """The data set as it is sent, a MiB at a time."""
    yield encode(multiframe_header(frames)) + _pixel_head(b"OW", frames * FRAME)
    for number in range(frames):
        chunk = struct.pack("<H", number) * (1 << 19)
        for _ in range(FRAME >> 20):
            yield chunk


def write_native(path: Path, frames: int) -> Path:
    """A file whose pixels are a hole, with another hole and a name behind them."""
    with path.open("wb") as file:
        file.write(_start(frames, ExplicitVRLittleEndian) + _pixel_head(b"OW", frames * FRAME))
        file.truncate(file.tell() + frames * FRAME)
        file.seek(0, 2)
        file.write(b"\xfc\xff\xfc\xffOB\0\0\x08\0\0\0Doe Jane")
    return path


def write_encapsulated(path: Path, fragments: Sequence[int]) -> Path:
    """A file with one fragment for each frame, of these sizes: JPEG 2000 whose one tile is a hole."""
    picture = jpeg_2000()
    tile = picture.index(SOT)
    with path.open("wb") as file:
        file.write(_start(len(fragments), JPEG2000Lossless) + _pixel_head(b"OB", _UNDEFINED) + _ITEM + bytes(4))
        for size in fragments:
            file.write(_ITEM + struct.pack("<I", size))
            length = struct.pack(">I", size - tile - 2)
            file.write(picture[: tile + 6] + length + b"\0\1\xff\x93")
            file.seek(size - tile - 16, 1)
            file.write(b"\xff\xd9")
        file.write(_DELIMITER)
        file.write(b"\xfc\xff\xfc\xffOB\0\0\x08\0\0\0Doe Jane")
    return path


def _start(frames: int, transfer_syntax_uid: UID) -> bytes:
    return as_file(multiframe_header(frames), transfer_syntax_uid)


def _pixel_head(vr: bytes, length: int) -> bytes:
    return struct.pack("<HH2s2xI", 0x7FE0, 0x0010, vr, length)

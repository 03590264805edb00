"""Objects that are large without Pixel Data or before it; in a file their long values are holes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian, RawDataStorage

from tests.bad_objects import file_lead
from tests.datasets import ct_slice, encode

MEBIBYTE: Final = 1 << 20
_ITEM: Final = 0xFFFEE000


def headers_alone(sop_class_uid: str = RawDataStorage) -> Dataset:
    """A data set with identity in it and no pixels."""
    header = ct_slice()
    header.SOPClassUID = sop_class_uid
    del header.PixelData
    return header


def head(tag: int, vr: str, length: int, order: str = "<") -> bytes:
    """Tag, VR and length (PS3.5 7.1.2)."""
    return struct.pack(f"{order}HH2s2xI", tag >> 16, tag & 0xFFFF, vr.encode(), length)


def document() -> Dataset:
    """What stands before the document in an encapsulated PDF."""
    header = headers_alone(EncapsulatedPDFStorage)
    header.add_new(0x00420010, "ST", "")
    return header


def waveform_heads(size: int) -> bytes:
    """What stands before the bytes of a Waveform Sequence with one item."""
    item = Dataset()
    item.NumberOfWaveformChannels = 12
    content = encode(item) + head(0x54001010, "OW", size)
    length = len(content) + size
    return head(0x54000100, "SQ", length + 8) + struct.pack("<HHI", _ITEM >> 16, _ITEM & 0xFFFF, length) + content


def contours(size: int) -> Iterator[bytes]:
    """A structure set of about so many bytes of contours, a MiB at a time."""
    points = b"\\".join([b"-123.45"] * 180)
    contour = struct.pack("<HH2sH", 0x3006, 0x0050, b"DS", len(points) + len(points) % 2) + points.ljust(
        len(points) + len(points) % 2
    )
    item = struct.pack("<HHI", _ITEM >> 16, _ITEM & 0xFFFF, len(contour)) + contour
    some = item * (MEBIBYTE // len(item))
    count = size // len(some)
    within = count * len(some)
    sequence = head(0x30060040, "SQ", within)
    yield encode(headers_alone("1.2.840.10008.5.1.4.1.1.481.3"))
    yield head(0x30060039, "SQ", 8 + len(sequence) + within)
    yield struct.pack("<HHI", _ITEM >> 16, _ITEM & 0xFFFF, len(sequence) + within) + sequence
    for _ in range(count):
        yield some


def write_sparse(path: Path, start: bytes, size: int, end: bytes = b"") -> Path:
    """A file whose data set is a start, a value of zeros that takes no room, and an end."""
    with path.open("wb") as file:
        file.write(file_lead(ExplicitVRLittleEndian.encode()) + start)
        file.seek(size - 1, 1)
        file.write(b"\0" + end)
    return path


def sent(start: bytes, size: int, end: bytes = b"") -> Iterator[bytes]:
    """The same as it is sent, without file meta: the value counts its MiBs."""
    yield start
    for number in range(size // MEBIBYTE):
        yield struct.pack("<I", number) * (MEBIBYTE // 4)
    yield end

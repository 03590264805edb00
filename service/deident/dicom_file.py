"""A DICOM file on disk, taken apart at its pixel data, and written again around a clean header.

Only the header is ever held in memory, and only Pixel Data itself is copied, not what trails it (PS3.10 7.1).
"""

from __future__ import annotations

import io
import os
import secrets
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_nodes.errors import InstanceUnreadable
from service import __version__
from service.core.implementation import IMPLEMENTATION_CLASS_UID
from service.deident.uid_map import is_uid

PIXEL_TAGS = frozenset({(0x7FE0, 0x0008), (0x7FE0, 0x0009), (0x7FE0, 0x0010)})
UNDEFINED = 0xFFFFFFFF
CHUNK = 1 << 20
MAX_INFLATED = 1 << 30
"""A deflated data set that grows beyond this is not a header with pixels but an attack."""


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Where the pixel data element lies in a file, with its head and, when encapsulated, its delimiter."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True, eq=False)
class OpenFile:
    """A file as read up to its pixel data."""

    stream: BinaryIO
    header: Dataset
    transfer_syntax_uid: UID
    pixels: PixelElement | None


def read_dicom(stream: BinaryIO) -> OpenFile:
    """Read a file as far as its pixel data; one without preamble and file meta is read by its looks.

    Raises
    ------
    InstanceUnreadable : it is not DICOM, is cut short, or inflates beyond all bounds
    """
    try:
        stream = _inflated(stream)
        stream.seek(0)
        header = dcmread(stream, stop_before_pixels=True, force=True)
        position = stream.tell()
        meta = getattr(header, "file_meta", None)
        transfer_syntax = str(meta.get("TransferSyntaxUID", "")) if meta is not None else ""
        implicit, little = header.original_encoding
        pixels = _pixel_element(stream, position, bool(implicit), bool(little))
    except InstanceUnreadable:
        raise
    except Exception as error:  # noqa: BLE001 - pydicom raises whatever the bytes lead it to; its words quote values
        raise InstanceUnreadable(f"not readable as DICOM ({type(error).__name__})") from None
    if 0x00080016 not in header and not _has_prefix(stream):
        raise InstanceUnreadable("not a DICOM file")
    if not is_uid(transfer_syntax):
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        transfer_syntax = ImplicitVRLittleEndian if implicit else explicit
    return OpenFile(stream, header, UID(transfer_syntax), pixels)


def _has_prefix(stream: BinaryIO) -> bool:
    stream.seek(0)
    return stream.read(132)[128:] == b"DICM"


def write_dicom(directory: Path, source: OpenFile, clean: Dataset) -> Path:
    """Write a clean header with the pixel data of its source, named by its new SOP Instance UID.

    Raises
    ------
    FileExistsError : there is a file of that name; nothing is overwritten
    """
    sop_instance_uid = UID(str(clean.SOPInstanceUID))
    target = directory / f"{sop_instance_uid}.dcm"
    beside = directory / f".{secrets.token_hex(8)}.part"
    try:
        with beside.open("xb") as file:
            _write(file, source, clean, sop_instance_uid)
            file.flush()
            os.fsync(file.fileno())
        os.link(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    return target


def _write(file: BinaryIO, source: OpenFile, clean: Dataset, sop_instance_uid: UID) -> None:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = clean.SOPClassUID
    meta.MediaStorageSOPInstanceUID = sop_instance_uid
    meta.TransferSyntaxUID = source.transfer_syntax_uid
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = f"ANNOGATE {__version__}"[:16]
    file.write(bytes(128) + b"DICM")
    write_file_meta_info(DicomFileLike(file), meta)
    data_set = DicomFileLike(file)
    implicit, little = source.header.original_encoding
    data_set.is_implicit_VR, data_set.is_little_endian = bool(implicit), bool(little)
    write_dataset(data_set, clean)
    for chunk in _pixel_chunks(source):
        file.write(chunk)


def _pixel_chunks(source: OpenFile) -> Iterator[bytes]:
    if source.pixels is None:
        return
    source.stream.seek(source.pixels.offset)
    left = source.pixels.length
    while left:
        chunk = source.stream.read(min(left, CHUNK))
        if not chunk:
            raise InstanceUnreadable("the file was cut short while it was read")
        left -= len(chunk)
        yield chunk


def _inflated(stream: BinaryIO) -> BinaryIO:
    """Return the stream, or a deflated one inflated under a limit, as Explicit VR Little Endian (PS3.5 A.5)."""
    if stream.read(132)[128:] != b"DICM" or _transfer_syntax(stream) != DeflatedExplicitVRLittleEndian:
        return stream
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    content = inflater.decompress(stream.read(), MAX_INFLATED)
    if inflater.unconsumed_tail:
        raise InstanceUnreadable(f"the deflated data set is larger than {MAX_INFLATED >> 20} MiB")
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    whole = io.BytesIO(bytes(128) + b"DICM")
    whole.seek(0, os.SEEK_END)
    write_file_meta_info(DicomFileLike(whole), meta, enforce_standard=False)
    whole.write(content)
    return whole


def _transfer_syntax(stream: BinaryIO) -> str:
    """Read file meta from after the prefix; the stream is left at the data set."""
    found = ""
    while True:
        head = stream.read(8)
        if len(head) < 8 or head[:2] != b"\x02\x00":
            stream.seek(-len(head), os.SEEK_CUR)
            return found
        _, element, vr, length = struct.unpack("<HH2sH", head)
        if vr in (b"OB", b"UN", b"OW", b"UT", b"SQ", b"UR", b"UC"):
            (length,) = struct.unpack("<I", stream.read(4))
        value = stream.read(length)
        if element == 0x0010:
            found = value.decode("ascii", "replace").strip("\0 ")


def _pixel_element(stream: BinaryIO, position: int, implicit: bool, little: bool) -> PixelElement | None:
    """Find the end of the pixel data element that starts at a position; None where there is none."""
    order = "<" if little else ">"
    stream.seek(0, os.SEEK_END)
    size = stream.tell()
    stream.seek(position)
    head = stream.read(12)
    if len(head) < 8 or struct.unpack_from(f"{order}HH", head) not in PIXEL_TAGS:
        if position < size - 8:
            raise InstanceUnreadable("cut short in its header")
        return None
    if implicit:
        (length,), start = struct.unpack_from(f"{order}I", head, 4), position + 8
    else:
        (length,), start = struct.unpack_from(f"{order}I", head.ljust(12, b"\0"), 8), position + 12
    end = start + length if length != UNDEFINED else _end_of_items(stream, start, order)
    if end > size:
        raise InstanceUnreadable("cut short in its pixel data")
    return PixelElement(position, end - position)


def _end_of_items(stream: BinaryIO, position: int, order: str) -> int:
    """Return where encapsulated pixel data ends, its sequence delimiter included (PS3.5 A.4)."""
    while True:
        stream.seek(position)
        head = stream.read(8)
        if len(head) < 8:
            raise InstanceUnreadable("cut short in its pixel data")
        group, element, length = struct.unpack(f"{order}HHI", head)
        position += 8
        if (group, element) == (0xFFFE, 0xE0DD):
            return position
        if (group, element) != (0xFFFE, 0xE000) or length == UNDEFINED:
            raise InstanceUnreadable("its encapsulated pixel data is not a sequence of fragments")
        position += length

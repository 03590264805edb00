"""A result as the file under which it is kept, and as the index knows it."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian

from service.core.implementation import IMPLEMENTATION_CLASS_UID
from service.core.records import PixelLocation, StoredBlob
from service.errors import ObjectInvalid

TRANSFER_SYNTAX_UID: Final = str(ExplicitVRLittleEndian)
_PREFIX: Final = bytes(128) + b"DICM"
_PIXEL_DATA: Final = 0x7FE00010


@dataclass(frozen=True, slots=True, eq=False)
class ResultFile:
    """One object in Explicit VR Little Endian (PS3.10 7), its pixel value apart from its header."""

    header: Dataset = field(repr=False)
    parts: tuple[bytes, ...] = field(repr=False)
    blob: StoredBlob


def result_file(result: Dataset, key: str, version: str) -> ResultFile:
    """Encode an object that was made here.

    Parameters
    ----------
    key : the blob's
    version : of the gateway, for the Implementation Version Name

    Raises
    ------
    ObjectInvalid : its pixels are compressed
    """
    if result.file_meta.TransferSyntaxUID.is_encapsulated:
        raise ObjectInvalid("a result is written with compressed pixels")
    header = Dataset()
    header.update(result)
    header.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    pixels = bytes(header[_PIXEL_DATA].value) if _PIXEL_DATA in header else b""
    parts = [_PREFIX + _file_meta(result, version)]
    location = None
    if _PIXEL_DATA in header:
        del header[_PIXEL_DATA]
    parts.append(_encode(header))
    if pixels:
        pixels += b"\0" * (len(pixels) % 2)
        # OB for bit-packed and 8-bit frames, OW where a sample fills a word (PS3.5 8.1.1, A.2).
        vr = b"OW" if header.BitsAllocated > 8 else b"OB"
        parts.append(struct.pack("<HH2s2xI", _PIXEL_DATA >> 16, _PIXEL_DATA & 0xFFFF, vr, len(pixels)))
        location = PixelLocation(_PIXEL_DATA, sum(map(len, parts)), len(pixels), encapsulated=False)
        parts.append(pixels)
    blob = StoredBlob(key, sum(map(len, parts)), len(parts[0]), location)
    return ResultFile(header, tuple(parts), blob)


def _file_meta(result: Dataset, version: str) -> bytes:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = result.SOPClassUID
    meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = version[:16]
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta, enforce_standard=True)
    return buffer.getvalue()


def _encode(header: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, header)
    return buffer.getvalue()

"""A result as the file under which it is kept, and as the index knows it."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from service.core.data_set_writing import encode_explicit
from service.core.encoded_data_set import SEQUENCE_DELIMITER, UNDEFINED_LENGTH
from service.core.explicit_little_endian import encode_pixel_head
from service.core.implementation import IMPLEMENTATION_CLASS_UID
from service.core.records import PixelLocation, StoredBlob

_PREFIX: Final = bytes(128) + b"DICM"
_PIXEL_DATA: Final = 0x7FE00010
_SEQUENCE_END: Final = struct.pack("<HHI", SEQUENCE_DELIMITER >> 16, SEQUENCE_DELIMITER & 0xFFFF, 0)


@dataclass(frozen=True, slots=True, eq=False)
class ResultFile:
    """One object in Explicit VR Little Endian, or Implicit where it has to be (PS3.10 7); its pixel value lies apart.

    Parameters
    ----------
    transfer_syntax_uid : that, or the one in which its frames are compressed
    """

    header: Dataset = field(repr=False)
    transfer_syntax_uid: str
    parts: tuple[bytes, ...] = field(repr=False)
    blob: StoredBlob


def result_file(result: Dataset, key: str, version: str) -> ResultFile:
    """Encode an object that was made here; its frames may be compressed.

    Parameters
    ----------
    key : the blob's
    version : of the gateway, for the Implementation Version Name
    """
    header = Dataset()
    header.update(result)
    element = header.get(_PIXEL_DATA)
    if element is not None:
        del header[_PIXEL_DATA]
    encapsulated = element is not None and element.is_undefined_length
    own = str(result.file_meta.TransferSyntaxUID) if "file_meta" in result.__dict__ else ""
    syntax = own if encapsulated or own == ImplicitVRLittleEndian else str(ExplicitVRLittleEndian)
    parts = [_PREFIX + _file_meta(result, syntax, version), _encoded(header, implicit=own == ImplicitVRLittleEndian)]
    location = None
    if element is not None and element.value:
        pixels = _even(bytes(element.value))
        parts.append(encode_pixel_head(_PIXEL_DATA, _pixel_vr(header, encapsulated), _length(pixels, encapsulated)))
        location = PixelLocation(_PIXEL_DATA, sum(map(len, parts)), len(pixels), encapsulated)
        parts += [pixels, _SEQUENCE_END] if encapsulated else [pixels]
    blob = StoredBlob(key, sum(map(len, parts)), len(parts[0]), location)
    return ResultFile(header, syntax, tuple(parts), blob)


def _encoded(header: Dataset, *, implicit: bool) -> bytes:
    """The header; implicit for what has longer values than a length of two bytes can tell (PS3.5 7.1.2)."""
    header.set_original_encoding(is_implicit_vr=implicit, is_little_endian=True)
    if not implicit:
        return encode_explicit(header)
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = True, True
    write_dataset(buffer, header)
    return buffer.getvalue()


def _pixel_vr(header: Dataset, encapsulated: bool) -> str:
    """OB for compressed, bit-packed and 8-bit frames, OW where a sample fills a word (PS3.5 8.1.1, A.2)."""
    return "OW" if header.BitsAllocated > 8 and not encapsulated else "OB"


def _length(pixels: bytes, encapsulated: bool) -> int:
    return UNDEFINED_LENGTH if encapsulated else len(pixels)


def _even(value: bytes) -> bytes:
    return value + b"\0" if len(value) % 2 else value


def _file_meta(result: Dataset, transfer_syntax_uid: str, version: str) -> bytes:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = result.SOPClassUID
    meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = version[:16]
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta, enforce_standard=True)
    return buffer.getvalue()

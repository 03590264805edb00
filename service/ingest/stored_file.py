"""The file under which an object is kept: a fresh envelope round the data set as it came, or as it was cleaned."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from dicom_nodes.errors import InstanceUnreadable
from service.core.encoded_bytes import EncodedBytes, Keep, chunks
from service.core.encoded_data_set import Encoding
from service.core.records import PixelLocation, StoredBlob
from service.deident.encoded_header import encoded_header
from service.ingest import pixel_data
from service.ingest.parsing import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    IMPLICIT_TRANSFER_SYNTAXES,
    ParsedInstance,
    number_of,
    text_of,
)
from service.ingest.part10 import file_head


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A DICOM file in the parts that it is written from, and what the index must know of it."""

    parts: tuple[EncodedBytes, ...] = field(repr=False)
    data_set_offset: int
    pixels: PixelLocation | None

    def blob(self, key: str) -> StoredBlob:
        """What the index keeps once the file lies under ``key``."""
        return StoredBlob(key, sum(len(part) for part in self.parts), self.data_set_offset, self.pixels)

    def content(self) -> Iterator[bytes | memoryview]:
        """Yield the file piece by piece, from its start; can be had again."""
        for part in self.parts:
            yield from chunks(part)


def original_file(parsed: ParsedInstance, data_set: EncodedBytes, implementation_version: str) -> StoredFile:
    """The object byte for byte as it came, what follows its pixels included."""
    head = _head(parsed, parsed.sop_class_uid, parsed.sop_instance_uid, implementation_version)
    location = _location(parsed, len(head) + parsed.pixels.offset) if parsed.pixels else None
    return StoredFile((head, data_set), len(head), location)


def cleaned_file(
    parsed: ParsedInstance,
    header: Dataset,
    implementation_version: str,
    keep: Keep = b"".join,
    encoded: bytes | None = None,
) -> StoredFile:
    """The object with another header in the same transfer syntax; of what came, only its pixels are carried over.

    Parameters
    ----------
    keep : keeps a data set that has to be deflated again
    encoded : the header in the encoding in which it was read, where that is at hand

    Raises
    ------
    InstanceUnreadable : a value cannot be written in this transfer syntax
    """
    implicit_vr = parsed.transfer_syntax_uid in IMPLICIT_TRANSFER_SYNTAXES
    little_endian = parsed.transfer_syntax_uid != EXPLICIT_VR_BIG_ENDIAN
    # Of the clean header: a class that is known for none has another UID there.
    uids = text_of(header, 0x00080016), text_of(header, 0x00080018)
    head = _head(parsed, *uids, implementation_version)
    if encoded is None or header.original_encoding != (implicit_vr, little_endian):
        if parsed.aside and header.original_encoding != (implicit_vr, little_endian):
            raise InstanceUnreadable("Too large to be written anew: it is not in the encoding of its transfer syntax")
        encoded = _encode(header, implicit_vr=implicit_vr, little_endian=little_endian)
    body = parsed.aside.parts(encoded, Encoding(implicit_vr, little_endian))
    location = None
    if parsed.pixels is not None:
        pixel_head = pixel_data.encode_head(
            parsed.pixels,
            implicit_vr=implicit_vr,
            little_endian=little_endian,
            bits_allocated=number_of(header, 0x00280100),
        )
        location = _location(parsed, len(head) + sum(map(len, body)) + len(pixel_head))
        body += [pixel_head, parsed.pixels.value, pixel_data.encode_tail(parsed.pixels, little_endian=little_endian)]
    if parsed.transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        body = [keep(_deflated(body))]
    return StoredFile((head, *body), len(head), location)


def _head(parsed: ParsedInstance, sop_class_uid: str, sop_instance_uid: str, implementation_version: str) -> bytes:
    return file_head(
        sop_class_uid,
        sop_instance_uid,
        parsed.transfer_syntax_uid,
        implementation_version=implementation_version,
    )


def _location(parsed: ParsedInstance, offset: int) -> PixelLocation | None:
    if parsed.pixels is None:
        return None
    return PixelLocation(parsed.pixels.tag, offset, len(parsed.pixels.value), parsed.pixels.encapsulated)


def _encode(header: Dataset, *, implicit_vr: bool, little_endian: bool) -> bytes:
    try:
        if header.original_encoding == (implicit_vr, little_endian):
            return encoded_header(header, implicit_vr=implicit_vr, little_endian=little_endian)
        buffer = DicomBytesIO()
        buffer.is_implicit_VR, buffer.is_little_endian = implicit_vr, little_endian
        write_dataset(buffer, header)  # the sender's encoding was not what its transfer syntax says
    except Exception as err:  # pydicom writes what scanners sent here, with whatever error that provokes
        raise InstanceUnreadable("A value cannot be written back in its transfer syntax") from err
    return buffer.getvalue()


def _deflated(parts: Iterable[EncodedBytes]) -> Iterator[bytes]:
    """Deflate a whole data set piece by piece (PS3.5 A.5): no header, padded to an even length."""
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    size = 0
    for part in parts:
        for chunk in chunks(part):
            deflated = stream.compress(chunk)
            size += len(deflated)
            if deflated:
                yield deflated
    last = stream.flush()
    yield last + b"\0" * ((size + len(last)) % 2)

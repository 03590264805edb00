"""A whole instance as a DICOM file: as stored, in Explicit VR Little Endian, or compressed (PS3.18 8.7.3.3)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from service import __version__
from service.core.archived import InstanceRow
from service.core.explicit_little_endian import (
    encode_element,
    encode_pixel_head,
    swap_bytes,
    to_explicit_little_endian,
)
from service.core.pixel_format import PixelFormat, read_pixel_format
from service.core.ports import BlobStore
from service.errors import NotAcceptable
from service.ingest.part10 import file_head
from service.web.dicomweb.file_stretch import FileStretch
from service.web.dicomweb.frame_reader import (
    FrameLayouts,
    FrameReader,
    native_bytes,
    pixels_are_big_endian,
    swapped_width,
)
from service.web.dicomweb.media_types import EXPLICIT_VR_LITTLE_ENDIAN, is_video
from service.web.dicomweb.pixel_decoding import can_decode, may_be_lossy, pack_bits
from service.web.dicomweb.pixel_encoding import encode_frame, encoded_format, lossless_encodings
from service.web.dicomweb.stored_object import StoredObject

_UNDEFINED: Final = 0xFFFFFFFF
_OFFSET_TABLES: Final = (0x7FE00001, 0x7FE00002)
_SWAPPED_AS: Final = {2: "OW", 4: "OL", 8: "OV"}


@dataclass(frozen=True, slots=True)
class ObjectFile:
    """A DICOM file about to be sent; ``open`` makes its bytes, ``length`` is theirs where it is known beforehand.

    ``stretch`` is where they lie, for a file that goes as it is stored.
    """

    transfer_syntax_uid: str
    length: int | None
    open: Callable[[], Iterator[bytes]] = field(repr=False)
    stretch: FileStretch | None = None


class ObjectFiles:
    """Makes files of stored instances, in bounded memory: a header and one frame at a time."""

    def __init__(self, blobs: BlobStore, layouts: FrameLayouts) -> None:
        self._blobs = blobs
        self._layouts = layouts

    def as_stored(self, row: InstanceRow) -> ObjectFile:
        """The file as it lies in the store."""
        stretch = FileStretch(lambda: self._blobs.open(row.blob.key), 0, row.blob.size)
        return ObjectFile(row.transfer_syntax_uid, row.blob.size, stretch.chunks, stretch)

    def explicit(self, row: InstanceRow, *, prove: bool = False) -> ObjectFile:
        """The object in Explicit VR Little Endian, decompressed where it is compressed.

        Parameters
        ----------
        prove : decode a first frame now, so that pixels that no codec reads are refused before an answer begins

        Raises
        ------
        NotAcceptable : no codec here reads the pixels
        """
        if row.transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN:
            return self.as_stored(row)
        if not self.can_be_explicit(row):
            raise NotAcceptable(
                f"The object is stored in {row.transfer_syntax_uid}, which cannot be decoded here; "
                "ask for transfer-syntax=* to get it as stored"
            )
        if prove and row.blob.pixels is not None and row.blob.pixels.encapsulated:
            with StoredObject(row, self._blobs) as stored:
                FrameReader(stored, self._layouts).decoded(1)
        return ObjectFile(EXPLICIT_VR_LITTLE_ENDIAN, None, lambda: self._explicit_chunks(row))

    def encodings(self, row: InstanceRow) -> tuple[str, ...]:
        """The transfer syntaxes in which its pixels can be written with nothing lost; none for what has no pixels.

        What is lossy is no choice for a whole object: it would be another one, and need a UID of its own (PS3.3
        C.7.6.1.1.5).
        """
        if row.blob.pixels is None or not row.rows or not self.can_be_explicit(row):
            return ()
        with StoredObject(row, self._blobs) as stored:
            return lossless_encodings(FrameReader(stored, self._layouts).format)

    def encoded(self, row: InstanceRow, transfer_syntax_uid: str, *, prove: bool = False) -> ObjectFile:
        """The object with its pixels compressed in one of its `encodings`.

        Parameters
        ----------
        prove : write a first frame now, so that what no codec writes is refused before an answer begins

        Raises
        ------
        NotAcceptable : no codec here reads or writes the pixels
        """
        if prove:
            with StoredObject(row, self._blobs) as stored:
                encode_frame(FrameReader(stored, self._layouts).decoded(1), transfer_syntax_uid)
        return ObjectFile(transfer_syntax_uid, None, lambda: self._encoded_chunks(row, transfer_syntax_uid))

    def by_default(self, row: InstanceRow, *, prove: bool = False) -> ObjectFile:
        """What a caller gets that names no transfer syntax.

        Explicit VR Little Endian; an object whose pixels are lossy, or that no codec here reads, goes as stored
        (PS3.18 8.7.3.4 lets a server do so rather than send what is larger and no better).
        """
        if may_be_lossy(row.transfer_syntax_uid):
            return self.as_stored(row)
        try:
            return self.explicit(row, prove=prove)
        except NotAcceptable:
            return self.as_stored(row)

    def can_be_explicit(self, row: InstanceRow) -> bool:
        """Whether a codec for its pixels is at hand; native pixels need none."""
        pixels = row.blob.pixels
        if pixels is None or not pixels.encapsulated:
            return True
        return not is_video(row.transfer_syntax_uid) and can_decode(row.transfer_syntax_uid, row.bits_allocated)

    def _explicit_chunks(self, row: InstanceRow) -> Iterator[bytes]:
        yield _head(row, EXPLICIT_VR_LITTLE_ENDIAN)
        yield from self.explicit_data_set(row)

    def _encoded_chunks(self, row: InstanceRow, transfer_syntax_uid: str) -> Iterator[bytes]:
        yield _head(row, transfer_syntax_uid)
        with StoredObject(row, self._blobs) as stored:
            yield from self._compressed(stored, transfer_syntax_uid)
            yield to_explicit_little_endian(stored.trailer(), stored.encoding)

    def _compressed(self, stored: StoredObject, transfer_syntax_uid: str) -> Iterator[bytes]:
        """Header and compressed frames, one fragment each behind an empty basic offset table (PS3.5 A.4)."""
        reader = FrameReader(stored, self._layouts)
        frame = reader.decoded(1)
        described = encoded_format(replace(frame.format, frames=reader.format.frames), transfer_syntax_uid)
        replaced = _describing(described, reader.format)
        yield to_explicit_little_endian(stored.header(), stored.encoding, replaced=replaced)
        yield encode_pixel_head(described.tag, "OB", _UNDEFINED) + _item_head(0)
        for number in range(1, described.frames + 1):
            stream = encode_frame(frame if number == 1 else reader.decoded(number), transfer_syntax_uid)
            yield _item_head(len(stream) + len(stream) % 2) + stream + b"\0" * (len(stream) % 2)
        yield struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)

    def explicit_data_set(self, row: InstanceRow) -> Iterator[bytes]:
        """The data set alone, written anew in Explicit VR Little Endian with every length defined.

        Raises
        ------
        NotAcceptable : no codec here reads the pixels; before the first piece
        """
        with StoredObject(row, self._blobs) as stored:
            if stored.pixels is not None and stored.pixels.encapsulated:
                yield from self._decoded(stored)
            else:
                yield from _reencoded(stored)
            yield to_explicit_little_endian(stored.trailer(), stored.encoding)

    def _decoded(self, stored: StoredObject) -> Iterator[bytes]:
        """Header and native pixels of a compressed object, one frame after the other."""
        reader = FrameReader(stored, self._layouts)
        first = reader.decoded(1)
        described = replace(first.format, frames=reader.format.frames)
        header = stored.header()
        yield to_explicit_little_endian(header, stored.encoding, replaced=_describing(described, reader.format))
        total = (described.samples_per_frame * described.bits_allocated * described.frames + 7) // 8
        vr = "OB" if described.bits_allocated == 8 and total % 2 == 0 else "OW"
        yield encode_pixel_head(described.tag, vr, total + total % 2)
        waiting = np.empty(0, dtype=np.uint8)
        for number in range(1, described.frames + 1):
            frame = first if number == 1 else reader.decoded(number)
            if described.bits_allocated == 1:
                bits = np.concatenate([waiting, frame.pixels.reshape(-1)])
                whole = len(bits) // 8 * 8
                waiting = bits[whole:]
                yield pack_bits(bits[:whole])
            else:
                yield native_bytes(frame)
        if len(waiting):
            yield pack_bits(waiting)
        yield b"\0" * (total % 2)


def _head(row: InstanceRow, transfer_syntax_uid: str) -> bytes:
    return file_head(
        row.sop_class_uid,
        row.sop_instance_uid,
        transfer_syntax_uid,
        implementation_version=f"ANNOGATE_{__version__}",
    )


def _item_head(length: int) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, length)


def _reencoded(stored: StoredObject) -> Iterator[bytes]:
    """Header and pixels of an object in implicit VR, big endian or deflated."""
    header = stored.header()
    yield to_explicit_little_endian(header, stored.encoding)
    pixels = stored.pixels
    if pixels is None:
        return
    vr = pixels.vr or {0x7FE00008: "OF", 0x7FE00009: "OD"}.get(pixels.tag, "OW")
    yield encode_pixel_head(pixels.tag, vr, pixels.length)
    width = 1
    if pixels_are_big_endian(stored):
        width = swapped_width(stored, pixels, read_pixel_format(header, stored.encoding, pixels.tag))
    for chunk in stored.chunks(pixels.value_start, pixels.length):
        yield swap_bytes(chunk, _SWAPPED_AS[width]) if width > 1 else chunk


def _describing(decoded: PixelFormat, stored: PixelFormat) -> dict[int, bytes | None]:
    """The elements that another compression changes (PS3.5 8.2); offset tables go with the fragments they count."""
    changed: dict[int, bytes | None] = dict.fromkeys(_OFFSET_TABLES)
    if decoded.photometric != stored.photometric:
        value = decoded.photometric.encode("ascii")
        changed[0x00280004] = encode_element(0x00280004, "CS", value + b" " * (len(value) % 2))
    if decoded.samples > 1:
        changed[0x00280006] = encode_element(0x00280006, "US", decoded.planar.to_bytes(2, "little"))
    return changed

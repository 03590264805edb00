"""One stored instance, opened for reading: its header, its pixels and what follows them, without loading the pixels."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Self

from dicom_nodes.errors import GatewayError, InstanceUnreadable
from service.core.archived import InstanceRow
from service.core.encoded_data_set import UNDEFINED_LENGTH, Encoding, elements, read_head
from service.core.ports import BlobStore

DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_INFLATED_LIMIT: Final = 1 << 30
_CHUNK: Final = 1 << 20
_PIXEL_TAGS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Where the pixel element stands in the data set that is read; offsets are into `StoredObject`'s stream.

    Parameters
    ----------
    vr : as written, "" in implicit VR
    start : where its tag stands; the header ends here
    end : where what follows begins
    """

    tag: int
    vr: str
    start: int
    value_start: int
    length: int
    encapsulated: bool

    @property
    def end(self) -> int:
        """After the value, and after the sequence delimiter where the value is encapsulated."""
        return self.value_start + self.length + (8 if self.encapsulated else 0)


class StoredObject:
    """One instance's file; close it, or use it as a context manager.

    A deflated data set is inflated into memory, up to 1 GiB; everything else is read from the file where needed.
    """

    def __init__(self, row: InstanceRow, blobs: BlobStore) -> None:
        self.row = row
        self.encoding = Encoding.of(row.transfer_syntax_uid)
        self._file = blobs.open(row.blob.key)
        try:
            self._stream, self._start, self._end = self._open_data_set()
            self.pixels = self._find_pixels()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def header(self) -> bytes:
        """The data set as encoded (inflated where it was deflated) up to its pixel element."""
        end = self.pixels.start if self.pixels is not None else self._end
        return self.read(self._start, end - self._start)

    def trailer(self) -> bytes:
        """What follows the pixel element; usually nothing."""
        if self.pixels is None:
            return b""
        return self.read(self.pixels.end, self._end - self.pixels.end)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the data set's stream.

        Raises
        ------
        GatewayError : the file is shorter than the index says
        """
        if length <= 0:
            return b""
        self._stream.seek(offset)
        data = self._stream.read(length)
        if len(data) < length:
            raise GatewayError("A stored object is shorter than the index says")
        return data

    def chunks(self, offset: int, length: int) -> Iterator[bytes]:
        """The same bytes in pieces of at most 1 MiB."""
        while length > 0:
            size = min(length, _CHUNK)
            yield self.read(offset, size)
            offset, length = offset + size, length - size

    def _open_data_set(self) -> tuple[BinaryIO, int, int]:
        blob = self.row.blob
        if self.row.transfer_syntax_uid != DEFLATED:
            return self._file, blob.data_set_offset, blob.size
        self._file.seek(blob.data_set_offset)
        inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(self._file.read(), _INFLATED_LIMIT)
        if len(inflated) >= _INFLATED_LIMIT:
            raise GatewayError("This deflated object is too large to be inflated in memory")
        return io.BytesIO(inflated), 0, len(inflated)

    def _find_pixels(self) -> PixelElement | None:
        known = self.row.blob.pixels
        if known is None or self.row.transfer_syntax_uid == DEFLATED:
            return self._walk_to_pixels() if self.row.transfer_syntax_uid == DEFLATED else None
        # Tag, VR and length stand in twelve bytes before the value, or in eight where the VR is implicit.
        head_length = 12
        head = self.read(known.offset - head_length, head_length)
        tag = head[0:2] + head[2:4]
        order = "little" if self.encoding.little_endian else "big"
        expected = (known.tag >> 16).to_bytes(2, order) + (known.tag & 0xFFFF).to_bytes(2, order)  # type: ignore[arg-type]
        vr = head[4:6].decode("latin-1")
        if tag != expected or not (vr.isalpha() and vr.isupper()):
            head_length, vr = 8, ""
        return PixelElement(
            known.tag, vr, known.offset - head_length, known.offset, known.length, encapsulated=known.encapsulated
        )

    def _walk_to_pixels(self) -> PixelElement | None:
        view = memoryview(self.read(0, self._end))
        try:
            for element in elements(view, self.encoding):
                if element.tag in _PIXEL_TAGS:
                    head = read_head(view, element.start, self.encoding)
                    return PixelElement(
                        element.tag,
                        element.vr,
                        element.start,
                        element.value_start,
                        element.value_end - element.value_start,
                        encapsulated=head.length == UNDEFINED_LENGTH,
                    )
        except InstanceUnreadable:
            return None
        return None

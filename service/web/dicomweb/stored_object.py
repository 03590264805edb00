"""One stored instance, opened for reading: its header, its pixels and what follows them, without loading the pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Self

from dicom_nodes.errors import GatewayError, InstanceUnreadable
from service.core.archived import InstanceRow
from service.core.encoded_bytes import EncodedBytes, Section
from service.core.encoded_data_set import Encoding
from service.core.inflation import inflated
from service.core.ports import BlobStore
from service.web.dicomweb.file_stretch import FileStretch

DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Where the pixel element stands in the data set that is read; offsets are those of `StoredObject.read`.

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

    Everything is read from the file where needed; a deflated data set above 4 MiB is inflated again for each look back.
    """

    def __init__(self, row: InstanceRow, blobs: BlobStore) -> None:
        self.row = row
        self._blobs = blobs
        self.encoding = Encoding.of(row.transfer_syntax_uid)
        self._file = blobs.open(row.blob.key)
        try:
            self._content, self._start, self._end = self._open_data_set()
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
        """Bytes of the file, or of the data set where it was deflated.

        Raises
        ------
        GatewayError : the file is shorter than the index says
        """
        if length <= 0:
            return b""
        data = self._content[offset : offset + length]
        if len(data) < length:
            raise GatewayError("A stored object is shorter than the index says")
        return data

    def chunks(self, offset: int, length: int) -> Iterator[bytes]:
        """The same bytes in pieces of at most 1 MiB."""
        while length > 0:
            size = min(length, _CHUNK)
            yield self.read(offset, size)
            offset, length = offset + size, length - size

    def stretch(self, offset: int, length: int) -> FileStretch | None:
        """Where the same bytes lie in the stored file; nothing where that was deflated."""
        if self.row.transfer_syntax_uid == DEFLATED or offset + length > self.row.blob.size:
            return None
        return FileStretch(lambda: self._blobs.open(self.row.blob.key), offset, length)

    def _open_data_set(self) -> tuple[EncodedBytes, int, int]:
        """What is read, and where in it the data set begins and ends."""
        blob = self.row.blob
        file = _StreamBytes(self._file, blob.size)
        if self.row.transfer_syntax_uid != DEFLATED:
            return file, blob.data_set_offset, blob.size
        try:
            content = inflated(Section(file, blob.data_set_offset, blob.size))
        except InstanceUnreadable as error:
            raise GatewayError("A stored object that was deflated cannot be inflated") from error
        return content, 0, len(content)

    def _find_pixels(self) -> PixelElement | None:
        known = self.row.blob.pixels
        if known is None:
            return None
        # The index counts from the start of the file, as if the data set stood there inflated.
        offset = known.offset - (self.row.blob.data_set_offset - self._start)
        # Tag, VR and length stand in twelve bytes before the value, or in eight where the VR is implicit.
        head_length = 12
        head = self.read(offset - head_length, head_length)
        tag = head[0:2] + head[2:4]
        order = "little" if self.encoding.little_endian else "big"
        expected = (known.tag >> 16).to_bytes(2, order) + (known.tag & 0xFFFF).to_bytes(2, order)  # type: ignore[arg-type]
        vr = head[4:6].decode("latin-1")
        if tag != expected or not (vr.isalpha() and vr.isupper()):
            head_length, vr = 8, ""
        return PixelElement(known.tag, vr, offset - head_length, offset, known.length, encapsulated=known.encapsulated)


class _StreamBytes:
    """A file of the store, read as bytes are."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, stretch: slice, /) -> bytes:
        start, stop, _ = stretch.indices(self._size)
        self._stream.seek(start)
        return self._stream.read(max(0, stop - start))

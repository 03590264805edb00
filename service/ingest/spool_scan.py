"""One segment file of the spool while it is read: walks over new frames, remembers where objects lie."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dicom_nodes.errors import GatewayError, InstanceUnreadable
from dicom_nodes.object_sink import ObjectHeader
from service.core.encoded_bytes import IN_MEMORY_BYTES, EncodedBytes, FramedBytes
from service.ingest.segment_pool import SUFFIX, SegmentPool, is_at
from service.ingest.spool_frames import (
    END_PLACE,
    FRAME_HEADER_BYTES,
    FRAME_MAGIC,
    HEAD_BYTES,
    HEAD_PLACES,
    START_BYTES,
    FrameHeader,
    FrameKind,
    SegmentCipher,
    decode_object_end,
    decode_object_header,
    decode_segment_end,
    is_destroyed,
    open_head,
)

_SEARCH_BYTES: Final = 1024 * 1024
_SECTOR_BYTES: Final = 4096

ReadAt = Callable[[int, int, int], bytes]
"""Descriptor, how many bytes, from where: ``os.pread``."""


@dataclass(slots=True)
class ScannedObject:
    """Where the pieces of one object lie: offsets of its DATA frames by piece number.

    ``header`` is what an END frame said; of an object without one, what ``begin`` says when it is asked.
    """

    number: int
    header: ObjectHeader | None = None
    begin: tuple[int, FrameHeader] | None = None
    pieces: dict[int, tuple[int, FrameHeader]] = field(default_factory=dict)
    end_pieces: int = -1
    size: int = 0
    ended: bool = False


class SegmentScan:
    """A segment seen from the reading side; ``scan`` goes on where it stopped.

    While its writer lives, the first bytes that are no frame of this segment are not written yet. Once it is gone they
    are damage where the writer said that frames go on, or where a later one is found; else the writer was killed there.
    """

    def __init__(
        self,
        path: Path,
        sealing_key: bytes,
        read_at: ReadAt = os.pread,
        in_memory_bytes: int = IN_MEMORY_BYTES,
    ) -> None:
        self.path = path
        self._read_at = read_at
        self._in_memory_bytes = in_memory_bytes
        self.objects: dict[int, ScannedObject] = {}
        self.finished = False
        """Whether its writer has let it go and everything was walked over."""
        self.damaged_bytes = 0
        """Bytes that are no frame; the tail that a kill tears is no damage."""
        self._sealing_key = sealing_key
        self._cipher: SegmentCipher | None = None
        self._offset = START_BYTES
        self._allocated = START_BYTES

    def scan(self) -> list[ScannedObject]:
        """The objects that have become whole since the last time, in the order of their ends.

        Raises
        ------
        KeysMissing : the sealing key does not fit
        InstanceUnreadable : the head is damaged, nothing in the segment can be read
        FileNotFoundError : the segment was released
        """
        if self.finished:
            return []
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            writer_lives = _is_locked(descriptor)
            cipher = self._open_cipher(descriptor)
            size = os.fstat(descriptor).st_size
            if writer_lives:
                return self._walk(descriptor, cipher, size)
            end = self._said_end(descriptor, cipher)
            ended = self._walk(descriptor, cipher, size if end is None else min(end, size), closed=True)
            self.finished = True
            self.damaged_bytes += self._damaged_tail(descriptor, cipher, size, end)
            if self.damaged_bytes:
                ended += self._without_end(descriptor, cipher)
        finally:
            os.close(descriptor)
        return ended

    @property
    def is_damaged(self) -> bool:
        """Whether an acknowledged object may be hidden: bytes are no frame, or an object lost its header."""
        return self.damaged_bytes > 0 or any(found.ended and not found.header for found in self.objects.values())

    def read(self, number: int) -> EncodedBytes:
        """The data set of a whole object; of a long one every bit has been looked at, and nothing is kept in memory.

        Raises
        ------
        InstanceUnreadable : it is not there, not whole, or a bit of it has changed
        """
        found = self.objects.get(number)
        if found is None or not found.ended:
            raise InstanceUnreadable("the spool holds no such whole object")
        if found.end_pieces < 0:
            raise InstanceUnreadable("the object's end is damaged in the spool: it may not be whole")
        if sorted(found.pieces) != list(range(found.end_pieces)):
            raise InstanceUnreadable("pieces of the object are missing from the spool")
        if found.size <= self._in_memory_bytes:
            data_set: EncodedBytes = b"".join(self._pieces(found, found.end_pieces))
        else:
            data_set = self._in_pieces(found, sum(1 for _ in self._pieces(found, found.end_pieces)))
        if len(data_set) != found.size:
            raise InstanceUnreadable("the object in the spool is not as long as its end says")
        return data_set

    def salvage(self, number: int) -> EncodedBytes:
        """What can be read of an object from its start, for a person to decide on."""
        found = self.objects.get(number)
        if found is None:
            return b""
        readable = 0
        try:
            for _ in self._pieces(found, len(found.pieces)):
                readable += 1
        except InstanceUnreadable:
            pass  # what stands behind it would be out of place
        data_set = self._in_pieces(found, readable)
        return data_set if len(data_set) > self._in_memory_bytes else data_set[:]

    def _pieces(self, found: ScannedObject, count: int) -> Iterator[bytes]:
        """Open the first pieces of an object, one after the other."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            cipher = self._open_cipher(descriptor)
            for piece in range(count):
                if piece not in found.pieces:
                    raise InstanceUnreadable("pieces of the object are missing from the spool")
                yield self._payload(descriptor, cipher, *found.pieces[piece])
        finally:
            os.close(descriptor)

    def _in_pieces(self, found: ScannedObject, count: int) -> FramedBytes:
        """The first pieces of an object, each opened again when it is read."""
        sizes = [found.pieces[piece][1].payload_bytes - SegmentCipher.TAG_BYTES for piece in range(count)]
        starts = list(itertools.accumulate(sizes, initial=0))
        size = starts.pop()

        def open_frame(piece: int) -> bytes:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return self._payload(descriptor, self._open_cipher(descriptor), *found.pieces[piece])
            finally:
                os.close(descriptor)

        return FramedBytes(starts, size, open_frame)

    def _said_end(self, descriptor: int, cipher: SegmentCipher) -> int | None:
        """Where its writer said that the frames end; None when it was killed before it could."""
        header = cipher.header(self._read(descriptor, FRAME_HEADER_BYTES, END_PLACE))
        if header is None or header.kind is not FrameKind.CLOSE:
            return None
        try:
            return decode_segment_end(self._payload(descriptor, cipher, END_PLACE, header))
        except InstanceUnreadable:
            return None

    def _damaged_tail(self, descriptor: int, cipher: SegmentCipher, size: int, end: int | None) -> int:
        """Bytes after the last frame that were written, or must be there, and are no frame.

        A kill cuts a write; a crash of the machine may leave zeros. Neither leaves other bytes in a file that grew.
        """
        if end is not None:
            return end - self._offset
        if size < self._allocated:
            return self._allocated - size
        if self._offset < self._allocated:
            return 0  # frames of an earlier segment stand there
        header = self._read(descriptor, FRAME_HEADER_BYTES, self._offset)
        if len(header) < FRAME_HEADER_BYTES or cipher.header(header) is not None:
            return 0
        return size - self._offset if any(self._read(descriptor, size - self._offset, self._offset)) else 0

    def _without_end(self, descriptor: int, cipher: SegmentCipher) -> list[ScannedObject]:
        """Objects of a damaged segment that were neither ended nor taken back: their end may be what was damaged."""
        open_ones = [found for found in self.objects.values() if not found.ended]
        for found in open_ones:
            found.header = self._begin(descriptor, cipher, found)
            found.ended = found.header is not None
        return [found for found in open_ones if found.ended]

    def _open_cipher(self, descriptor: int) -> SegmentCipher:
        if self._cipher is None:
            heads = [self._head(descriptor, place) for place in HEAD_PLACES]
            if is_destroyed(heads):
                raise FileNotFoundError(f"{self.path.name} was released")
            head, segment_key = open_head(self._sealing_key, heads)
            if head.name != self.path.name.removesuffix(SUFFIX):
                if not is_at(descriptor, self.path):
                    raise FileNotFoundError(f"{self.path.name} was released")
                raise InstanceUnreadable("the spool segment has the name of another one")
            self._allocated = head.allocated
            self._cipher = SegmentCipher(segment_key)
        return self._cipher

    def _head(self, descriptor: int, place: int) -> bytes:
        try:
            return self._read_at(descriptor, HEAD_BYTES, place)
        except OSError:
            return b""

    def _walk(self, descriptor: int, cipher: SegmentCipher, size: int, *, closed: bool = False) -> list[ScannedObject]:
        ended: dict[int, ScannedObject] = {}
        while self._offset + FRAME_HEADER_BYTES <= size:
            header = cipher.header(self._read(descriptor, FRAME_HEADER_BYTES, self._offset))
            if header is None:
                found = self._search(descriptor, cipher, size) if closed else None
                if found is None:
                    break
                self.damaged_bytes += found - self._offset
                self._offset = found
                continue
            after = self._offset + FRAME_HEADER_BYTES + header.payload_bytes
            if after > size:
                break
            self._note(descriptor, cipher, header, ended)
            self._offset = after
        return list(ended.values())

    def _note(
        self, descriptor: int, cipher: SegmentCipher, header: FrameHeader, ended: dict[int, ScannedObject]
    ) -> None:
        known = self.objects.setdefault(header.number, ScannedObject(header.number))
        if header.kind is FrameKind.DATA:
            known.pieces[header.piece] = (self._offset, header)
        elif header.kind is FrameKind.ABANDON:
            del self.objects[header.number]
            ended.pop(header.number, None)
        elif header.kind is FrameKind.BEGIN:
            known.begin = self._offset, header
        elif header.kind is FrameKind.END:
            if not known.ended:
                ended[header.number] = known
            self._end(descriptor, cipher, header, known)

    def _begin(self, descriptor: int, cipher: SegmentCipher, known: ScannedObject) -> ObjectHeader | None:
        try:
            return (
                None if known.begin is None else decode_object_header(self._payload(descriptor, cipher, *known.begin))
            )
        except InstanceUnreadable:
            return None

    def _end(self, descriptor: int, cipher: SegmentCipher, header: FrameHeader, known: ScannedObject) -> None:
        known.ended = True
        if known.end_pieces >= 0:
            return  # the first of its two ends said it
        try:
            end = decode_object_end(self._payload(descriptor, cipher, self._offset, header))
        except InstanceUnreadable:
            # It was acknowledged, so it is listed; to read it then fails, unless its other end is whole.
            known.header = known.header or self._begin(descriptor, cipher, known)
            return
        known.header, known.end_pieces, known.size = end.header, end.pieces, end.size

    def _payload(self, descriptor: int, cipher: SegmentCipher, offset: int, header: FrameHeader) -> bytes:
        data = self._read(descriptor, header.payload_bytes, offset + FRAME_HEADER_BYTES)
        return cipher.open(header, data)

    def _read(self, descriptor: int, size: int, offset: int) -> bytes:
        """Bytes of the file, zeros where the disk does not give them back: they fit no frame and no seal."""
        try:
            return self._read_at(descriptor, size, offset)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
        parts = []
        size = min(size, os.fstat(descriptor).st_size - offset)
        for start in range(offset, offset + size, _SECTOR_BYTES):
            length = min(_SECTOR_BYTES, offset + size - start)
            try:
                parts.append(self._read_at(descriptor, length, start))
            except OSError:
                self.damaged_bytes += length
                parts.append(bytes(length))
        return b"".join(parts)

    def _search(self, descriptor: int, cipher: SegmentCipher, size: int) -> int | None:
        """The next frame of this segment after damage; None if there is none."""
        start = self._offset + 1
        while start + FRAME_HEADER_BYTES <= size:
            window = self._read(descriptor, min(_SEARCH_BYTES, size - start), start)
            at = window.find(FRAME_MAGIC)
            while at >= 0:
                if cipher.header(self._read(descriptor, FRAME_HEADER_BYTES, start + at)) is not None:
                    return start + at
                at = window.find(FRAME_MAGIC, at + 1)
            start += max(1, len(window) - len(FRAME_MAGIC) + 1)
        return None


def _is_locked(descriptor: int) -> bool:
    """Whether a writer holds the segment, in this process or another."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def rename_unheld(path: Path, target: Path) -> bool:
    """Give a segment another name; False while anybody holds it.

    Raises
    ------
    GatewayError : the disk failed
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.utime(descriptor)  # from now on it is kept for a while
        path.rename(target)
    except BlockingIOError:
        return False
    except OSError as error:
        raise GatewayError("a segment of the spool could not be set aside") from error
    finally:
        os.close(descriptor)
    return True


def destroy(path: Path, pool: SegmentPool | None = None) -> bool:
    """Overwrite a segment's key and give its file to the pool, or remove it; False while anybody holds it.

    Raises
    ------
    GatewayError : the disk failed; the key may still be there
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.pwrite(descriptor, bytes(START_BYTES), 0)
        os.fsync(descriptor)
        if pool is None or not pool.give(path, os.fstat(descriptor).st_size):
            path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    except OSError as error:
        raise GatewayError("a segment of the spool could not be destroyed") from error
    finally:
        os.close(descriptor)
    return True

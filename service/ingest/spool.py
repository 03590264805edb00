"""The spool: where received objects wait, durable and encrypted, until they are archived or in quarantine.

Every process writes segment files of its own into one directory. ``Spool`` is the writing side, an ``ObjectSink`` of
the node; ``SpoolReader`` the reading side. An object lies in one segment, its frames among those of others.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dicom_nodes.errors import GatewayError
from dicom_nodes.object_sink import ObjectHeader
from service.ingest.segment_pool import segment_pool
from service.ingest.spool_frames import FrameKind, ObjectEnd, encode_object_end, encode_object_header, sealed_bytes
from service.ingest.spool_reader import SpooledObject, SpoolReader
from service.ingest.spool_room import SpoolRoom
from service.ingest.spool_segment import Segment, sync_directory

__all__ = ["Spool", "SpoolReader", "SpooledObject"]

_LOGGER = logging.getLogger(__name__)

MEBIBYTE: Final = 1024 * 1024
_LONGEST_END_S: Final = 5.0
_PIECE_BYTES: Final = 256 * 1024
_DIRECT_BYTES: Final = 32 * 1024
"""A piece that is handed in with at least so many bytes is encrypted from where it lies."""
_APPEND_BYTES: Final = 640 * 1024
"""What is encrypted is written once it is so much; an image of half a MiB takes one write."""
_BUFFER_BYTES: Final = _APPEND_BYTES + _PIECE_BYTES
_BUFFERS_KEPT: Final = 16


class Spool:
    """The writing side, used by all threads of one process; never by a fork of it.

    Parameters
    ----------
    sealing_key : 32 bytes; segment keys are sealed under it
    segment_bytes : a segment that has grown past this takes no new objects
    clock : seconds since the epoch, UTC
    reserve_bytes : free space that the disk must keep
    limit_bytes : how large all segments together may grow; None is as large as the disk
    recycled : how many files of released segments are kept to be written again; `SpoolReader` fills the same pool
    linger_s : a segment without a new object for so long is closed, so that its objects can be released
    on_commit : called after each durable object and after each closed segment; wakes who reads
    """

    def __init__(
        self,
        directory: Path,
        sealing_key: bytes,
        segment_bytes: int = 64 * MEBIBYTE,
        clock: Callable[[], float] = time.time,
        reserve_bytes: int = 512 * MEBIBYTE,
        limit_bytes: int | None = None,
        recycled: int = 0,
        linger_s: float = 2.0,
        on_commit: Callable[[], None] = lambda: None,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._sealing_key = sealing_key
        self._segment_bytes = segment_bytes
        self._clock = clock
        self._linger_s = linger_s
        self._on_commit = _harmless(on_commit)
        self._random_bytes = random_bytes
        self._state = threading.Condition()
        self._segment: Segment | None = None
        self._used_at = 0.0
        self._closer: threading.Thread | None = None
        self._closed = False
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_directory(directory.parent)  # whoever made it may not have
        self._pool = segment_pool(directory, recycled, segment_bytes)
        self._writable: set[Segment] = set()
        self._buffers = _Buffers()
        self._room = SpoolRoom(self._pool, reserve_bytes, limit_bytes, self._slack)

    def begin(self, header: ObjectHeader) -> SpoolWriter:
        """Start an object.

        Raises
        ------
        StorageExhausted : the spool is at its limit, or the disk at its reserve
        """
        self._room.claim(0)
        with self._state:
            segment = self._segment_for_new_object()
            segment.open_objects += 1
        try:
            return SpoolWriter(segment, header, self._room, self._buffers, self.finished, self._on_commit)
        except BaseException:
            self.finished(segment)
            raise

    def roll_over(self) -> None:
        """Close the current segment; the next object starts another. Objects in progress finish in theirs."""
        with self._state:
            self._retire()

    def close(self) -> None:
        """Close what is open; objects in progress cannot be committed any more."""
        with self._state:
            self._closed = True
            if self._segment is not None:
                self._segment.open_objects = 0
            self._retire()
            self._state.notify_all()
            closer = self._closer
        if closer is not None:
            closer.join(_LONGEST_END_S)  # it may sit in a call that wakes somebody; it ends with the process

    def _segment_for_new_object(self) -> Segment:
        if self._closed:
            raise GatewayError("the spool is closed")
        segment = self._segment
        if segment is not None and (segment.failed or segment.size >= self._segment_bytes):
            self._retire()
        if self._segment is None:
            now = self._clock()
            name = f"{int(now * 1000):013d}-{self._random_bytes(8).hex()}"
            self._segment = Segment(self._pool, name, self._sealing_key, now, self._random_bytes)
            self._writable = {one for one in self._writable if not one.closed} | {self._segment}
            if self._closer is None:
                self._closer = threading.Thread(target=self._close_idle, name="spool-closer", daemon=True)
                self._closer.start()
            self._state.notify_all()
        self._used_at = time.monotonic()
        return self._segment

    def _slack(self) -> int:
        """Bytes of our segments' files that are there and not written yet; for the room."""
        return sum(segment.slack for segment in self._writable if not segment.closed)

    def _retire(self) -> None:
        """Take no new objects into the current segment; whoever finishes last in it closes it."""
        segment, self._segment = self._segment, None
        if segment is not None and not segment.open_objects:
            segment.close()
            self._on_commit()

    def finished(self, segment: Segment) -> None:
        """An object in ``segment`` has come to its end, good or bad; for its writer."""
        with self._state:
            segment.open_objects -= 1
            self._used_at = time.monotonic()
            if segment is not self._segment and not segment.open_objects:
                segment.close()
                self._on_commit()

    def _close_idle(self) -> None:
        """Close the current segment once nothing came for a while."""
        with self._state:
            while not self._closed:
                rest = self._used_at + self._linger_s - time.monotonic()
                segment = self._segment
                if segment is not None and not segment.open_objects and rest <= 0:
                    self._retire()
                self._state.wait(max(rest, self._linger_s / 4) if self._segment is not None else None)


def _harmless(wake: Callable[[], None]) -> Callable[[], None]:
    """A call that may fail: the object is durable already, and a sweep finds what nobody was woken for."""

    def call() -> None:
        try:
            wake()
        except Exception as error:  # noqa: BLE001 -- the edge to who is woken; a failure is no failure of the object
            _LOGGER.warning("nobody could be woken: %s", type(error).__name__)

    return call


class _Buffers:
    """Memory for what is encrypted and not written yet, used again: fresh pages cost more than the encryption."""

    def __init__(self) -> None:
        self._free: deque[memoryview] = deque(maxlen=_BUFFERS_KEPT)

    def take(self) -> memoryview:
        try:
            return self._free.pop()
        except IndexError:
            return memoryview(bytearray(_BUFFER_BYTES))

    def give(self, buffer: memoryview) -> None:
        self._free.append(buffer)


class SpoolWriter:
    """One object on its way into a segment.

    Small objects take one write: what was encrypted is kept back until it is much or the object ends. Small fragments
    are joined first; large ones are encrypted from the buffer that they came in, which may be used again at once.
    """

    def __init__(
        self,
        segment: Segment,
        header: ObjectHeader,
        room: SpoolRoom,
        buffers: _Buffers,
        on_finished: Callable[[Segment], None],
        on_commit: Callable[[], None],
    ) -> None:
        self._segment = segment
        self._header = header
        self._room = room
        self._on_finished = on_finished
        self._on_commit = on_commit
        self._number = segment.next_number()
        self._buffers = buffers
        self._sealed = buffers.take()
        self._sealed_bytes = 0
        self._joined = bytearray()
        self._pieces = 0
        self._size = 0
        self._unsettled = 0
        self._open = True
        self._written_to: int | None = None
        """Where the segment ended with the object's end."""
        self._seal(FrameKind.BEGIN, encode_object_header(header))

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes.

        Raises
        ------
        StorageExhausted : the spool is at its limit, or the disk at its reserve
        """
        self._require_open()
        view = memoryview(data)
        self._room.claim(len(view))
        self._unsettled += len(view)
        self._size += len(view)
        while view:
            if not self._joined and len(view) >= _DIRECT_BYTES:
                self._cut_piece(view[:_PIECE_BYTES])
                view = view[_PIECE_BYTES:]
                continue
            taken = view[: _PIECE_BYTES - len(self._joined)]
            self._joined += taken
            view = view[len(taken) :]
            if len(self._joined) == _PIECE_BYTES:
                self._cut_joined()

    def finish(self) -> None:
        """Write the end; it need not be on the disk yet.

        Raises
        ------
        StorageExhausted, GatewayError : the disk did not take it
        """
        self._require_open()
        if self._written_to is not None:
            return
        self._cut_joined()
        end = encode_object_end(ObjectEnd(self._header, self._pieces, self._size))
        for _ in range(2):  # the object is as good as its end, so one that is damaged must not matter
            self._seal(FrameKind.END, end)
        self._written_to = self._append()
        self._let_buffer_go()

    def commit(self) -> None:
        """Write the end and return when all of it is on the disk.

        Raises
        ------
        StorageExhausted, GatewayError : it is not; the object is not kept
        """
        self._require_open()
        try:
            self.finish()
            self._segment.sync(self._written_to or 0)
        except GatewayError:
            self.abandon()
            raise
        self._open = False
        self._on_finished(self._segment)
        self._on_commit()

    def abandon(self) -> None:
        """Take the object back; harmless when it has ended."""
        if not self._open:
            return
        self._open = False
        self._let_buffer_go()
        try:
            # Its end may be written and only not be synced; a reader must not take it then.
            self._segment.revoke(self._number)
        finally:
            self._settle(self._unsettled)
            self._on_finished(self._segment)

    def _cut_joined(self) -> None:
        if self._joined:
            self._cut_piece(self._joined)
            self._joined.clear()

    def _cut_piece(self, piece: bytearray | memoryview) -> None:
        self._seal(FrameKind.DATA, piece, self._pieces)
        self._pieces += 1
        if self._sealed_bytes >= _APPEND_BYTES:
            self._append()

    def _seal(self, kind: FrameKind, payload: bytes | bytearray | memoryview, piece: int = 0) -> None:
        if self._sealed_bytes + sealed_bytes(len(payload)) > len(self._sealed):
            self._append()
        room = self._sealed[self._sealed_bytes :]
        self._sealed_bytes += self._segment.seal_into(room, self._number, kind, payload, piece)

    def _let_buffer_go(self) -> None:
        buffer, self._sealed = self._sealed, memoryview(b"")
        if buffer:
            self._buffers.give(buffer)

    def _append(self) -> int:
        end = self._segment.append([self._sealed[: self._sealed_bytes]])
        self._sealed_bytes = 0
        self._settle(self._unsettled - len(self._joined))
        return end

    def _settle(self, size: int) -> None:
        self._room.settle(size)
        self._unsettled -= size

    def _require_open(self) -> None:
        if not self._open:
            raise GatewayError("the object has ended")

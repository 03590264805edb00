"""One segment file of the spool while it is written: appended by all threads of a process, synced in groups."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from dicom_nodes.errors import GatewayError, StorageExhausted
from service.ingest.segment_pool import SUFFIX, SegmentPool
from service.ingest.spool_frames import (
    END_PLACE,
    KEY_BYTES,
    NONCE_BYTES,
    START_BYTES,
    FrameKind,
    SegmentCipher,
    SegmentHead,
    encode_segment_end,
    encode_start,
)

NEW_SUFFIX: Final = ".new"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def sync_directory(directory: Path) -> None:
    """Make names in a directory durable: a new file is lost with its name, however often it was synced itself."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def storage_error(error: OSError) -> GatewayError:
    """What a failed write means for the peer: a full disk is A700, a broken one 0110."""
    if error.errno in _FULL:
        return StorageExhausted("the spool's disk is full")
    return GatewayError("the spool's disk failed")


class Segment:
    """A segment open for writing; the lock on its file says that its writer lives.

    Parameters
    ----------
    name : the file's name without its suffix, unique among all processes
    pool : gives files that are allocated and written already, beside which new ones are made
    """

    def __init__(
        self,
        pool: SegmentPool,
        name: str,
        sealing_key: bytes,
        created_at: float,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self.name = name
        self.open_objects = 0
        self._directory = pool.directory
        segment_key = random_bytes(KEY_BYTES)
        self._cipher = SegmentCipher(segment_key)
        self._counters = itertools.count()
        self._numbers = itertools.count()
        self._append_lock = threading.Lock()
        self._sync_state = threading.Condition()
        self._synced = 0
        self._syncing = False
        self._failure: GatewayError | None = None
        self._sync_failure: GatewayError | None = None
        self._allocated = START_BYTES

        def start(allocated: int) -> bytes:
            self._allocated = allocated
            head = SegmentHead(name, created_at, allocated)
            return encode_start(head, sealing_key, segment_key, random_bytes(NONCE_BYTES))

        self._descriptor = self._create(pool, start)
        self._size = START_BYTES

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._size

    @property
    def closed(self) -> bool:
        """Whether it was let go of."""
        return self._descriptor < 0

    @property
    def slack(self) -> int:
        """Bytes of the file that are not written in this segment's life yet."""
        return max(0, self._allocated - self._size)

    @property
    def failed(self) -> bool:
        """Whether a write or sync failed; nothing more goes into this segment then."""
        return self._failure is not None

    def next_number(self) -> int:
        """A number for a new object."""
        return next(self._numbers)

    def seal(
        self, number: int, kind: FrameKind, payload: bytes | bytearray | memoryview, piece: int = 0
    ) -> tuple[bytes, bytes]:
        """One frame of an object, encrypted: header and payload, to be appended."""
        return self._cipher.seal(kind, number, next(self._counters), payload, piece)

    def seal_into(
        self,
        buffer: memoryview,
        number: int,
        kind: FrameKind,
        payload: bytes | bytearray | memoryview,
        piece: int = 0,
    ) -> int:
        """The same, into the start of a buffer; how many bytes it is."""
        return self._cipher.seal_into(buffer, kind, number, next(self._counters), payload, piece)

    def append(self, parts: Sequence[bytes | memoryview]) -> int:
        """Append sealed frames; where the segment then ends.

        Raises
        ------
        StorageExhausted, GatewayError : the disk did not take it; the segment takes nothing more
        """
        with self._append_lock:
            if self._failure is not None:
                raise self._failure
            try:
                self._size += _write_all(self._descriptor, parts, self._size)
            except OSError as error:
                self._failure = storage_error(error)
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, max(self._allocated, self._size))
                raise self._failure from error
            return self._size

    def revoke(self, number: int) -> None:
        """Say that an object is not kept, also after a failure; as well as can be done."""
        parts = self.seal(number, FrameKind.ABANDON, b"")
        with self._append_lock, contextlib.suppress(OSError):
            if self._descriptor >= 0:
                self._size += _write_all(self._descriptor, parts, self._size)

    def sync(self, end: int) -> None:
        """Return when everything up to ``end`` is on the disk; one fdatasync serves all who wait.

        Raises
        ------
        StorageExhausted, GatewayError : the disk failed. It is not asked again: after a failed sync the kernel may
            forget the pages and report success.
        """
        with self._sync_state:
            while self._synced < end:
                # A write of another object that failed takes nothing from those that were written before it.
                if self._sync_failure is not None or self.closed:
                    raise self._sync_failure or GatewayError("the spool segment is closed")
                if self._syncing:
                    self._sync_state.wait()
                    continue
                self._sync_written()

    def _sync_written(self) -> None:
        """Sync as the one who does it for all; the state's lock is let go meanwhile."""
        self._syncing = True
        end = self._size
        self._sync_state.release()
        failure: GatewayError | None = None
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            failure = storage_error(error)
        finally:
            self._sync_state.acquire()
            self._syncing = False
            self._sync_state.notify_all()
        if failure is not None:
            self._failure = self._sync_failure = failure
            raise failure
        self._synced = max(self._synced, end)

    def close(self) -> None:
        """Say where the frames end, and let go of file and lock; a reader may then release the segment."""
        with self._append_lock:
            if self._descriptor >= 0:
                with contextlib.suppress(OSError):
                    # It only helps to tell damage from what was never written, so nobody waits for the disk.
                    end = encode_segment_end(self._size)
                    _write_all(self._descriptor, self.seal(0, FrameKind.CLOSE, end), END_PLACE)
                with contextlib.suppress(OSError):
                    fcntl.flock(self._descriptor, fcntl.LOCK_UN)
                os.close(self._descriptor)
                self._descriptor = -1
            self._failure = self._failure or GatewayError("the spool segment is closed")

    def _create(self, pool: SegmentPool, start: Callable[[int], bytes]) -> int:
        """Make the file under a passing name, locked and with its start on the disk, before any reader can see it."""
        new = self._directory / (self.name + NEW_SUFFIX)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = -1
        try:
            if (taken := pool.take()) is not None:
                new, descriptor = taken
            else:
                descriptor = os.open(new, flags, 0o600)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            allocated = max(START_BYTES, os.fstat(descriptor).st_size)
            _write_all(descriptor, [start(allocated)], 0)
            os.fdatasync(descriptor)
            new.rename(self._directory / (self.name + SUFFIX))
            sync_directory(self._directory)
        except OSError as error:
            if descriptor >= 0:
                new.unlink(missing_ok=True)  # while it is locked: nobody else can have taken it
                os.close(descriptor)
            raise storage_error(error) from error
        return descriptor


def _write_all(descriptor: int, parts: Sequence[bytes | memoryview], offset: int) -> int:
    """Write parts one after the other; how many bytes."""
    left = [memoryview(part) for part in parts]
    start = offset
    while left:
        written = os.pwritev(descriptor, left[: os.sysconf("SC_IOV_MAX")], offset)
        offset += written
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if written:
            left[0] = left[0][written:]
    return offset - start

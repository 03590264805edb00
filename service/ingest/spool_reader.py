"""The reading side of the spool: what is whole, its bytes, and the end of a segment."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dicom_nodes.errors import InstanceUnreadable
from dicom_nodes.object_sink import ObjectHeader
from service.core.encoded_bytes import IN_MEMORY_BYTES, EncodedBytes
from service.ingest.segment_pool import SUFFIX, SegmentPool
from service.ingest.spool_scan import ReadAt, ScannedObject, SegmentScan, destroy, rename_unheld
from service.ingest.spool_segment import NEW_SUFFIX, sync_directory

_LOGGER = logging.getLogger(__name__)
_STALE_S: Final = 60.0
DAMAGED_SUFFIX: Final = ".damaged"
"""Of a segment that a disk has damaged: set aside, kept until a person decides."""


@dataclass(frozen=True, slots=True)
class SpooledObject:
    """A whole object in the spool.

    Parameters
    ----------
    source_key : names it for ever, "segment/number"; no other object ever has the same
    header : what association and command set said of it
    size : bytes of the data set
    """

    source_key: str
    header: ObjectHeader
    size: int

    @property
    def segment(self) -> str:
        """The segment that it lies in."""
        return segment_of(self.source_key)


@dataclass(frozen=True, slots=True)
class FinishedSegment:
    """A segment that no writer holds any more; releasable once all of ``source_keys`` are final.

    ``damaged_bytes`` counts bytes that are no frame, a torn tail left out. In one that ``is_damaged``, acknowledged
    objects may be hidden; those of which a start was found are among ``source_keys`` and cannot be read as a whole.
    """

    name: str
    source_keys: tuple[str, ...]
    damaged_bytes: int
    is_damaged: bool = False


def segment_of(source_key: str) -> str:
    """The segment's name in a source key."""
    return source_key.partition("/")[0]


class SpoolReader:
    """Reads segments of all processes, alone or beside other readers; safe for several threads.

    Parameters
    ----------
    sealing_key : the 32 bytes that the writers were given
    in_memory_bytes : an object up to this size is read whole
    pool : takes the files of released segments; without one they are removed
    """

    def __init__(
        self,
        directory: Path,
        sealing_key: bytes,
        read_at: ReadAt = os.pread,
        in_memory_bytes: int = IN_MEMORY_BYTES,
        pool: SegmentPool | None = None,
    ) -> None:
        self._read_at = read_at
        self._pool = pool
        self._in_memory_bytes = in_memory_bytes
        self._directory = directory
        self._sealing_key = sealing_key
        self._lock = threading.RLock()
        self._scans: dict[str, SegmentScan] = {}
        self._unreadable: set[str] = set()
        self._pending: dict[str, SpooledObject] = {}

    def committed(self) -> Iterator[SpooledObject]:
        """The whole objects that this reader has not handed out before; a new reader starts with all there are.

        An object counts as handed out when the next one is asked for, so a loop that breaks off sees it again.

        Raises
        ------
        KeysMissing : the sealing key does not fit
        """
        with self._lock:
            self._look()
            waiting = list(self._pending.values())
        for spooled in waiting:
            yield spooled
            with self._lock:
                self._pending.pop(spooled.source_key, None)

    def read(self, source_key: str) -> EncodedBytes:
        """The data set of a whole object, as it came; a long one is read from the disk, for as long as it lies there.

        Raises
        ------
        InstanceUnreadable : it is not there or damaged
        """
        name, _, number = source_key.partition("/")
        if not number.isdigit():
            raise InstanceUnreadable("not the key of an object in the spool")
        with self._lock:
            scan = self._scans.get(name)
            known = scan.objects.get(int(number)) if scan else None
            if known is None or not known.ended:
                self._look(only=name)
                scan = self._scans.get(name)
            if scan is None:
                raise InstanceUnreadable("the segment is not in the spool")
        try:
            return scan.read(int(number))
        except FileNotFoundError as error:
            raise InstanceUnreadable("the segment was released") from error

    def salvage(self, source_key: str) -> EncodedBytes:
        """What can be read from the start of an object that `read` refuses."""
        name, _, number = source_key.partition("/")
        with self._lock:
            scan = self._scans.get(name)
        return scan.salvage(int(number)) if scan is not None and number.isdigit() else b""

    def finished_segments(self) -> list[FinishedSegment]:
        """Segments whose writer has closed them or is dead, oldest first, with all whole objects in them."""
        with self._lock:
            self._look()
            return [
                FinishedSegment(
                    name,
                    tuple(
                        f"{name}/{number}"
                        for number, found in sorted(scan.objects.items())
                        if found.ended and found.header is not None
                    ),
                    scan.damaged_bytes,
                    scan.is_damaged,
                )
                for name, scan in sorted(self._scans.items())
                if scan.finished
            ]

    @property
    def unreadable_segments(self) -> frozenset[str]:
        """Segments of which both heads are damaged: nothing in them can be read."""
        return frozenset(self._unreadable)

    def segments(self) -> set[str]:
        """The names of all segments that are there now; none comes back once it has gone."""
        return self._names()

    def set_aside(self, segment: str) -> bool:
        """Keep a damaged segment under a name that no reader looks at; False while a writer holds it."""
        with self._lock:
            path = self._directory / (segment + SUFFIX)
            if not rename_unheld(path, path.with_suffix(DAMAGED_SUFFIX)):
                return False
            sync_directory(self._directory)
            self._forget(segment)
            return True

    def release(self, segment: str) -> bool:
        """Destroy the key of a segment and let its file go; True when it is gone, False while a writer holds it.

        The caller has made sure that every object in it is final.
        """
        with self._lock:
            if not destroy(self._directory / (segment + SUFFIX), self._pool):
                return False
            sync_directory(self._directory)
            self._forget(segment)
            return True

    def _forget(self, segment: str) -> None:
        self._scans.pop(segment, None)
        self._unreadable.discard(segment)
        self._pending = {key: value for key, value in self._pending.items() if value.segment != segment}

    def _look(self, only: str | None = None) -> None:
        """Scan what is new; with ``only``, in one segment."""
        names = self._names()
        for name in sorted(set(self._scans) - names):
            del self._scans[name]
        for name in sorted(names if only is None else names & {only}):
            self._scan(name)

    def _scan(self, name: str) -> None:
        scan = self._scans.get(name) or SegmentScan(
            self._directory / (name + SUFFIX), self._sealing_key, self._read_at, self._in_memory_bytes
        )
        try:
            for found in scan.scan():
                self._note(name, found)
        except FileNotFoundError:
            destroy(scan.path)  # a release that was cut between key and file
            self._scans.pop(name, None)
            return
        except InstanceUnreadable as error:
            if name not in self._unreadable:
                self._unreadable.add(name)
                _LOGGER.error("spool segment %s: %s", name, error)  # noqa: TRY400 -- the trace says nothing
            return
        self._scans[name] = scan

    def _note(self, name: str, found: ScannedObject) -> None:
        if found.header is None:
            _LOGGER.error("spool segment %s: object %d lost its header", name, found.number)
            return
        spooled = SpooledObject(f"{name}/{found.number}", found.header, found.size)
        self._pending[spooled.source_key] = spooled

    def _names(self) -> set[str]:
        names = set()
        with os.scandir(self._directory) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX):
                    names.add(entry.name.removesuffix(SUFFIX))
                elif entry.name.endswith(NEW_SUFFIX):
                    _remove_stale(Path(entry.path))
        return names


def _remove_stale(new: Path) -> None:
    """Remove a segment whose writer died before it was born; nothing in it was ever acknowledged."""
    try:
        if time.time() - new.stat().st_mtime < _STALE_S:
            return
        descriptor = os.open(new, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        new.unlink(missing_ok=True)
    except BlockingIOError:
        return
    finally:
        os.close(descriptor)

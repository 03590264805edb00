"""How much one caller may ask of a node at a time, counted over all processes that receive on this host.

Associations above a limit are rejected as transient, so that the peer comes again; objects above theirs are not
refused but read later, which slows the sender down by its own window.

What is counted lies in small files of one directory: a rate in one that all processes share, open associations in one
for each process, so that those of a process that died count no more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dicom_nodes.callers import Rejection
from dicom_nodes.object_sink import ObjectHeader, ObjectSink, ObjectWriter

_MINUTE_S: Final = 60.0
_RATES: Final = "rates"
_COUNTS_SUFFIX: Final = ".open"
_TIME: Final = struct.Struct("<d")
_COUNT: Final = struct.Struct("<l")
_LONGEST_DELAY_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class CallerLimits:
    """What one calling AE title may do; None is no limit of its own.

    Parameters
    ----------
    associations : open at once
    associations_per_minute : opened
    objects_per_s : sent, over all its associations together
    """

    associations: int | None = None
    associations_per_minute: float | None = None
    objects_per_s: float | None = None


class SharedRates:
    """When each of many things may happen next, shared by processes (a generic cell rate algorithm).

    Parameters
    ----------
    names : the same in all processes
    now : seconds that all processes of this host count alike
    """

    def __init__(self, directory: Path, names: Iterable[str], now: Callable[[], float] = time.monotonic) -> None:
        self._places = _places(names, _TIME.size)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._now = now
        self._descriptor = os.open(directory / _RATES, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._lock = threading.Lock()

    def take(self, name: str, per_s: float, burst: float) -> float:
        """Count one; how many seconds it is early, 0 when its time has come. ``burst`` may come at once."""
        with self._exclusively():
            now, at = self._now(), self._places[name]
            due = max(self._read(at, now), now - max(0.0, burst - 1.0) / per_s)
            os.pwrite(self._descriptor, _TIME.pack(due + 1.0 / per_s), at)
        return max(0.0, due - now)

    def may(self, name: str, per_s: float, burst: float) -> bool:
        """Count one if its time has come; whether it had."""
        with self._exclusively():
            now, at = self._now(), self._places[name]
            due = max(self._read(at, now), now - max(0.0, burst - 1.0) / per_s)
            if due > now:
                return False
            os.pwrite(self._descriptor, _TIME.pack(due + 1.0 / per_s), at)
        return True

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)

    def _read(self, at: int, now: float) -> float:
        held = os.pread(self._descriptor, _TIME.size, at)
        due: float = _TIME.unpack(held)[0] if len(held) == _TIME.size else 0.0
        # After a restart of the machine its clock begins anew, and the file may have stayed.
        return due if due <= now + _MINUTE_S * 10 else 0.0

    @contextlib.contextmanager
    def _exclusively(self) -> Iterator[None]:
        with self._lock:  # a file lock is the process's, not the thread's
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)


class SharedCounts:
    """How many associations of each name are open in all processes of this host.

    Between the look and the count another process may let one more in: it is a limit, not a lock.

    Parameters
    ----------
    names : the same in all processes
    """

    def __init__(self, directory: Path, names: Iterable[str]) -> None:
        self._places = _places(names, _COUNT.size)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._lock = threading.Lock()
        self._own: dict[str, int] = {}
        self._path = directory / f"{os.getpid()}.{secrets.token_hex(4)}{_COUNTS_SUFFIX}"
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)  # held for as long as this process lives

    def enter(self, name: str, limit: int) -> bool:
        """Count one more unless there are as many as there may be; whether it was."""
        with self._lock:
            if self._own.get(name, 0) + self._of_others(name) >= limit:
                return False
            self._set(name, self._own.get(name, 0) + 1)
        return True

    def leave(self, name: str) -> None:
        """Count one less."""
        with self._lock:
            self._set(name, max(0, self._own.get(name, 0) - 1))

    def close(self) -> None:
        """Count nothing of this process any more."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        os.close(self._descriptor)

    def _set(self, name: str, count: int) -> None:
        self._own[name] = count
        os.pwrite(self._descriptor, _COUNT.pack(count), self._places[name])

    def _of_others(self, name: str) -> int:
        total = 0
        for path in self._directory.glob(f"*{_COUNTS_SUFFIX}"):
            if path != self._path:
                total += _count_in(path, self._places[name])
        return total


def _places(names: Iterable[str], size: int) -> dict[str, int]:
    return {name: size * number for number, name in enumerate(sorted(set(names)))}


def _count_in(path: Path, at: int) -> int:
    """What a process counts; the file of one that died goes."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = os.pread(descriptor, _COUNT.size, at)
            return int(_COUNT.unpack(held)[0]) if len(held) == _COUNT.size else 0
        path.unlink(missing_ok=True)
        return 0
    finally:
        os.close(descriptor)


class CallerGate:
    """Lets callers in by their limits; used by the threads of all associations at once.

    Parameters
    ----------
    limits : by calling AE title
    directory : shared by all processes that receive for the same titles
    """

    def __init__(
        self,
        limits: Mapping[str, CallerLimits],
        directory: Path,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._limits = dict(limits)
        self._rates = SharedRates(directory, (name for title in limits for name in _rates_of(title)), now)
        self._counts = SharedCounts(directory, limits)
        self._sleep = sleep

    def enter(self, calling_ae_title: str) -> Rejection | None:
        """Count an association that a caller opens, unless it is one too many; None where it is let in."""
        limits = self._limits.get(calling_ae_title)
        if limits is None:
            return None
        if limits.associations is not None and not self._counts.enter(calling_ae_title, limits.associations):
            return Rejection.TOO_MANY_AT_ONCE
        rate = limits.associations_per_minute
        if rate is not None and not self._rates.may(_rates_of(calling_ae_title)[0], rate / _MINUTE_S, rate):
            self.leave(calling_ae_title)
            return Rejection.TOO_MANY_A_MINUTE
        return None

    def leave(self, calling_ae_title: str) -> None:
        """An association that was let in is over."""
        limits = self._limits.get(calling_ae_title)
        if limits is not None and limits.associations is not None:
            self._counts.leave(calling_ae_title)

    def pace(self, calling_ae_title: str) -> None:
        """Wait until the next object of a caller may come, and no longer than a sender is patient."""
        limits = self._limits.get(calling_ae_title)
        if limits is None or limits.objects_per_s is None:
            return
        rate = limits.objects_per_s
        early_s = self._rates.take(_rates_of(calling_ae_title)[1], rate, max(1.0, rate))
        if early_s > 0:
            self._sleep(min(early_s, _LONGEST_DELAY_S))

    def close(self) -> None:
        """Count nothing of this process any more."""
        self._counts.close()
        self._rates.close()


def _rates_of(calling_ae_title: str) -> tuple[str, str]:
    return f"associations {calling_ae_title}", f"objects {calling_ae_title}"


class PacedSink:
    """A sink whose senders are slowed down to what they may send; fills ``object_sink.ObjectSink``.

    The wait is between a command and its data set: nothing of it is read meanwhile.
    """

    def __init__(self, sink: ObjectSink, pace: Callable[[str], None]) -> None:
        self._sink = sink
        self._pace = pace

    def begin(self, header: ObjectHeader) -> ObjectWriter:
        """Start an object when its time has come; see ``ObjectSink.begin``."""
        self._pace(header.calling_ae_title)
        return self._sink.begin(header)

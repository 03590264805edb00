"""A pixel cleaner whose work is done in a process of its own, which is started again when it dies or hangs."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Final

import structlog
from pydicom.dataset import Dataset

from dicom_nodes.errors import GatewayError, InstanceUnreadable
from service.core.encoded_bytes import Keep
from service.deident.pixel_bytes import PixelBytes
from service.deident.pixel_process import NewPixels, PixelAnswer, PixelTask, ReadRequest, main
from service.deident.pixels.pixel_outcome import BlackenedPixels, OutcomeKind, PixelOutcome, Region
from service.deident.pixels.pixel_source import PixelSource

if TYPE_CHECKING:
    from service.deident.pixels.pixel_cleaner import PixelCleaning

_ATTEMPTS: Final = 2
_PATIENT: Final = frozenset({0x0010, 0x0012, 0x0032, 0x0038, 0x0040, 0x0088, 0x0400})
_OVERLAYS: Final = 0x6000

_log = structlog.get_logger("annogate.pixels")


@dataclass(frozen=True, slots=True)
class LookLimits:
    """How much one look may take.

    Parameters
    ----------
    seconds : for one object; then the process is ended and the object waits for a person
    memory_bytes : of address space
    idle_s : a process without work for so long gives its memory back
    """

    seconds: float = 300.0
    memory_bytes: int = 6 << 30
    idle_s: float = 300.0


class SeparatePixelCleaner:
    """Does what a ``PixelCleaning`` does, in another process: one task at a time, each within limits.

    What dies or hangs over an object needs a person; it never ends or stops its caller. Safe for several threads.

    Parameters
    ----------
    make_cleaner : makes the cleaner, here for its policy and there for its work; can be pickled
    keep : keeps blackened pixels until they are written; in memory by default
    """

    def __init__(
        self, make_cleaner: Callable[[], PixelCleaning], limits: LookLimits | None = None, keep: Keep = b"".join
    ) -> None:
        self._make_cleaner = make_cleaner
        self._limits = limits or LookLimits()
        self._keep = keep
        self._turn = threading.Lock()
        self._process: _Process | None = None
        self._retirement: threading.Timer | None = None
        self._closed = False

    @cached_property
    def _policy(self) -> PixelCleaning:
        return self._make_cleaner()

    def check(self) -> None:
        """Load the policy now, so that what is wrong with it is told at once.

        Raises
        ------
        SettingsInvalid : says what
        """
        self._policy.must_look(Dataset())

    def must_look(self, header: Dataset) -> bool:
        """Whether the policy wants such an image looked at; decided here, without the process."""
        return self._policy.must_look(header)

    def examine(self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str) -> PixelOutcome:
        """Look at an object's pixels and blacken what text they carry.

        Raises
        ------
        GatewayError : the cleaner was closed meanwhile; nothing was decided
        """
        if not self.must_look(header):
            return PixelOutcome(OutcomeKind.PASSED)
        return self._outcome(PixelTask("examine", _needed(header), pixels.length, transfer_syntax_uid), pixels)

    def apply(
        self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str, regions: Sequence[Region]
    ) -> PixelOutcome:
        """Blacken the regions that a person drew.

        Raises
        ------
        GatewayError : the cleaner was closed meanwhile; nothing was decided
        """
        task = PixelTask("apply", _needed(header), pixels.length, transfer_syntax_uid, tuple(regions))
        return self._outcome(task, pixels)

    def picture(self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str, frame: int = 1) -> bytes:
        """One frame as PNG.

        Raises
        ------
        GatewayError : it cannot be drawn; says why
        """
        task = PixelTask("picture", _needed(header), pixels.length, transfer_syntax_uid, frame=frame)
        answer, _ = self._asked(task, pixels)
        if answer.picture is None:
            raise answer.error or InstanceUnreadable(_failure("Drawing", answer))
        return answer.picture

    def close(self) -> None:
        """End the process at once; what it was at raises where it was asked for."""
        self._closed = True
        self._retire()

    def _outcome(self, task: PixelTask, pixels: PixelSource) -> PixelOutcome:
        answer, value = self._asked(task, pixels)
        if answer.outcome is None:
            reason = str(answer.error) if answer.error else _failure("Looking at", answer)
            return PixelOutcome(OutcomeKind.NEEDS_PERSON, reason=reason)
        if answer.new_pixels is None or value is None:
            return answer.outcome
        new = answer.new_pixels
        blackened = BlackenedPixels(value, new.transfer_syntax_uid, new.encapsulated, new.changed, new.removed)
        done = answer.outcome
        return PixelOutcome(done.kind, done.regions, done.reason, blackened, done.frames_looked_at)

    def _asked(self, task: PixelTask, pixels: PixelSource) -> tuple[PixelAnswer, PixelBytes | None]:
        """The process's answer; when it dies over the task twice, or takes too long, an answer that says so."""
        with self._turn, _deadline(self._limits.seconds, self._kill) as is_over:
            if self._retirement is not None:
                self._retirement.cancel()
            try:
                return self._tried(task, pixels, is_over)
            except BaseException:
                self._kill()  # it may wait for bytes that never come
                raise
            finally:
                self._retirement = threading.Timer(self._limits.idle_s, self._retire_idle)
                self._retirement.daemon = True
                self._retirement.start()

    def _tried(
        self, task: PixelTask, pixels: PixelSource, is_over: Callable[[], bool]
    ) -> tuple[PixelAnswer, PixelBytes | None]:
        for _ in range(_ATTEMPTS):
            try:
                return self._started(is_over).ask(task, pixels, self._keep)
            except _ProcessEnded:
                self._kill()
            if self._closed:
                raise GatewayError("The gateway stops: pixels were not looked at")
            if is_over():
                _log.warning("pixels.hung", seconds=self._limits.seconds)
                return _told(f"took longer than {self._limits.seconds:g} s"), None
            _log.warning("pixels.died")
        return _told(f"ended the process that did it, {_ATTEMPTS} times"), None

    def _started(self, is_over: Callable[[], bool]) -> _Process:
        if self._process is None:
            self._process = _Process(self._make_cleaner, self._limits.memory_bytes)
        # Who ends it says so first: either he sees this process, or it is seen here that it may not run.
        if self._closed or is_over():
            raise _ProcessEnded
        return self._process

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def _retire(self) -> None:
        if self._retirement is not None:
            self._retirement.cancel()
        self._kill()

    def _retire_idle(self) -> None:
        if self._turn.acquire(blocking=False):
            try:
                self._kill()
            finally:
                self._turn.release()


class _ProcessEnded(Exception):
    """The process died, or was ended."""


class _Process:
    """The process and the connection to it."""

    def __init__(self, make_cleaner: Callable[[], PixelCleaning], memory_bytes: int) -> None:
        self._connection, theirs = Pipe()
        # Not -m: what it sends would be pickled under the name of its __main__, which here is another.
        command = [sys.executable, "-c", f"from {main.__module__} import main; main({theirs.fileno()})"]
        try:
            # Libraries in there print what they like, and what they see is a patient's.
            self._process = subprocess.Popen(  # noqa: S603 (our own module)
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        finally:
            theirs.close()
        self._first = (make_cleaner, memory_bytes)
        self._is_fresh = True

    def ask(self, task: PixelTask, pixels: PixelSource, keep: Keep) -> tuple[PixelAnswer, PixelBytes | None]:
        """Set the task, hand out the bytes that it needs, and take the answer in.

        Raises
        ------
        _ProcessEnded : the process has ended
        """
        if self._is_fresh:
            self._is_fresh = False
            self._send(self._first)
        self._send(task)
        answer = self._next(pixels)
        if isinstance(answer, bytes):
            raise _ProcessEnded  # it is not where we are
        if answer.new_pixels is None:
            return answer, None
        return self._value(answer, answer.new_pixels, pixels, keep)

    def _value(
        self, answer: PixelAnswer, new: NewPixels, pixels: PixelSource, keep: Keep
    ) -> tuple[PixelAnswer, PixelBytes | None]:
        failed: list[PixelAnswer] = []

        def pieces() -> Iterator[bytes]:
            received = 0
            while received < new.length:
                piece = self._next(pixels)
                if isinstance(piece, PixelAnswer):
                    failed.append(piece)
                    return
                received += len(piece)
                yield piece

        value = PixelBytes(keep(pieces()))
        return (failed[0], None) if failed else (answer, value)

    def _next(self, pixels: PixelSource) -> PixelAnswer | bytes:
        while True:
            try:
                message: PixelAnswer | ReadRequest | bytes = self._connection.recv()
            except (EOFError, OSError) as error:
                raise _ProcessEnded from error
            if not isinstance(message, ReadRequest):
                return message
            self._send(pixels.read(message.offset, message.size))

    def _send(self, message: object) -> None:
        try:
            self._connection.send(message)
        except OSError as error:
            raise _ProcessEnded from error

    def end(self) -> None:
        """Kill it and wait for its end; who waits for its answer meets the end of the connection."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


@contextmanager
def _deadline(seconds: float, act: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Act once after so many seconds, unless the block has ended; gives what says whether it has come to that."""
    is_over = threading.Event()

    def end() -> None:
        is_over.set()
        act()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield is_over.is_set
    finally:
        timer.cancel()


def _needed(header: Dataset) -> Dataset:
    """The header without what no look needs: patient, order, private elements, overlays."""
    kept = Dataset()
    kept.set_original_encoding(*header.original_encoding)
    for tag in header.keys():  # noqa: SIM118  # iterating over a data set converts its elements
        group = tag.group
        if group not in _PATIENT and group % 2 == 0 and not _OVERLAYS <= group < 0x7000:
            kept[tag] = header.get_item(tag, keep_deferred=True)
    return kept


def _told(what: str) -> PixelAnswer:
    return PixelAnswer(outcome=PixelOutcome(OutcomeKind.NEEDS_PERSON, reason=f"Looking at its pixels {what}"))


def _failure(what: str, answer: PixelAnswer) -> str:
    _log.error("pixels.failed", fault=answer.fault)
    return f"{what} its pixels failed ({answer.fault.partition(' ')[0] or 'no answer'})"

"""The process that looks at pixels: text recognition and decoders stay out of everybody else's memory and faults.

It holds no file and no key: it asks for the bytes that it needs, and hands back what it made of them piece by piece.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Final

from pydicom.dataset import Dataset

from dicom_nodes.errors import GatewayError
from service.core.fault_place import fault_place
from service.deident.pixels.pixel_outcome import PixelOutcome, Region

if TYPE_CHECKING:
    from service.deident.pixels.pixel_cleaner import PixelCleaning

PIECE: Final = 4 << 20
_WINDOW: Final = 64 << 10
_NICENESS: Final = 10
_PR_SET_DUMPABLE: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class PixelTask:
    """What is to be done with one object.

    Parameters
    ----------
    verb : "examine", "apply" or "picture"
    length : of the encoded pixel value, in bytes
    """

    verb: str
    header: Dataset = field(repr=False)
    length: int
    transfer_syntax_uid: str
    regions: tuple[Region, ...] = ()
    frame: int = 1


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """The process needs these bytes of the pixel value."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True, eq=False)
class NewPixels:
    """What the answer says of a blackened pixel value; its ``length`` bytes follow in pieces."""

    length: int
    transfer_syntax_uid: str
    encapsulated: bool
    changed: Dataset = field(repr=False)
    removed: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PixelAnswer:
    """How a task ended; one of ``outcome``, ``picture``, ``error`` and ``fault`` is there.

    Parameters
    ----------
    outcome : without its pixels
    error : of ours, in words that may be shown
    fault : where an error arose that nobody foresaw
    """

    outcome: PixelOutcome | None = None
    new_pixels: NewPixels | None = None
    picture: bytes | None = field(default=None, repr=False)
    error: GatewayError | None = None
    fault: str = ""


class AskedPixels:
    """A pixel value that lies with whoever set the task (``PixelSource``); small reads near each other are asked once.

    Parameters
    ----------
    ask : gives bytes of the value by offset and size
    """

    def __init__(self, length: int, ask: Callable[[ReadRequest], bytes]) -> None:
        self._length = length
        self._ask = ask
        self._window = b""
        self._window_at = 0

    @property
    def length(self) -> int:
        """How many bytes there are."""
        return self._length

    def read(self, offset: int, size: int) -> bytes:
        """The bytes from ``offset`` on, fewer than ``size`` only where the value ends."""
        size = max(0, min(size, self._length - offset))
        if size > _WINDOW:
            pieces = range(offset, offset + size, PIECE)
            return b"".join(self._ask(ReadRequest(at, min(PIECE, offset + size - at))) for at in pieces)
        start = offset - self._window_at
        if start < 0 or start + size > len(self._window):
            self._window = self._ask(ReadRequest(offset, min(_WINDOW, self._length - offset)))
            self._window_at, start = offset, 0
        return self._window[start : start + size]


def serve(connection: Connection) -> None:
    """Do task after task until there is nobody to set one."""
    make_cleaner, memory_bytes = connection.recv()
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    cleaner: PixelCleaning = make_cleaner()

    def ask(request: ReadRequest) -> bytes:
        connection.send(request)
        answer: bytes = connection.recv()
        return answer

    while True:
        task: PixelTask = connection.recv()
        source = AskedPixels(task.length, ask)
        try:
            _work(connection, cleaner, task, source)
        except GatewayError as error:
            connection.send(PixelAnswer(error=error))
        except (EOFError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - decoders meet arbitrary bytes; their words may quote values
            connection.send(PixelAnswer(fault=fault_place(error)))


def _work(connection: Connection, cleaner: PixelCleaning, task: PixelTask, source: AskedPixels) -> None:
    """Do one task and answer it; a value that fails half-way is answered by its error, and nobody uses it."""
    if task.verb == "picture":
        picture = cleaner.picture(task.header, source, task.transfer_syntax_uid, task.frame)
        connection.send(PixelAnswer(picture=picture))
        return
    if task.verb == "examine":
        outcome = cleaner.examine(task.header, source, task.transfer_syntax_uid)
    else:
        outcome = cleaner.apply(task.header, source, task.transfer_syntax_uid, task.regions)
    new = outcome.blackened
    bare = PixelOutcome(outcome.kind, outcome.regions, outcome.reason, None, outcome.frames_looked_at)
    if new is None:
        connection.send(PixelAnswer(outcome=bare))
        return
    said = NewPixels(new.value.length, new.transfer_syntax_uid, new.encapsulated, new.changed, new.removed)
    connection.send(PixelAnswer(outcome=bare, new_pixels=said))
    for offset in range(0, said.length, PIECE):
        connection.send(new.value.read(offset, min(PIECE, said.length - offset)))


def main(descriptor: int) -> None:
    """Serve the connection behind a file descriptor; end when standard input does, which ends with our starter."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; who started us decides
    threading.Thread(target=_end_with_starter, daemon=True).start()
    os.nice(_NICENESS)
    # What is in this memory is a patient's: no core file, no debugger of the same user.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)
    with suppress(EOFError, OSError):  # whoever set tasks is gone
        serve(Connection(descriptor))


def _end_with_starter() -> None:
    while os.read(0, 1):
        pass
    os._exit(0)

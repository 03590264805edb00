"""Batches that another process takes in, so that a second processor works for one sender.

The caller keeps the order: a helper reads, cleans and writes a batch as soon as it has it, and makes it durable and
found when it is told to. A helper that ends over a batch costs the caller an error; nothing was decided then, or the
same objects offered again are duplicates.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from socket import socket
from typing import Final

import structlog

from dicom_nodes.errors import GatewayError
from service.core.encoded_bytes import EncodedBytes, Section
from service.core.fault_place import fault_place
from service.core.records import Incoming, Outcome
from service.ingest.direct_intake import BeginIntake

IDLE_S: Final = 60.0
"""A helper that had nothing to do for so long gives its memory back."""
_WORTH_OBJECTS: Final = 8
_WORTH_BYTES: Final = 2 << 20
"""A batch that has either of them is worth the way to another process."""

_log = structlog.get_logger("annogate.ingest")


class HelperEnded(Exception):
    """The helper ended, or failed, over a batch."""


class IntakeHelpers:
    """Takes batches in, in helpers where one is free and the batch is worth it, else here; safe for several threads.

    Parameters
    ----------
    begin : takes a batch in here
    new_channel : starts a helper that runs ``take_in`` and gives the channel to it; raises OSError where it cannot
    most : how many helpers work at a time
    """

    def __init__(self, begin: BeginIntake, new_channel: Callable[[], socket], most: int) -> None:
        self._begin = begin
        self._new_channel = new_channel
        self._most = most
        self._lock = threading.Lock()
        self._free: list[_Helper] = []
        self._lent = 0

    def begin(self, batch: Sequence[Incoming]) -> Callable[[], list[Outcome]]:
        """As `BeginIntake`; what a helper is at is told by what is returned."""
        portable = _portable(batch)
        helper = self._lend() if portable is not None else None
        if portable is None or helper is None:
            return self._begin(batch)

        def finish() -> list[Outcome]:
            try:
                outcomes = helper.finish()
            except GatewayError:
                self._give_back(helper, is_well=True)
                raise
            except BaseException:
                self._give_back(helper, is_well=False)
                raise
            self._give_back(helper, is_well=True)
            return outcomes

        try:
            helper.begin(portable)
        except HelperEnded:  # before it could have begun
            self._give_back(helper, is_well=False)
            return self._begin(batch)
        return finish

    def close(self) -> None:
        """Let the helpers end after what they are at."""
        with self._lock:
            self._most = 0
            free, self._free = self._free, []
        for helper in free:
            helper.close()

    def _lend(self) -> _Helper | None:
        with self._lock:
            if self._lent >= self._most:
                return None
            self._lent += 1
            while self._free:
                helper = self._free.pop()
                if not helper.has_ended:
                    return helper
                helper.close()
        try:
            return _Helper(self._new_channel())
        except OSError as error:
            _log.warning("intake.helper-missing", reason=error.strerror)
            with self._lock:
                self._lent -= 1
            return None

    def _give_back(self, helper: _Helper, *, is_well: bool) -> None:
        with self._lock:
            self._lent -= 1
            if is_well and self._most:
                self._free.append(helper)
                return
        helper.close()


class _Helper:
    """One helper, as its caller has it."""

    def __init__(self, channel: socket) -> None:
        self._connection = Connection(channel.detach())

    @property
    def has_ended(self) -> bool:
        """Whether it has, while nothing was asked of it; the end of a channel can be read."""
        return self._connection.poll()

    def begin(self, batch: Sequence[Incoming]) -> None:
        """Hand a batch over.

        Raises
        ------
        HelperEnded : it has ended
        """
        with _ending():
            self._connection.send(len(batch))
            for incoming in batch:
                self._connection.send(incoming)

    def finish(self) -> list[Outcome]:
        """Have the batch made durable and found, and wait for it.

        Raises
        ------
        GatewayError : the house's own trouble; nothing was decided
        HelperEnded : it has ended, or met something that nobody foresaw
        """
        with _ending():
            self._connection.send(None)
            outcomes: list[Outcome] | GatewayError | None = self._connection.recv()
        if outcomes is None:
            raise HelperEnded
        if isinstance(outcomes, GatewayError):
            raise outcomes
        return outcomes

    def close(self) -> None:
        """Let it end."""
        self._connection.close()


def take_in(channel: socket, begin: BeginIntake, idle_s: float = IDLE_S) -> None:
    """Take in what comes over a channel until nothing does, or nobody is there; runs in the helper."""
    with Connection(channel.detach()) as connection, contextlib.suppress(EOFError, OSError):
        while connection.poll(idle_s):
            batch = [connection.recv() for _ in range(connection.recv())]
            connection.send(_taken(connection, begin, batch))


def _taken(
    connection: Connection, begin: BeginIntake, batch: Sequence[Incoming]
) -> list[Outcome] | GatewayError | None:
    """What became of a batch; none where something nobody foresaw happened."""
    try:
        finish = begin(batch)
    except Exception as error:  # noqa: BLE001 - arbitrary bytes from outside; the caller tries them one by one
        finish = _raising(error)
    connection.recv()  # the batch before this one came to its end
    try:
        return finish()
    except GatewayError as error:
        return error
    except Exception as error:  # noqa: BLE001 - as above
        _log.error("intake.helper-failed", error=fault_place(error), objects=len(batch))
        return None


def _raising(error: Exception) -> Callable[[], list[Outcome]]:
    def finish() -> list[Outcome]:
        raise error

    return finish


def _portable(batch: Sequence[Incoming]) -> list[Incoming] | None:
    """The batch with its data sets in memory; none where it is small, or one of them waits on the disk."""
    size = sum(len(incoming.data_set) for incoming in batch)
    if len(batch) < _WORTH_OBJECTS and size < _WORTH_BYTES:
        return None
    contents = [_in_memory(incoming.data_set) for incoming in batch]
    held = [content for content in contents if content is not None]
    if len(held) < len(batch):
        return None
    return [replace(incoming, data_set=content) for incoming, content in zip(batch, held, strict=True)]


def _in_memory(content: EncodedBytes) -> bytes | None:
    if isinstance(content, bytes):
        return content
    return bytes(content) if isinstance(content, Section) and isinstance(content.within, bytes) else None


@contextlib.contextmanager
def _ending() -> Iterator[None]:
    """A broken channel as what it means."""
    try:
        yield
    except (EOFError, OSError) as error:
        raise HelperEnded from error

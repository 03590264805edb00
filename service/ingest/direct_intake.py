"""Objects that are taken in while their sender waits for the answer: several at a time, each with its own outcome.

While a batch is made durable and found, the next one is read, cleaned and written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from threading import Thread
from typing import Protocol, Self

import structlog

from dicom_nodes.errors import GatewayError
from service.core.fault_place import fault_place
from service.core.records import Incoming, Outcome
from service.ingest.object_classes import marks_a_study

_log = structlog.get_logger("annogate.ingest")


class BeginIntake(Protocol):
    """Takes a batch in, with syncs and transaction shared, in two steps."""

    def __call__(self, batch: Sequence[Incoming], /) -> Callable[[], list[Outcome]]:
        """Read, clean and write; what is returned makes it durable and gives the outcomes, final, in order.

        Either raises `GatewayError` where nothing was decided.
        """
        ...


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """How much is taken in at once; twice as much is held, since two batches are under way."""

    objects: int = 64
    bytes: int = 16 << 20


class Taken:
    """What becomes of one batch; an error in place of an outcome where the house failed, and nothing was decided."""

    def __init__(self, begin: BeginIntake, batch: Sequence[Incoming]) -> None:
        self._begin = begin
        self._batch = batch
        self._ended: list[Outcome | GatewayError] | None = None
        self._finish: Callable[[], list[Outcome]]
        try:
            self._finish = begin(batch) if batch else list
        except Exception as error:  # noqa: BLE001 - arbitrary bytes from outside; the others are tried one by one
            self._finish = partial(_fail, error)

    def finish(self) -> None:
        """Wait until all of it came to its end; raises nothing."""
        try:
            self._ended = list(self._finish())
        except Exception as error:  # noqa: BLE001 - as above
            self._ended = self._failed(error)

    @property
    def outcomes(self) -> list[Outcome | GatewayError]:
        """In the order of the batch, once it came to its end."""
        if self._ended is None:
            raise RuntimeError("the batch was not finished")
        return self._ended

    def _failed(self, error: Exception) -> list[Outcome | GatewayError]:
        """One object that breaks something in a way that nobody foresaw costs only its own place."""
        if isinstance(error, GatewayError):
            return [error] * len(self._batch)
        _log.error("batch.failed", error=fault_place(error), objects=len(self._batch))
        if len(self._batch) == 1:
            return [GatewayError("Storing it failed here")]
        ended: list[Outcome | GatewayError] = []
        for one in self._batch:
            alone = Taken(self._begin, [one])
            alone.finish()
            ended += alone.outcomes
        return ended


class DirectIntake:
    """Takes the batches of one sender in, one after the other; leave it as a context manager.

    Parameters
    ----------
    begin : takes a batch in, in two steps
    """

    def __init__(self, begin: BeginIntake) -> None:
        self._begin = begin
        self._finishing: Thread | None = None

    def take(self, batch: Sequence[Incoming], *, is_last: bool) -> Taken:
        """Begin a batch and wait for the former; of the last one, wait for all.

        What is returned is finished when the next one was taken.
        """
        if any(_needs_others(incoming) for incoming in batch):
            self.wait()
        taken = Taken(self._begin, batch)
        self.wait()
        if is_last:
            taken.finish()
        else:
            self._finishing = Thread(target=copy_context().run, args=(taken.finish,), name="intake")
            self._finishing.start()
        return taken

    def wait(self) -> None:
        """Wait for what is under way."""
        if self._finishing is not None:
            self._finishing.join()
            self._finishing = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()


def _fail(error: Exception) -> list[Outcome]:
    raise error


def _needs_others(incoming: Incoming) -> bool:
    """Whether it may refer to a study that came with the former batch and has to be found."""
    return not incoming.sop_class_uid or marks_a_study(incoming.sop_class_uid)

"""A process that carries out runs, so that heavy libraries and an annotator's faults stay out of everybody else's."""

from __future__ import annotations

import contextlib
import ctypes
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from typing import Final, Protocol

from dicom_nodes.errors import GatewayError
from service.core.archived import RunRow
from service.jobs.run_end import RunEnd

_PR_SET_PDEATHSIG: Final = 1
_FAREWELL_S: Final = 10.0


class Executor(Protocol):
    """What carries runs out; ``AnnotationRun`` is one."""

    def warm_up(self) -> None:
        """Load what the first run will need."""

    def execute(self, run: RunRow, owner: str) -> RunEnd:
        """Carry one out.

        Raises
        ------
        GatewayError : the house's own trouble; the run is to be tried again
        """


@dataclass(frozen=True, slots=True)
class Answer:
    """What a process says of a run: how it ended, or what kept it from being carried out."""

    run_id: int
    end: RunEnd | None
    trouble: str = ""


class WorkerProcess:
    """One process and the run that it is at.

    Parameters
    ----------
    make_executor : called in the process; can be pickled
    """

    def __init__(self, context: SpawnContext, make_executor: Callable[[], Executor]) -> None:
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=work, args=(theirs, make_executor), name="annogate-annotator", daemon=True
        )
        self._process.start()
        theirs.close()
        self.is_ready = False
        self.run: RunRow | None = None
        self.since = self.renewed_at = 0.0

    @property
    def waitables(self) -> tuple[Connection, int]:
        """What becomes ready when it answers or ends."""
        return self._connection, self._process.sentinel

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return not self._process.is_alive()

    @property
    def exit_code(self) -> int | None:
        """How it ended; negative is the signal that ended it."""
        return self._process.exitcode

    def start(self, run: RunRow, owner: str, now: float) -> None:
        """Hand a run over; a process that ended this moment has it all the same, and is found with it."""
        self.run, self.since, self.renewed_at = run, now, now
        with contextlib.suppress(OSError):
            self._connection.send((run, owner))

    def answer(self) -> Answer | None:
        """What it says of its run, if it has said something; it is idle then. Its first word is that it is ready."""
        try:
            if not self._connection.poll():
                return None
            answer: Answer | None = self._connection.recv()
        except (EOFError, OSError):
            # It has ended, or cannot answer any more and would be waited for without rest.
            self._process.kill()
            return None
        self.is_ready = True
        self.run = None
        return answer

    def stop(self, *, at_once: bool) -> None:
        """End the process: after what it is at, or at once."""
        if at_once:
            self._process.kill()
        else:
            with contextlib.suppress(OSError):
                self._connection.send(None)
        self._process.join(_FAREWELL_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._connection.close()


def work(connection: Connection, make_executor: Callable[[], Executor]) -> None:
    """Carry out what comes until nothing does; runs in the process."""
    # Ctrl-C reaches the whole group; who started us decides when we end. If it is killed, we end with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    executor = make_executor()
    executor.warm_up()
    connection.send(None)
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        if task is None:
            return
        run, owner = task
        try:
            answer = Answer(run.id, executor.execute(run, owner))
        except GatewayError as error:
            answer = Answer(run.id, None, str(error))
        connection.send(answer)

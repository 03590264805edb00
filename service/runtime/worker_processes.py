"""Several processes that do the same work, below one that only keeps them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from service.runtime.forked_processes import Ended, ForkedProcess, ForkedProcesses, Signalled

STOP_S: Final = 15.0

Work = Callable[[int, Callable[[], None]], None]
"""What a worker does from its start to SIGTERM: its number from 0, and what it calls when it works."""


class _Worker(ForkedProcess):
    def __init__(self, number: int, work: Work) -> None:
        super().__init__(str(number))
        self._number = number
        self._work = work

    def work(self, say_ready: Callable[[], None]) -> None:
        self._work(self._number, say_ready)


def run_workers(count: int, work: Work, on_ready: Callable[[], None]) -> None:
    """Keep ``count`` workers at work until SIGTERM, then end them.

    Parameters
    ----------
    on_ready : called once, when every worker has been ready
    """
    announced = False
    with ForkedProcesses("worker", [_Worker(number, work) for number in range(count)], STOP_S) as workers:
        while True:
            for happened in workers.next():
                if isinstance(happened, Signalled):
                    return
                if isinstance(happened, Ended):
                    workers.again(happened)
            if not announced and workers.all_ready:
                announced = True
                on_ready()

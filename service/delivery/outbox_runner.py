"""Runs the outbox: one thread for each peer, so that one that is away keeps nobody waiting, and one that releases.

Nothing is polled: a ring wakes all of them, and each works out when something is due for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from dicom_nodes.errors import GatewayError
from service.core.fault_place import fault_place
from service.delivery.courier import Courier

_log = structlog.get_logger("annogate.delivery")


class WakeUp(Protocol):
    """A bell's listener."""

    def wait(self, timeout: float | None) -> bool:
        """Wait for a ring, at most so many seconds; take the rings so far."""


class OutboxRunner:
    """Works until it is stopped.

    Parameters
    ----------
    couriers : by the name of the peer
    chores : done at each wake-up before anything is sent: what releases by itself, what tidies
    sweep_s : between looks that nobody asked for
    """

    def __init__(
        self, couriers: Mapping[str, Courier], chores: Mapping[str, Callable[[], object]], sweep_s: float
    ) -> None:
        self._couriers = couriers
        self._chores = chores
        self._sweep_s = sweep_s
        self._stop = threading.Event()
        self._work = {name: threading.Event() for name in couriers}

    def run(self, wake: WakeUp) -> None:
        """Work until `stop`; whoever calls that rings the bell."""
        threads = [threading.Thread(target=self._deliver, args=(name,), daemon=True) for name in self._couriers]
        for thread in threads:
            thread.start()
        while not self._stop.is_set():
            for name, chore in self._chores.items():
                self._try(name, chore)
            for event in self._work.values():
                event.set()
            wake.wait(self._sweep_s)
        for event in self._work.values():
            event.set()
        for thread in threads:
            thread.join()

    def stop(self) -> None:
        """End; what is being sent is ended first."""
        self._stop.set()

    def _deliver(self, name: str) -> None:
        event = self._work[name]
        while not self._stop.is_set():
            event.clear()
            event.wait(self._try(name, lambda: self._couriers[name].turn(self._stop.is_set)) or self._sweep_s)

    @staticmethod
    def _try(name: str, act: Callable[[], float | object]) -> float:
        try:
            rest = act()
        except GatewayError as error:
            _log.error("delivery.trouble", what=name, reason=str(error))
        except Exception as error:  # noqa: BLE001  # rows say what is left to do; the next turn does it
            _log.error("delivery.trouble", what=name, reason=fault_place(error))
        else:
            return rest if isinstance(rest, float) else 0.0
        return 0.0

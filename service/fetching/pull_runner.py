"""Works on requests until it is stopped; nothing is polled but for what falls due by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import structlog

from dicom_nodes.errors import GatewayError
from service.core.fault_place import fault_place
from service.fetching.puller import Puller

_log = structlog.get_logger("annogate.pull")
_PAUSE_AFTER_FAULT_S = 30.0


class WakeUp(Protocol):
    """A bell's listener."""

    def wait(self, timeout: float | None) -> bool:
        """Wait for a ring, at most so many seconds; take the rings so far."""


class PullRunner:
    """One thread's work.

    Parameters
    ----------
    ask_for_priors : asks for the priors of studies that completed since the last look
    sweep_s : between looks that nobody asked for
    """

    def __init__(self, puller: Puller, ask_for_priors: Callable[[], None], sweep_s: float) -> None:
        self._puller = puller
        self._ask_for_priors = ask_for_priors
        self._sweep_s = sweep_s
        self._stop = threading.Event()

    def run(self, wake: WakeUp) -> None:
        """Work until `stop`; whoever calls that rings the bell."""
        while not self._stop.is_set():
            wake.wait(self._round())

    def stop(self) -> None:
        """End; a request that is being worked on is given back, and goes on another time."""
        self._stop.set()

    def _round(self) -> float:
        """Work on everything that is due; seconds until the next look."""
        try:
            self._ask_for_priors()
            while not self._stop.is_set() and self._puller.turn(self._stop.is_set):
                self._ask_for_priors()  # whoever waited for this one waits no longer
            due_s = self._puller.due_in()
        except GatewayError as error:
            _log.error("pull.trouble", reason=str(error))
        except Exception as error:  # noqa: BLE001  # rows say what is left to do; the next round does it
            _log.error("pull.trouble", reason=fault_place(error))
        else:
            return self._sweep_s if due_s is None else max(0.1, min(self._sweep_s, due_s))
        return _PAUSE_AFTER_FAULT_S

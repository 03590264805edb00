"""Failed logins slow the next ones down, by name and address together and by address alone.

The counts live in the memory of one process: a restart forgets them, and each web process counts for itself. Each
failure is a row of the audit trail, which forgets nothing.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from service.errors import TooManyAttempts

_FREE_BY_NAME, _FREE_BY_ADDRESS = 5, 50
_LONGEST_WAIT_S = 300.0
_FORGET_AFTER_S = 3600.0
_KEPT = 20_000


@dataclass(slots=True)
class _Failures:
    count: int
    last: float


class LoginThrottle:
    """Who failed how often, and how long they wait before they may try again.

    Five failures are free for a name from one address, fifty for an address over all names; each one after that
    doubles the wait, up to five minutes. A success clears the name's count at that address.

    Parameters
    ----------
    monotonic : a clock in seconds that never goes back
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._failures: OrderedDict[bytes, _Failures] = OrderedDict()

    def check(self, name: str, address: str) -> None:
        """Let an attempt through or refuse it before the password is looked at.

        Raises
        ------
        TooManyAttempts : says after how many seconds to come again
        """
        with self._lock:
            waits = [self._wait(key, free) for key, free in _keys(name, address)]
        if max(waits) > 0:
            seconds = math.ceil(max(waits))
            raise TooManyAttempts(f"too many failed logins; try again in {seconds} s", seconds)

    def failed(self, name: str, address: str) -> None:
        """Count a failure."""
        now = self._monotonic()
        with self._lock:
            for key, _ in _keys(name, address):
                known = self._failures.pop(key, None)
                count = known.count if known and now - known.last < _FORGET_AFTER_S else 0
                self._failures[key] = _Failures(count + 1, now)
            while len(self._failures) > _KEPT:
                self._failures.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """Forget the failures of this name at this address."""
        with self._lock:
            self._failures.pop(_keys(name, address)[0][0], None)

    def _wait(self, key: bytes, free: int) -> float:
        known = self._failures.get(key)
        if known is None or known.count < free:
            return 0.0
        wait = min(2.0 ** min(known.count - free, 10), _LONGEST_WAIT_S)
        return known.last + wait - self._monotonic()


def _keys(name: str, address: str) -> list[tuple[bytes, int]]:
    # Digests: what people type into a name field may be a password.
    both = hashlib.sha256(f"{name}\0{address}".encode()).digest()
    return [(both, _FREE_BY_NAME), (hashlib.sha256(address.encode()).digest(), _FREE_BY_ADDRESS)]

"""How fast objects are fetched at which hour of the day, so that a PACS is left alone while people need it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from service.core.hours import hours_of

_MINUTE_S: Final = 60.0
_LOOK_AGAIN_S: Final = 60.0


class Pace:
    """Objects per minute by hour of the local day; where no hours are named there is no limit.

    Parameters
    ----------
    limits : "HH-HH" → objects per minute, 0 for none at all; "19-7" goes over midnight
    clock : seconds since the epoch, UTC

    Raises
    ------
    ValueError : a key is no range of hours
    """

    def __init__(self, limits: Mapping[str, float], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._by_hour: dict[int, float] = {}
        for hours, limit in limits.items():
            for hour in hours_of(hours):
                self._by_hour[hour] = min(limit, self._by_hour.get(hour, limit))
        self._next_at = 0.0

    @property
    def limit(self) -> float | None:
        """Objects per minute now; None without a limit."""
        return self._by_hour.get(time.localtime(self._clock()).tm_hour)

    def portion(self, most: int) -> int:
        """How many objects to ask for at once: about what a minute allows, where there is a limit."""
        return most if self.limit is None else max(1, min(most, int(self.limit)))

    def pause_s(self) -> float:
        """Seconds until the next objects may be asked for; 0 for at once."""
        limit = self.limit
        if limit is None:
            return 0.0
        return _LOOK_AGAIN_S if limit <= 0 else max(0.0, self._next_at - self._clock())

    def took(self, objects: int) -> None:
        """Count objects that were asked for."""
        limit = self.limit
        if limit:
            self._next_at = max(self._clock(), self._next_at) + objects * _MINUTE_S / limit

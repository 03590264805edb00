"""Ranges of hours of the day, as settings name them."""

from __future__ import annotations

import re
from typing import Final

_HOURS: Final = re.compile(r"([01]?\d|2[0-4])-([01]?\d|2[0-4])")


def hours_of(hours: str) -> list[int]:
    """The hours of "HH-HH", the last one not included; "19-7" goes over midnight, "0-24" is every hour.

    Raises
    ------
    ValueError : it is no range of hours
    """
    match = _HOURS.fullmatch(hours.strip())
    if match is None:
        raise ValueError(f"{hours!r} is no range of hours such as 7-19")
    first, last = int(match[1]) % 24, int(match[2]) % 24
    return [(first + step) % 24 for step in range((last - first) % 24 or 24)]

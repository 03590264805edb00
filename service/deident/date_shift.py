"""Moving dates back by whole days, in every form that DA and DT may have (PS3.5 6.2)."""

from __future__ import annotations

import re
from datetime import date, timedelta

DATE = re.compile(r"(\d{4})(\d{2})(\d{2})\Z")
ACR_NEMA_DATE = re.compile(r"(\d{4})\.(\d{2})\.(\d{2})\Z")
DATE_TIME = re.compile(r"(\d{4})(\d{2})?(\d{2})?((?:\d{2}){0,3}(?:\.\d{1,6})?)([+-]\d{4})?\Z")
TIME = re.compile(r"(\d{2}(?::?\d{2}(?::?\d{2}(?:\.\d{1,6})?)?)?)\Z")


def shifted_date(text: str, days: int) -> str | None:
    """Return a DA value moved back by ``days``; None where it is not a date, or leaves the calendar."""
    match = DATE.match(text) or ACR_NEMA_DATE.match(text)
    if match is None:
        return None
    moved = _moved(int(match[1]), int(match[2]), int(match[3]), days)
    return None if moved is None else moved.strftime("%Y%m%d").zfill(8)


def shifted_date_time(text: str, days: int) -> str | None:
    """Return a DT value moved back by ``days``: time of day, zone and precision stay.

    Where day or month are missing, the first one stands in for the shift and is cut off again; such a date is then
    right to its own precision.
    """
    match = DATE_TIME.match(text)
    if match is None:
        return None
    year, month, day, time, zone = match.groups()
    if time and not day:
        return None
    moved = _moved(int(year), int(month or 1), int(day or 1), days)
    if moved is None:
        return None
    precision = 8 if day else 6 if month else 4
    return moved.strftime("%Y%m%d").zfill(8)[:precision] + time + (zone or "")


def is_time(text: str) -> bool:
    """Whether the text is a TM value, the colons of ACR-NEMA included."""
    return TIME.match(text) is not None


def _moved(year: int, month: int, day: int, days: int) -> date | None:
    try:
        return date(year, month, day) - timedelta(days=days)
    except (ValueError, OverflowError):
        return None

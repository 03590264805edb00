"""Dates moved back by whole days."""

from __future__ import annotations

import re
from datetime import date, timedelta


def moved_date(value: str, days: int) -> str | None:
    """Move a DA back; None where it is none."""
    match = re.fullmatch(r"(\d{4})(\.?)(\d{2})\2(\d{2})", value)
    return None if match is None else moved(match[1], match[3], match[4], days)


def moved_date_time(value: str, days: int) -> str | None:
    """Move a DT back, as precise as it was; None where it is none."""
    match = re.fullmatch(r"(\d{4})(\d{2})?(\d{2})?((?:\d{2}){0,3}(?:\.\d{1,6})?)([+-]\d{4})?", value)
    if match is None or (match[4] and not match[3]):
        return None
    day = moved(match[1], match[2] or "01", match[3] or "01", days)
    if day is None:
        return None
    return day[: 8 if match[3] else 6 if match[2] else 4] + match[4] + (match[5] or "")


def moved(year: str, month: str, day: str, days: int) -> str | None:
    """Move a day back; None where the calendar has none such."""
    try:
        then = date(int(year), int(month), int(day)) - timedelta(days)
    except (ValueError, OverflowError):
        return None
    return f"{then.year:04d}{then.month:02d}{then.day:02d}"

"""Dates, times and date-times as text that can be compared (PS3.4 C.2.2.2.5, PS3.5 6.2).

A moment that is given to the hour, or the year, stands for all of it: a query's first end begins there and its last end
stands for what is left of it. What is held begins where it says. A date-time with an offset from UTC, its own or its
data set's, is compared in UTC; one without is taken as it stands.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

_LAST_TIME: Final = "235959.999999"
_FIRST_MOMENT: Final = "00000101000000"
_LAST_MOMENT: Final = "99991231235959.999999"
_DATE_TIME: Final = re.compile(
    r"(?P<digits>\d{4}(?:\d{2}(?:\d{2}(?:\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)?)?)?)(?P<offset>[+-]\d{4})?"
)
_OFFSET: Final = re.compile(r"(?P<sign>[+-])(?P<hours>\d{2})(?P<minutes>[0-5]\d)")
_MOST_HOURS: Final = 14


def last_of_time(time: str) -> str:
    """The last moment of a time that is given to the hour, minute or second; "" stays open."""
    return time + _LAST_TIME[len(time) :] if time else ""


def combined(dates: tuple[str, str], times: tuple[str, str]) -> tuple[str, str]:
    """A range of dates and one of times as one from moment to moment (PS3.4 C.2.2.2.5.4); "" is open.

    An open end of the dates leaves the whole open there; one of the times is the begin or end of the day.
    """
    first = dates[0] + (times[0] or "000000") if dates[0] else ""
    last = dates[1] + (last_of_time(times[1]) or _LAST_TIME) if dates[1] else ""
    return first, last


def is_date_time(text: str) -> bool:
    """Whether text is a DT value that can be meant: an offset of more than 14 hours is rather a year in a range."""
    found = _DATE_TIME.fullmatch(text)
    return found is not None and (not found["offset"] or _offset(found["offset"]) is not None)


def held_moment(text: str, zone: str = "") -> str:
    """A DT value as the index keeps it; what is none stays as it is."""
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return text
    digits, offset = found["digits"], _offset(found["offset"] or zone)
    return _plain(digits if offset is None else _in_utc(digits, offset, _FIRST_MOMENT))


def first_moment(text: str) -> str:
    """Where a query's DT value begins; "" stays open."""
    return held_moment(text) if text else ""


def last_moment(text: str) -> str:
    """Where a query's DT value ends; "" stays open."""
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return text
    offset = _offset(found["offset"] or "")
    whole = found["digits"] + _LAST_MOMENT[len(found["digits"]) :]
    return whole if offset is None else _in_utc(whole, offset, _LAST_MOMENT)


def _offset(text: str) -> timedelta | None:
    found = _OFFSET.fullmatch(text.strip())
    if found is None or int(found["hours"]) > _MOST_HOURS:
        return None
    size = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"]))
    return -size if found["sign"] == "-" else size


def _in_utc(digits: str, offset: timedelta, rest: str) -> str:
    """A moment elsewhere, filled up from ``rest``, in UTC; one that no calendar has stays as it is."""
    whole, _, fraction = digits.partition(".")
    whole += rest[len(whole) : 14]
    while whole:
        try:
            moment = datetime.strptime(whole, "%Y%m%d%H%M%S").replace(tzinfo=timezone(offset))
            return f"{moment.astimezone(UTC):%Y%m%d%H%M%S}" + (f".{fraction}" if fraction else "")
        except (ValueError, OverflowError):
            # The last day of a month that has fewer: the fill is a 31st.
            if whole[6:8] not in ("31", "30", "29") or rest != _LAST_MOMENT:
                return digits
            whole = f"{whole[:6]}{int(whole[6:8]) - 1}{whole[8:]}"
    return digits


def _plain(digits: str) -> str:
    return digits.rstrip("0").rstrip(".") if "." in digits else digits

"""Values of a query's own parameters, as against those of its keys (PS3.18 8.3.4)."""

from __future__ import annotations

import re

from service.errors import BadRequest


def count_of(name: str, value: str, *, least: int) -> int:
    """A number of results.

    Raises
    ------
    BadRequest : it is none, or smaller than ``least``
    """
    if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) < least:
        raise BadRequest(f"{name}: not an integer of {least} or more")
    return int(value)


def flag_of(name: str, value: str) -> bool:
    """Whether something is wanted.

    Raises
    ------
    BadRequest : it says neither
    """
    if value not in ("true", "false"):
        raise BadRequest(f"{name}: neither true nor false")
    return value == "true"

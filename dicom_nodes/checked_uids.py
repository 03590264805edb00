"""UIDs of negotiation, checked once each rather than at every step of pynetdicom's.

A storescu proposes 128 presentation contexts in some hundred transfer syntaxes' names; pynetdicom 3 checks each of
these, all of them well known, up to seven times on their way, which took half of an association's processor time.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from pynetdicom import pdu_items, pdu_primitives, presentation, utils

_REMEMBERED: Final = 4096
_LONGEST: Final = 64
"""Characters of a UID (PS3.5 9.1); what is longer is not worth remembering."""

_set_uid = utils.set_uid
_remembered = lru_cache(_REMEMBERED, typed=True)(_set_uid)


def set_uid(value: Any, name: str, allow_empty: bool = True, allow_none: bool = True, validate: bool = True) -> Any:
    """Do what pynetdicom's function of this name does; what it refuses it refuses each time."""
    if isinstance(value, str | bytes) and len(value) <= _LONGEST:
        return _remembered(value, name, allow_empty, allow_none, validate)
    return _set_uid(value, name, allow_empty, allow_none, validate)


def remember_checked_uids() -> None:
    """Have pynetdicom use it, in the whole process; harmless when done twice."""
    for module in (pdu_items, pdu_primitives, presentation):
        module.set_uid = set_uid

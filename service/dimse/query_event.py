"""What callers asked and were given over DIMSE, for the audit trail; UIDs as served, no values of keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from dicom_nodes.service_port import Caller


class QueryEventKind(StrEnum):
    """What a caller did."""

    QUERIED = "study.queried"
    MOVED = "study.moved"
    FETCHED = "study.fetched"


@dataclass(frozen=True, slots=True)
class QueryEvent:
    """One query or retrieval.

    Parameters
    ----------
    objects : how many matched, or were sent
    studies : Study Instance UIDs of what was sent, as served, the first few
    destination : the peer that a C-MOVE sent to
    """

    kind: QueryEventKind
    caller: Caller
    project: str
    status: int
    level: str
    objects: int = 0
    failed: int = 0
    studies: tuple[str, ...] = ()
    destination: str = ""


QueryEventHandler = Callable[[QueryEvent], None]

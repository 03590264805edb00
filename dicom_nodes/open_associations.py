"""The associations that a node has open, and their end."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dicom_nodes.accepted_association import AcceptedAssociation

_LAST_JOIN_S: Final = 1.0


class OpenAssociations:
    """Used by all threads of a node."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[AcceptedAssociation] = set()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, association: AcceptedAssociation) -> None:
        """It is about to start."""
        with self._lock:
            self._open.add(association)

    def discard(self, association: AcceptedAssociation) -> None:
        """It has ended."""
        with self._lock:
            self._open.discard(association)

    def count(self, *, over_limit: bool) -> int:
        """How many hold a place, or how many are only to be told that there is none."""
        with self._lock:
            return sum(association.over_limit is over_limit for association in self._open)

    def all(self) -> list[AcceptedAssociation]:
        """Those that are open now."""
        with self._lock:
            return list(self._open)

    def end(self, grace_s: float) -> None:
        """Abort all and wait for their threads, no longer than ``grace_s`` and a second for those that do not end.

        What still runs then sits in a call of the sink or of a service; its connection is closed, so that it cannot
        answer any more, and its threads end with the process.
        """
        deadline = time.monotonic() + grace_s
        ending = self.all()
        for association in ending:
            if association.is_established:
                association.abort(block=False)
            else:
                association.stop_threads()
        for association in ending:
            association.dul.join(max(0.0, deadline - time.monotonic()))
        for association in ending:
            association.stop_threads()
        deadline = time.monotonic() + _LAST_JOIN_S
        for association in ending:
            association.join(max(0.0, deadline - time.monotonic()))

"""Spool files that a disk damaged: set aside, sealed as they were, until their time is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service.ingest.spool_reader import DAMAGED_SUFFIX
from service.ingest.spool_scan import destroy
from service.ingest.spool_segment import sync_directory


@dataclass(frozen=True, slots=True)
class DamagedSegment:
    """One file that was set aside; ``since`` in seconds since the epoch."""

    name: str
    since: float
    size: int


class DamagedSegments:
    """The files in one spool."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def list(self) -> list[DamagedSegment]:
        """All that are there, the first set aside first."""
        return sorted(self._all(), key=lambda one: (one.since, one.name))

    def expire(self, before: float) -> int:
        """Destroy those that were set aside before a time in seconds since the epoch; how many."""
        expired = [one for one in self.list() if one.since < before]
        for one in expired:
            destroy(self._directory / one.name)
        if expired:
            sync_directory(self._directory)
        return len(expired)

    def _all(self) -> Iterator[DamagedSegment]:
        for path in self._directory.glob(f"*{DAMAGED_SUFFIX}"):
            try:
                found = path.stat()
            except FileNotFoundError:  # it expired this moment
                continue
            yield DamagedSegment(path.name, found.st_mtime, found.st_size)

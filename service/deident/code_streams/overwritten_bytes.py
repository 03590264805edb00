"""Bytes that are read from where they lie, some stretches of them overwritten."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from service.core.encoded_bytes import EncodedBytes


@dataclass(frozen=True, slots=True, order=True)
class Blank:
    """A stretch that becomes zeros.

    Parameters
    ----------
    start, stop : offsets
    lead : what stands at its start instead of zeros
    """

    start: int
    stop: int
    lead: bytes = b""


class OverwrittenBytes:
    """Bytes of the same length as others, with stretches blanked.

    Parameters
    ----------
    blanks : ascending, without overlap, within the content's length
    """

    __slots__ = ("_blanks", "_content", "_starts")

    def __init__(self, content: EncodedBytes, blanks: Sequence[Blank]) -> None:
        self._content = content
        self._blanks = blanks
        self._starts = [blank.start for blank in blanks]

    @property
    def stretches(self) -> int:
        """How many stretches are blanked."""
        return len(self._blanks)

    def __len__(self) -> int:
        return len(self._content)

    def __getitem__(self, stretch: slice, /) -> bytes:
        start, stop, _ = stretch.indices(len(self._content))
        found = self._content[start:stop]
        first, last = max(bisect_right(self._starts, start) - 1, 0), bisect_left(self._starts, stop)
        changed: bytearray | None = None
        for blank in self._blanks[first:last]:
            low, high = max(blank.start, start), min(blank.stop, start + len(found))
            if low < high:
                changed = bytearray(found) if changed is None else changed
                lead = blank.lead[low - blank.start : high - blank.start]
                changed[low - start : high - start] = lead.ljust(high - low, b"\0")
        return found if changed is None else bytes(changed)

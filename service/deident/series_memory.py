"""What became of the elements of one patient's headers: the same becomes of them when they come again.

It holds identity, in memory alone, and is never shared between patients, IODs or encodings.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from service.deident.raw_scan import base_tag
from service.deident.rules import Action

LONGEST = 8192
"""Bytes of an element's encoded forms beyond which it is worked on anew each time."""
LONGEST_GROUP = 4 * LONGEST
VALUES_OF_AN_ELEMENT = 24
LARGEST = 512 * 1024
NOTES = 16
REMEMBERED_SERIES = 16
OVERHEAD = 400
"""Bytes that Python needs for a remembered value beside the value."""


class Outcome(NamedTuple):
    """What became of an element: its encoded form, the element (None where it went), and what was counted."""

    encoded: bytes
    element: RawDataElement | None
    removed: int
    replaced: int


class Slot:
    """One element of a series' headers.

    Parameters
    ----------
    action : what its rule asks for
    is_sequence : by its own VR or the standard's
    is_original : whether the way back keeps its value
    by_group : whether its outcome depends on other elements of its group
    """

    __slots__ = ("action", "by_group", "is_original", "is_sequence", "known", "number", "size", "tag", "vr")

    def __init__(
        self,
        number: int,
        vr: str | None,
        action: Action,
        is_sequence: bool = False,
        is_original: bool = False,
        by_group: bool = False,
    ) -> None:
        self.number = number
        self.tag = base_tag(number)
        self.vr = vr
        self.action = action
        self.is_sequence = is_sequence
        self.is_original = is_original
        self.by_group = by_group
        self.known: dict[Any, Outcome] = {}
        self.size = 0


class SeriesMemory:
    """Bounded memory of one patient's headers of one IOD in one encoding."""

    def __init__(self) -> None:
        self.slots: dict[BaseTag, Slot] = {}
        self.groups: dict[Any, dict[int, Outcome]] = {}
        self.notes: dict[Any, Any] = {}
        self._size = 0

    def add(self, slot: Slot) -> Slot:
        """Keep the place of an element; another VR than before takes the place over."""
        self._make_room(OVERHEAD)
        self.slots[slot.tag] = slot
        return slot

    def remember(self, slot: Slot, key: Any, outcome: Outcome) -> None:
        """Keep what became of a value."""
        element = outcome.element
        size = len(outcome.encoded) + (len(element.value or b"") if element is not None else 0)
        if size > LONGEST or (type(key) is bytes and len(key) > LONGEST):
            return
        size += OVERHEAD
        if len(slot.known) >= VALUES_OF_AN_ELEMENT:
            slot.known = {}  # it varies from image to image
            self._size -= slot.size
            slot.size = 0
        self._make_room(size)
        slot.known[key] = outcome
        slot.size += size

    def remember_group(self, key: Any, outcomes: dict[int, Outcome], size: int) -> None:
        """Keep what became of the elements of a group that depend on each other."""
        size += sum(OVERHEAD + 2 * len(outcome.encoded) for outcome in outcomes.values()) + OVERHEAD
        if size <= LONGEST_GROUP:
            self._make_room(size)
            self.groups[key] = outcomes

    def note(self, key: Any, value: Any) -> None:
        """Keep something else of the series; read it from ``notes``."""
        if len(self.notes) >= NOTES:
            self.notes = {}
        self.notes[key] = value

    def _make_room(self, size: int) -> None:
        if self._size + size > LARGEST:
            self.slots = {}
            self.groups = {}
            self._size = 0
        self._size += size


class SeriesMemories:
    """The memories of the last few patients' series."""

    def __init__(self) -> None:
        self._memories: dict[Hashable, SeriesMemory] = {}

    def of(self, key: Hashable) -> SeriesMemory:
        """Return the memory of a series, empty where it is new.

        Parameters
        ----------
        key : the patient, the IOD and the encoding, between which nothing is shared
        """
        memory = self._memories.get(key)
        if memory is None:
            while len(self._memories) >= REMEMBERED_SERIES:
                self._memories.pop(next(iter(self._memories)), None)
            memory = self._memories[key] = SeriesMemory()
        return memory

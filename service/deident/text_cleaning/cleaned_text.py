"""What is cleaned, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class TextKind(Enum):
    """Where a text stands; the value is the word that the vocabulary files use.

    ``unknown_share`` is the share of its words above which the whole text goes, since it was not understood.
    """

    DESCRIPTOR = "descriptor"
    """Study and series description, protocol name: a few words of a technician's."""
    LABEL = "label"
    """ROI names, segment labels, names of layers."""
    NARRATIVE = "narrative"
    """Comments, text of reports and presentation states: sentences."""

    @property
    def unknown_share(self) -> float:
        """The share of unknown words from which on a text is taken for one about somebody."""
        return 0.4 if self is TextKind.NARRATIVE else 0.6

    @property
    def gap(self) -> str:
        """What stands where words went: sentences show the gap, labels close it."""
        return "_" if self is TextKind.NARRATIVE else ""


@dataclass(frozen=True, slots=True)
class CleanedText:
    """A text without what may identify.

    Parameters
    ----------
    text : what may stay, never longer than it was; None when nothing may
    reason : why something went, in words without any value; empty when nothing did
    taken : how many pieces went, by category, in the order of the alphabet
    """

    text: str | None = field(repr=False)
    reason: str = ""
    taken: tuple[tuple[str, int], ...] = ()

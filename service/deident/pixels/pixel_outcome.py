"""What became of the pixels of one object. Nothing in here says what a text read: only where it stood."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pydicom.dataset import Dataset

from service.deident.pixels.pixel_source import PixelSource


class OutcomeKind(StrEnum):
    """How the cleaning of pixels ended."""

    PASSED = "passed"
    """The policy says that such images carry no text; nobody looked."""
    CLEAN = "clean"
    """Looked at, nothing found; the pixels stay as they are."""
    BLACKENED = "blackened"
    """Regions were blackened, and a second look found nothing left (a person's regions need no second look)."""
    NEEDS_PERSON = "needs person"
    """Not decided here: the reason says why."""


class RegionOrigin(StrEnum):
    """What named a region."""

    TEXT = "text"
    DEVICE = "device rule"
    ULTRASOUND = "outside ultrasound regions"
    PERSON = "person"
    FACE = "face"


@dataclass(frozen=True, slots=True, order=True)
class Region:
    """A rectangle of pixels.

    Parameters
    ----------
    x, y : column and row of its first pixel, from 0
    frame : as DICOM counts frames, from 1; None means every frame
    """

    x: int
    y: int
    width: int
    height: int
    frame: int | None = None
    origin: RegionOrigin = RegionOrigin.TEXT


@dataclass(frozen=True, slots=True, eq=False)
class BlackenedPixels:
    """A new value for Pixel Data and what the header has to say about it.

    Parameters
    ----------
    value : read on demand, from the source that came in as well: that must stay open until this is written
    encapsulated : ``value`` holds items, to be followed by a sequence delimiter, as the value that came in
    changed : attributes that replace those of the header
    removed : tags that do not hold any more
    """

    value: PixelSource = field(repr=False)
    transfer_syntax_uid: str
    encapsulated: bool
    changed: Dataset = field(repr=False)
    removed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class PixelOutcome:
    """How the cleaning of one object's pixels ended.

    Parameters
    ----------
    regions : what was blackened, or what a person has to look at
    reason : in words, for NEEDS_PERSON; names no values
    blackened : only with BLACKENED
    """

    kind: OutcomeKind
    regions: tuple[Region, ...] = ()
    reason: str = ""
    blackened: BlackenedPixels | None = None
    frames_looked_at: int = 0

    @property
    def free_of_text(self) -> bool:
        """Whether somebody looked and nothing is left, so that Burned In Annotation (0028,0301) NO is true."""
        return self.kind in (OutcomeKind.CLEAN, OutcomeKind.BLACKENED)

"""Looks for text in the pixels of one object and blackens it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pydicom.dataset import Dataset

from service.deident.pixels.pixel_outcome import PixelOutcome, Region
from service.deident.pixels.pixel_source import PixelSource


class PixelCleaning(Protocol):
    """What ingest, the desk and the command line call; ``header`` is always the one that came in, before cleaning."""

    def must_look(self, header: Dataset) -> bool:
        """Whether the policy wants such an image looked at; cheap, loads nothing."""

    def examine(self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str) -> PixelOutcome:
        """Look at an object's pixels and blacken what text they carry.

        Takes seconds per megapixel and some hundred MB in the process that calls it for an image that is looked at.
        Nothing that is wrong with the pixels raises: what cannot be decoded or cleaned needs a person.
        """

    def apply(
        self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str, regions: Sequence[Region]
    ) -> PixelOutcome:
        """Blacken the regions that a person drew, without looking for others; NEEDS_PERSON where it cannot be done."""

    def picture(self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str, frame: int = 1) -> bytes:
        """One frame as it is shown, as PNG of Rows × Columns pixels, for the person who decides.

        Raises
        ------
        VolumeRefused, TransferSyntaxNotSupported, InstanceUnreadable : the frame cannot be drawn, with the reason
        """

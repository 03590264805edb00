"""A pixel cleaner that does what an object's Image Comments say: for tests of what stands round it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless

from service.deident.pixels.pixel_outcome import BlackenedPixels, OutcomeKind, PixelOutcome, Region
from service.deident.pixels.pixel_source import HeldPixels, PixelSource
from service.errors import TransferSyntaxNotSupported
from tests.commented_frames import jpeg_ls

FOUND = (Region(1, 2, 3, 4), Region(5, 6, 7, 8, frame=1))


@dataclass(frozen=True)
class ScriptedPixelCleaner:
    """The word in Derivation Description (0008,2111) decides.

    Parameters
    ----------
    notes : a file to which each look adds a line, so that processes can be counted
    """

    notes: Path | None = None

    def must_look(self, header: Dataset) -> bool:
        element = header.get_item("DerivationDescription")
        return element is not None and bool(element.value)

    def examine(self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str) -> PixelOutcome:
        if not self.must_look(header):
            return PixelOutcome(OutcomeKind.PASSED)
        word = str(header.DerivationDescription)
        if self.notes is not None:
            with self.notes.open("a") as notes:
                notes.write(f"{word} {os.getpid()}\n")
        return getattr(self, word.replace(" ", "_"))(header, pixels, transfer_syntax_uid)

    def clean(self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str) -> PixelOutcome:
        return PixelOutcome(OutcomeKind.CLEAN, frames_looked_at=1)

    def blacken(self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str) -> PixelOutcome:
        return self.apply(header, pixels, transfer_syntax_uid, FOUND)

    def compress(self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str) -> PixelOutcome:
        value = HeldPixels(encapsulate([jpeg_ls()]))
        new = BlackenedPixels(value, JPEGLSLossless, encapsulated=True, changed=Dataset())
        return PixelOutcome(OutcomeKind.BLACKENED, FOUND, "", new, 1)

    def ask(self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str) -> PixelOutcome:
        return PixelOutcome(OutcomeKind.NEEDS_PERSON, FOUND, "Text is left after blackening")

    def die(self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str) -> PixelOutcome:
        pixels.read(0, 1)
        os.kill(os.getpid(), signal.SIGKILL)
        return self.clean(header, pixels, transfer_syntax_uid)

    def die_once(self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str) -> PixelOutcome:
        assert self.notes is not None
        if len(self.notes.read_text().splitlines()) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.clean(header, pixels, transfer_syntax_uid)

    def slow(self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str) -> PixelOutcome:
        time.sleep(1.5)
        return self.clean(header, pixels, transfer_syntax_uid)

    def hang(self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str) -> PixelOutcome:
        while True:
            time.sleep(60)

    def stop(self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str) -> PixelOutcome:
        os.kill(os.getpid(), signal.SIGSTOP)
        return self.clean(header, pixels, transfer_syntax_uid)

    def fail(self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str) -> PixelOutcome:
        raise ValueError("Doe^Jane")

    def devour(self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str) -> PixelOutcome:
        return PixelOutcome(OutcomeKind.CLEAN, frames_looked_at=len(bytes(1 << 40)))

    def apply(
        self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str, regions: Sequence[Region]
    ) -> PixelOutcome:
        changed = Dataset()
        changed.ImageComments = "blackened"
        value = HeldPixels(bytes(255 - byte for byte in pixels.read(0, pixels.length)))
        new = BlackenedPixels(value, transfer_syntax_uid, encapsulated=False, changed=changed)
        return PixelOutcome(OutcomeKind.BLACKENED, tuple(regions), "", new, 1)

    def picture(self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str, frame: int = 1) -> bytes:
        if frame > int(header.get("NumberOfFrames") or 1):
            raise TransferSyntaxNotSupported("There is no such frame")
        return b"\x89PNG" + pixels.read(0, 4)

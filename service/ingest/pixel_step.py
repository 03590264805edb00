"""The pixels of one object on its way into a project that cleans them (PS3.15 E.3.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import ref

from pydicom.dataset import Dataset

from service.core.encoded_bytes import Section
from service.deident.overlay_bits import without_overlay_bits
from service.deident.pixel_bytes import PixelBytes, ValueBytes
from service.deident.pixel_look import PixelLook
from service.deident.pixels.pixel_outcome import BlackenedPixels, OutcomeKind, PixelOutcome, Region
from service.deident.seen_header import header_copy, header_of_new_pixels, header_without_text
from service.ingest.parsing import ParsedInstance, number_of
from service.ingest.pixel_case import PixelCase, PixelsFound
from service.ingest.pixel_data import EncodedPixels

if TYPE_CHECKING:
    from service.deident.pixels.pixel_cleaner import PixelCleaning


@dataclass(frozen=True, slots=True, eq=False)
class SeenInstance:
    """An object after its pixels were looked at, or need not be.

    Parameters
    ----------
    parsed : with the pixels as they may be kept, and what the header has to say about them
    look : who looked, where no text is left in the pixels
    free_of_faces : whether recognizable visual features were removed
    outcome : how the look ended, in a word; empty where there are no pixels or the profile does not clean them
    """

    parsed: ParsedInstance
    look: PixelLook = PixelLook.NONE
    free_of_faces: bool = False
    outcome: str = ""


class PixelStep:
    """Has the pixels of a project's objects looked at.

    Parameters
    ----------
    cleaning : looks, and blackens
    """

    def __init__(self, cleaning: PixelCleaning) -> None:
        self._cleaning = cleaning
        self._asked_last: tuple[Callable[[], Dataset | None], bool] = (lambda: None, False)

    def must_look(self, parsed: ParsedInstance) -> bool:
        """Whether an object has pixels that are to be looked at; the header is left as it was read."""
        if parsed.pixels is None:
            return False
        header, answer = self._asked_last  # each object is asked for several times on its way
        if header() is not parsed.header:
            answer = self._cleaning.must_look(parsed.header)
            self._asked_last = ref(parsed.header), answer
        return answer

    def see(self, parsed: ParsedInstance, decided: Sequence[Region] | None = None) -> SeenInstance:
        """Look at an object's pixels, or do what a person decided on them.

        Parameters
        ----------
        decided : the regions that a person wants blackened, none where they saw nothing; None when nobody decided

        Raises
        ------
        PixelsFound : with the reason and what was found
        GatewayError : the look was broken off; nothing was decided
        """
        if parsed.pixels is None or (decided is None and not self.must_look(parsed)):
            return SeenInstance(parsed)
        outcome = self._outcome(parsed, parsed.pixels, decided)
        if outcome.kind is OutcomeKind.NEEDS_PERSON:
            raise PixelsFound(outcome.reason, case_of(parsed, outcome.regions))
        if outcome.blackened is not None:
            parsed = with_pixels(parsed, parsed.pixels, outcome.blackened)
        if outcome.free_of_text:
            parsed = replace(parsed, header=header_without_text(parsed.header))
        look = PixelLook.of(outcome.kind, by_person=decided is not None)
        return SeenInstance(parsed, look, outcome=str(outcome.kind))

    def unseen(self, parsed: ParsedInstance) -> SeenInstance:
        """An object of which no pixel will be kept, so that nobody has to look."""
        return SeenInstance(replace(parsed, header=header_without_text(parsed.header)))

    def picture(self, parsed: ParsedInstance, frame: int) -> bytes:
        """One frame as PNG, for a person who decides.

        Raises
        ------
        GatewayError : it cannot be drawn; says why
        """
        pixels = PixelBytes(parsed.pixels.value if parsed.pixels else b"")
        return self._cleaning.picture(parsed.header, pixels, parsed.transfer_syntax_uid, frame)

    def _outcome(self, parsed: ParsedInstance, pixels: EncodedPixels, decided: Sequence[Region] | None) -> PixelOutcome:
        header, source = header_copy(parsed.header), PixelBytes(pixels.value)
        if decided is None:
            return self._cleaning.examine(header, source, parsed.transfer_syntax_uid)
        if decided:
            return self._cleaning.apply(header, source, parsed.transfer_syntax_uid, decided)
        return PixelOutcome(OutcomeKind.CLEAN)


def free_of_overlay_bits(parsed: ParsedInstance) -> ParsedInstance:
    """The object without overlay planes in unused bits of its native pixels; the same where there are none."""
    if parsed.pixels is None:
        return parsed
    cleared = without_overlay_bits(parsed.header, PixelBytes(parsed.pixels.value), parsed.transfer_syntax_uid)
    return parsed if cleared is None else with_pixels(parsed, parsed.pixels, cleared)


def case_of(parsed: ParsedInstance, regions: Sequence[Region] = ()) -> PixelCase:
    """What a person is told of an object's pixels."""
    rows, columns, frames = (number_of(parsed.header, tag) or 0 for tag in (0x00280010, 0x00280011, 0x00280008))
    return PixelCase(rows, columns, max(frames, 1), tuple(sorted(set(regions), key=_by_frame)))


def _by_frame(region: Region) -> tuple[int, ...]:
    return region.frame or 0, region.y, region.x, region.height, region.width


def with_pixels(parsed: ParsedInstance, old: EncodedPixels, new: BlackenedPixels) -> ParsedInstance:
    """The object with a new pixel value and what the header has to say about it."""
    header = header_of_new_pixels(parsed.header, new)
    value = ValueBytes(new.value)
    pixels = replace(
        old,
        value=Section(value, 0, len(value)),
        encapsulated=new.encapsulated,
        vr="OB" if new.encapsulated else old.vr,
    )
    syntax = new.transfer_syntax_uid
    return replace(parsed, header=header, transfer_syntax_uid=syntax, pixels=pixels)

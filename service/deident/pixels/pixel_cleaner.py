"""Looks for text in the pixels of one object and blackens it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from pydicom.dataset import Dataset

from dicom_nodes.errors import GatewayError, InstanceUnreadable
from service.deident.pixels.blackening import blacken_pixels, with_changes
from service.deident.pixels.device_rules import POLICY_FILE, DeviceRules, load_device_rules
from service.deident.pixels.frame_reader import FrameReader, is_video, pixel_format
from service.deident.pixels.image_policy import ImagePolicy, Look, PolicyRule, load_policy
from service.deident.pixels.look_memory import LookMemory
from service.deident.pixels.pixel_outcome import BlackenedPixels, OutcomeKind, PixelOutcome, Region
from service.deident.pixels.pixel_source import PixelSource
from service.deident.pixels.shown_frame import pictures
from service.deident.pixels.text_finder import TextFinder
from service.deident.pixels.text_model import load_text_model
from service.deident.pixels.text_search import SearchResult, TextSearch
from service.deident.pixels.ultrasound_regions import outside_regions

_ROUNDS: Final = 3
"""How often what a second look finds is blackened as well, before a person is asked."""
_VIDEO: Final = "Frames of a video cannot be looked at or blackened one by one"
_NOT_FOUND: Final = "Burned In Annotation (0028,0301) is YES, and no text was found"
_LEFT: Final = "A second look found text again after it was blackened"


class PixelCleaning(Protocol):
    """What ingest, the desk and the command line call; ``header`` is always the one that came in, before cleaning."""

    def must_look(self, header: Dataset) -> bool:
        """Whether the policy wants such an image looked at; cheap, loads nothing, leaves the header as it was read."""

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


class PixelCleaner:
    """Looks for text in the pixels of objects and blackens it; for one thread at a time.

    Parameters
    ----------
    make_finder : makes the finder when the first image is looked at; loading it takes a second and some 100 MB
    """

    def __init__(self, policy: ImagePolicy, devices: DeviceRules, make_finder: Callable[[], TextFinder]) -> None:
        self._policy = policy
        self._devices = devices
        self._make_finder = make_finder
        self._memory = LookMemory(self._decided)

    @cached_property
    def _finder(self) -> TextFinder:
        return self._make_finder()

    def must_look(self, header: Dataset) -> bool:
        """Whether the policy wants such an image looked at; cheap, loads nothing."""
        return self._memory.must_look(header)

    def _decided(self, header: Dataset) -> bool:
        return self._policy.decide(header).decide is not Look.PASS or bool(self._devices.fit(header))

    def examine(self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str) -> PixelOutcome:
        """Look at an object's pixels and blacken what text they carry."""
        rule = self._policy.decide(header)
        if not self.must_look(header):
            return PixelOutcome(OutcomeKind.PASSED)
        if rule.decide is Look.PERSON:
            return PixelOutcome(OutcomeKind.NEEDS_PERSON, reason=_sentence(rule.why))
        if is_video(transfer_syntax_uid):
            return PixelOutcome(OutcomeKind.NEEDS_PERSON, reason=_VIDEO)
        try:
            return self._looked_at(rule, header, pixels, transfer_syntax_uid)
        except GatewayError as error:
            return PixelOutcome(OutcomeKind.NEEDS_PERSON, reason=str(error))
        except Exception as error:  # noqa: BLE001 - codecs; a person decides, and the words of others may quote values
            return PixelOutcome(OutcomeKind.NEEDS_PERSON, reason=f"The look broke off ({type(error).__name__})")

    def apply(
        self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str, regions: Sequence[Region]
    ) -> PixelOutcome:
        """Blacken the regions that a person drew, without looking for others; NEEDS_PERSON where it cannot be done."""
        drawn = tuple(regions)
        if is_video(transfer_syntax_uid):
            return PixelOutcome(OutcomeKind.NEEDS_PERSON, drawn, _VIDEO)
        try:
            frames = FrameReader(header, pixels, transfer_syntax_uid)
            blackened = blacken_pixels(frames, pixels, header, drawn)
        except GatewayError as error:
            return PixelOutcome(OutcomeKind.NEEDS_PERSON, drawn, str(error))
        except Exception as error:  # noqa: BLE001 - codecs raise what they like
            return PixelOutcome(OutcomeKind.NEEDS_PERSON, drawn, f"Blackening broke off ({type(error).__name__})")
        return PixelOutcome(OutcomeKind.BLACKENED, drawn, blackened=blackened)

    def picture(self, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str, frame: int = 1) -> bytes:
        """One frame as it is shown, as PNG of Rows × Columns pixels.

        Raises
        ------
        TransferSyntaxNotSupported, InstanceUnreadable : the frame cannot be drawn, with the reason
        """
        from PIL import Image

        frames = FrameReader(header, pixels, transfer_syntax_uid)
        if not 1 <= frame <= frames.count:
            raise InstanceUnreadable(f"There is no frame {frame}")
        stored, photometric = frames.stored(frame - 1)
        shown = pictures(stored, photometric, frames.format, header)[0]
        stream = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(shown)).save(stream, "PNG")
        return stream.getvalue()

    def _looked_at(
        self, rule: PolicyRule, header: Dataset, pixels: PixelSource, transfer_syntax_uid: str
    ) -> PixelOutcome:
        frames = FrameReader(header, pixels, transfer_syntax_uid)
        known = self._known_regions(header)
        first = TextSearch(self._finder, frames, header, every_frame=rule.every_frame).search(known)
        regions, looked_at = [*known, *first.regions], first.looked_at
        if not regions and _sender_says_text(header):
            return PixelOutcome(OutcomeKind.NEEDS_PERSON, reason=_NOT_FOUND, frames_looked_at=looked_at)
        if not regions:
            return PixelOutcome(OutcomeKind.CLEAN, frames_looked_at=looked_at)
        for _ in range(_ROUNDS):
            blackened = blacken_pixels(frames, pixels, header, regions)
            again = self._second_look(rule, header, blackened)
            looked_at += again.looked_at
            if not again.regions:
                return PixelOutcome(OutcomeKind.BLACKENED, tuple(regions), "", blackened, looked_at)
            regions += again.regions
        return PixelOutcome(OutcomeKind.NEEDS_PERSON, tuple(regions), _LEFT, frames_looked_at=looked_at)

    def _known_regions(self, header: Dataset) -> list[Region]:
        """What is blackened unseen: where the device writes, and what is outside of the ultrasound regions."""
        layout = pixel_format(header)
        devices = self._devices.fit(header)
        found = [region for rule in devices for region in rule.rectangles(layout.rows, layout.columns)]
        return found + outside_regions(header, layout.rows, layout.columns)

    def _second_look(self, rule: PolicyRule, header: Dataset, blackened: BlackenedPixels) -> SearchResult:
        """Look at what was written, not at what was meant to be."""
        changed = with_changes(header, blackened)
        frames = FrameReader(changed, blackened.value, blackened.transfer_syntax_uid)
        return TextSearch(self._finder, frames, changed, every_frame=rule.every_frame, again=True).search()


def load_pixel_cleaner(directory: Path, threads: int = 1) -> PixelCleaner:
    """The cleaner that the files under config/devices describe; the networks are loaded with the first look.

    Raises
    ------
    SettingsInvalid : something in the files is unknown, named in words
    """
    policy = load_policy(directory / POLICY_FILE)

    def make_finder() -> TextFinder:
        return TextFinder(load_text_model(threads), policy.harmless, policy.harmless_patterns)

    return PixelCleaner(policy, load_device_rules(directory), make_finder)


def _sender_says_text(header: Dataset) -> bool:
    return str(header.get("BurnedInAnnotation") or "").strip().upper() == "YES"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]

"""Pixels are looked at in a process that may die, hang or fail without harm to who asked."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from service.deident.pixels.pixel_outcome import OutcomeKind, Region
from service.deident.pixels.pixel_source import HeldPixels
from service.deident.separate_pixel_cleaner import LookLimits, SeparatePixelCleaner, _needed
from service.errors import GatewayError, InstanceUnreadable, TransferSyntaxNotSupported
from tests.datasets import ct_slice
from tests.fakes.scripted_pixel_cleaner import FOUND, ScriptedPixelCleaner
from tests.look_limit import look_limit_s
from tests.patience import PATIENCE_S

EXPLICIT = "1.2.840.10008.1.2.1"
VALUE = np.random.default_rng(4).bytes(9 << 20)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


@pytest.fixture
def cleaner(notes: Path) -> Iterator[SeparatePixelCleaner]:
    cleaner = SeparatePixelCleaner(partial(ScriptedPixelCleaner, notes), LookLimits())
    yield cleaner
    cleaner.close()


def header(word: str) -> Dataset:
    header = ct_slice()
    del header.PixelData
    header.DerivationDescription = word
    return header


def looked_in(notes: Path) -> list[int]:
    return [int(line.split()[-1]) for line in notes.read_text().splitlines()]


def test_image_that_needs_no_look_starts_no_process(cleaner: SeparatePixelCleaner, notes: Path) -> None:
    assert cleaner.examine(header(""), HeldPixels(VALUE), EXPLICIT).kind is OutcomeKind.PASSED
    assert not notes.exists()


def test_look_is_done_in_another_process(cleaner: SeparatePixelCleaner, notes: Path) -> None:
    outcome = cleaner.examine(header("clean"), HeldPixels(VALUE), EXPLICIT)
    assert (outcome.kind, outcome.frames_looked_at) == (OutcomeKind.CLEAN, 1)
    assert looked_in(notes) != [os.getpid()]


def test_process_serves_again(cleaner: SeparatePixelCleaner, notes: Path) -> None:
    for _ in range(3):
        cleaner.examine(header("clean"), HeldPixels(VALUE), EXPLICIT)
    assert len(set(looked_in(notes))) == 1


def test_blackened_pixels_come_back_whole(cleaner: SeparatePixelCleaner) -> None:
    outcome = cleaner.examine(header("blacken"), HeldPixels(VALUE), EXPLICIT)
    assert (outcome.kind, outcome.regions) == (OutcomeKind.BLACKENED, FOUND)
    assert outcome.blackened is not None
    assert outcome.blackened.changed.ImageComments == "blackened"
    value = outcome.blackened.value
    assert value.read(0, value.length) == bytes(255 - byte for byte in VALUE)
    assert value.read(8 << 20, 5) == bytes(255 - byte for byte in VALUE[8 << 20 : (8 << 20) + 5])


def test_regions_of_a_person_reach_the_process(cleaner: SeparatePixelCleaner) -> None:
    drawn = (Region(9, 8, 7, 6, frame=2),)
    assert cleaner.apply(header("clean"), HeldPixels(b"ab"), EXPLICIT, drawn).regions == drawn


def test_what_needs_a_person_says_where(cleaner: SeparatePixelCleaner) -> None:
    outcome = cleaner.examine(header("ask"), HeldPixels(VALUE), EXPLICIT)
    assert (outcome.kind, outcome.regions) == (OutcomeKind.NEEDS_PERSON, FOUND)
    assert outcome.reason == "Text is left after blackening"


def test_picture_is_drawn_there(cleaner: SeparatePixelCleaner) -> None:
    assert cleaner.picture(header(""), HeldPixels(VALUE), EXPLICIT) == b"\x89PNG" + VALUE[:4]


def test_error_of_ours_comes_back_as_it_is(cleaner: SeparatePixelCleaner) -> None:
    with pytest.raises(TransferSyntaxNotSupported, match="There is no such frame"):
        cleaner.picture(header(""), HeldPixels(VALUE), EXPLICIT, frame=2)


def test_process_that_dies_once_is_started_again(cleaner: SeparatePixelCleaner, notes: Path) -> None:
    assert cleaner.examine(header("die once"), HeldPixels(VALUE), EXPLICIT).kind is OutcomeKind.CLEAN
    assert len(set(looked_in(notes))) == 2


def test_object_that_ends_the_process_needs_a_person(cleaner: SeparatePixelCleaner, notes: Path) -> None:
    outcome = cleaner.examine(header("die"), HeldPixels(VALUE), EXPLICIT)
    assert (outcome.kind, len(looked_in(notes))) == (OutcomeKind.NEEDS_PERSON, 2)
    assert outcome.reason == "Looking at its pixels ended the process that did it, 2 times"
    assert cleaner.examine(header("clean"), HeldPixels(VALUE), EXPLICIT).kind is OutcomeKind.CLEAN


@pytest.mark.parametrize("word", ["hang", "stop"])
def test_object_that_hangs_needs_a_person(notes: Path, word: str) -> None:
    cleaner = SeparatePixelCleaner(partial(ScriptedPixelCleaner, notes), LookLimits(seconds=look_limit_s()))
    outcome = cleaner.examine(header(word), HeldPixels(VALUE), EXPLICIT)
    reason = f"Looking at its pixels took longer than {look_limit_s()} s"
    assert (outcome.kind, outcome.reason) == (OutcomeKind.NEEDS_PERSON, reason)
    assert cleaner.examine(header("clean"), HeldPixels(VALUE), EXPLICIT).kind is OutcomeKind.CLEAN
    cleaner.close()


@pytest.mark.parametrize(("word", "error"), [("fail", "ValueError"), ("devour", "MemoryError")])
def test_fault_needs_a_person_and_repeats_no_value(cleaner: SeparatePixelCleaner, word: str, error: str) -> None:
    outcome = cleaner.examine(header(word), HeldPixels(VALUE), EXPLICIT)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.NEEDS_PERSON, f"Looking at its pixels failed ({error})")


def test_trouble_of_the_source_is_the_callers(cleaner: SeparatePixelCleaner) -> None:
    class Damaged(HeldPixels):
        def read(self, offset: int, size: int) -> bytes:
            raise InstanceUnreadable("damaged")

    with pytest.raises(InstanceUnreadable, match="damaged"):
        cleaner.examine(header("blacken"), Damaged(VALUE), EXPLICIT)
    assert cleaner.examine(header("clean"), HeldPixels(VALUE), EXPLICIT).kind is OutcomeKind.CLEAN


def test_closing_decides_nothing(cleaner: SeparatePixelCleaner, notes: Path) -> None:
    def close_when_it_looks() -> None:
        while not notes.exists():
            time.sleep(0.02)
        cleaner.close()

    closing = threading.Thread(target=close_when_it_looks)
    closing.start()
    with pytest.raises(GatewayError, match="stops"):
        cleaner.examine(header("hang"), HeldPixels(VALUE), EXPLICIT)
    closing.join()


def test_process_without_work_gives_its_memory_back(notes: Path) -> None:
    cleaner = SeparatePixelCleaner(partial(ScriptedPixelCleaner, notes), LookLimits(idle_s=0.1))
    cleaner.examine(header("clean"), HeldPixels(VALUE), EXPLICIT)
    (process,) = looked_in(notes)
    until = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    assert cleaner.examine(header("clean"), HeldPixels(VALUE), EXPLICIT).kind is OutcomeKind.CLEAN
    cleaner.close()


def test_threads_take_turns(cleaner: SeparatePixelCleaner, notes: Path) -> None:
    kinds: list[OutcomeKind] = []
    look = lambda: kinds.append(cleaner.examine(header("blacken"), HeldPixels(VALUE), EXPLICIT).kind)  # noqa: E731
    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kinds == [OutcomeKind.BLACKENED] * 3
    assert len(set(looked_in(notes))) == 1


def test_patients_attributes_do_not_reach_the_process(cleaner: SeparatePixelCleaner) -> None:
    assert {element.tag.group for element in _needed(header("clean"))} == {0x0008, 0x0018, 0x0020, 0x0028}

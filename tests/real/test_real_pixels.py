"""Real images with and without text in their pixels; benchmarks/deid_pixels.py looks at all of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from service.deident.overlay_bits import without_overlay_bits
from service.deident.pixels.pixel_cleaner import PixelCleaner, load_pixel_cleaner
from service.deident.pixels.pixel_outcome import OutcomeKind, PixelOutcome, Region
from service.deident.pixels.pixel_source import HeldPixels
from tests.text_pictures import DEVICES, covered, frames_after, frames_of

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.filterwarnings("ignore::UserWarning:pydicom"),
    # One process looks at all of them, so that the networks are loaded once.
    pytest.mark.xdist_group("text in pixels"),
]

DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"

# Where a person reads text: left, top, right, bottom.
TEXT = {
    "burned-in/ybrFull-RLE.dcm": [(31, 4, 250, 30), (117, 374, 145, 388)],
    "burned-in/US1_UNCR.dcm": [(20, 26, 164, 38)],
    "ct-phantom-philips/exam-summary/I0050.dcm": [(328, 46, 362, 58), (328, 72, 476, 84)],
    "presentation-state/overlay.dcm": [(82, 56, 396, 66)],
}
NO_TEXT = [
    "mr-t1-defaced/N2D_0289.dcm",  # folds of a brain, in lines as text is
    "transfer-syntax/ct-one-image/JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm",  # 12 bits
    "colour/TestPattern_RGB.dcm",
    "ultrasound/color-pl.dcm",
]


@cache
def cleaner() -> PixelCleaner:
    return load_pixel_cleaner(DEVICES, threads=2)


def read(path: Path) -> tuple[Dataset, HeldPixels, str]:
    if not path.is_file():
        pytest.skip(f"no {path.name} among the real images")
    data = dcmread(path)
    value: bytes = data.PixelData
    if data["PixelData"].is_undefined_length:
        value = value.removesuffix(DELIMITER)
    head = Dataset()
    head.set_original_encoding(*data.original_encoding)
    head.update(data)
    del head["PixelData"]
    return head, HeldPixels(value), str(data.file_meta.TransferSyntaxUID)


def looked_at(path: Path) -> tuple[Dataset, HeldPixels, str, PixelOutcome]:
    head, pixels, syntax = read(path)
    return head, pixels, syntax, cleaner().examine(head, pixels, syntax)


@pytest.mark.parametrize("name", TEXT)
def test_text_in_a_real_image_is_blackened(shared_data: Path, name: str) -> None:
    head, pixels, syntax, outcome = looked_at(shared_data / name)
    assert outcome.kind is OutcomeKind.BLACKENED, outcome.reason
    assert outcome.blackened is not None
    [before, *_], [after, *_] = frames_of(head, pixels, syntax), frames_after(head, outcome.blackened)
    for left, top, right, bottom in TEXT[name]:
        glyphs = np.zeros(before.shape[:2], dtype=bool)
        glyphs[top:bottom, left:right] = True
        assert covered(glyphs, outcome.regions) == 1
        assert len(np.unique(before[top:bottom, left:right].reshape(-1, *before.shape[2:]), axis=0)) > 1
        assert len(np.unique(after[top:bottom, left:right].reshape(-1, *after.shape[2:]), axis=0)) == 1


@pytest.mark.parametrize("name", TEXT)
def test_pixels_outside_of_the_boxes_stay_as_they_were(shared_data: Path, name: str) -> None:
    head, pixels, syntax = read(shared_data / name)
    drawn = [Region(left, top, right - left, bottom - top) for left, top, right, bottom in TEXT[name]]
    outcome = cleaner().apply(head, pixels, syntax, drawn)
    assert outcome.blackened is not None
    [before, *_], [after, *_] = frames_of(head, pixels, syntax), frames_after(head, outcome.blackened)
    outside = np.ones(before.shape[:2], dtype=bool)
    for left, top, right, bottom in TEXT[name]:
        outside[top:bottom, left:right] = False
    assert np.array_equal(before[outside], after[outside])


@pytest.mark.parametrize("name", NO_TEXT)
def test_nothing_is_blackened_where_no_text_is(shared_data: Path, name: str) -> None:
    *_, outcome = looked_at(shared_data / name)
    assert (outcome.kind, outcome.regions) == (OutcomeKind.CLEAN, ())


def test_planes_in_real_pixels_are_cleared_and_the_values_stay(shared_data: Path) -> None:
    head, pixels, syntax = read(shared_data / "presentation-state" / "overlay.dcm")
    stored = np.frombuffer(pixels.read(0, pixels.length), "<u2")
    cleared = without_overlay_bits(head, pixels, syntax)
    assert cleared is not None
    after = np.frombuffer(cleared.value.read(0, cleared.value.length), "<u2")
    assert (stored >> 12).any()
    assert not (after >> 12).any()
    assert np.array_equal(stored & 0xFFF, after)

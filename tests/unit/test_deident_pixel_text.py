"""Text in pixels is found by the real networks and wholly covered; benchmarks/deid_pixels.py walks the whole grid."""

from __future__ import annotations

import io
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit

from service.deident.pixels.device_rules import DeviceRules
from service.deident.pixels.frame_encoder import encode_lossless
from service.deident.pixels.frame_reader import pixel_format
from service.deident.pixels.image_policy import load_policy
from service.deident.pixels.pixel_cleaner import PixelCleaner, load_pixel_cleaner
from service.deident.pixels.pixel_outcome import OutcomeKind, PixelOutcome, Region, RegionOrigin
from service.deident.pixels.pixel_source import HeldPixels
from service.deident.pixels.text_finder import TextBox, TextFinder
from service.deident.pixels.text_model import load_text_model
from tests.text_pictures import (
    DEVICES,
    TEXT,
    ULTRASOUND_CINE,
    backgrounds,
    covered,
    draw,
    encapsulated,
    frames_after,
    glyph_cover,
    grains,
    header,
    native,
)

# One process looks at all of them, so that the networks are loaded once.
pytestmark = pytest.mark.xdist_group("text in pixels")

ENOUGH = 0.99
BACKGROUNDS = dict(backgrounds(320))


@cache
def cleaner() -> PixelCleaner:
    return load_pixel_cleaner(DEVICES, threads=2)


@cache
def finder() -> TextFinder:
    policy = load_policy(DEVICES / "policy.toml")
    return TextFinder(load_text_model(2), policy.harmless, policy.harmless_patterns)


def shown(picture: np.ndarray) -> np.ndarray:
    return np.repeat(picture.astype(np.uint8)[:, :, None], 3, axis=2)


def found(picture: np.ndarray) -> list[Region]:
    boxes = finder().find(shown(picture))
    return [Region(box.x, box.y, box.width, box.height) for box in boxes if not box.harmless]


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("ink", ["white", "black", "lighter", "darker"])
@pytest.mark.parametrize(("size", "turned"), [(16, 0), (16, 90), (24, 270), (36, 0), (60, 90)])
def test_glyphs_are_covered(background: str, ink: str, size: int, turned: int) -> None:
    text = TEXT[: max(4, 260 // (size * 2 // 3))]
    x, y = (24, 140) if turned == 0 else (140, 24)
    drawn = draw(BACKGROUNDS[background], text, size, x, y, ink, turned)
    if drawn.glyphs.any():
        assert drawn.covered(found(drawn.picture)) >= ENOUGH


@pytest.mark.parametrize(("grain", "size", "ink"), [("grain 2", 40, "darker"), ("grain 4", 60, "lighter")])
def test_glyphs_within_coarse_grain_are_covered(grain: str, size: int, ink: str) -> None:
    drawn = draw(dict(grains(320))[grain], TEXT[:9], size, 24, 120, ink)
    assert drawn.covered(found(drawn.picture)) >= ENOUGH


@pytest.mark.parametrize("turned", [0, 90])
def test_a_quarter_of_the_range_within_noise_of_half_of_it_is_covered(turned: int) -> None:
    drawn = draw(
        dict(grains(512))["rough"], TEXT[:26], 24, *((24, 219) if not turned else (219, 24)), "lighter", turned
    )
    assert drawn.covered(found(drawn.picture)) >= ENOUGH


def test_nothing_is_found_in_noise_alone() -> None:
    assert found(np.random.default_rng(99).normal(110, 60, (320, 320)).clip(0, 255)) == []


def test_flat_grey_within_strong_noise_is_covered() -> None:
    cover = glyph_cover((320, 320), TEXT[:18], 20, 20, 140)
    ground = np.random.default_rng(4).normal(127, 60, (320, 320)).clip(0, 255)
    boxes = found(ground * (1 - cover) + 63 * cover)
    assert covered(cover > 0.5, boxes) >= ENOUGH


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_nothing_is_found_where_nothing_is_written(background: str) -> None:
    assert found(BACKGROUNDS[background]) == []


@pytest.mark.parametrize("corner", [(0, 0), (0, 300), (150, 0)])
def test_text_at_the_edge_is_covered(corner: tuple[int, int]) -> None:
    drawn = draw(BACKGROUNDS["noise"], TEXT[:16], 18, *corner, "white")
    assert drawn.covered(found(drawn.picture)) >= ENOUGH


def test_text_across_tiles_is_covered() -> None:
    wide = np.full((64, 1500), 60.0)
    drawn = draw(wide, f"{TEXT} {TEXT} {TEXT}", 20, 300, 20, "white")
    assert drawn.covered(found(drawn.picture)) >= ENOUGH


def test_lone_marker_stays() -> None:
    drawn = draw(BACKGROUNDS["grey"], "R", 40, 40, 40, "white")
    assert found(drawn.picture) == []


def test_initial_beside_a_name_goes_with_it() -> None:
    drawn = draw(BACKGROUNDS["grey"], "J  Planted", 30, 20, 40, "white")
    assert drawn.covered(found(drawn.picture)) >= ENOUGH


def drawn_on(background: str = "chest") -> tuple[np.ndarray, np.ndarray]:
    drawn = draw(BACKGROUNDS[background], TEXT[:19], 20, 20, 30, "white")
    return drawn.picture, drawn.glyphs


def text_regions(outcome: PixelOutcome, frame: int | None = None) -> list[Region]:
    return [region for region in outcome.regions if region.frame in (None, frame)]


def sixteen_bits() -> tuple[object, HeldPixels, str]:
    picture, _ = drawn_on()
    head = header(320, 320, bits=16, PhotometricInterpretation="MONOCHROME1", WindowCenter=5000, WindowWidth=8000)
    return head, native([(9000 - picture * 31).clip(0, 65535).astype(np.uint16)]), ExplicitVRLittleEndian


def colour() -> tuple[object, HeldPixels, str]:
    """Yellow on blue, of nearly the same brightness."""
    _, glyphs = drawn_on("grey")
    picture = np.where(glyphs[:, :, None], [120, 120, 0], [40, 40, 250]).astype(np.uint8)
    return header(320, 320, samples=3), native([picture]), ExplicitVRLittleEndian


def palette() -> tuple[object, HeldPixels, str]:
    picture, _ = drawn_on()
    grey = (np.arange(256)[::-1] * 257).astype("<u2").tobytes()
    descriptors = {f"{each}PaletteColorLookupTableDescriptor": [256, 0, 16] for each in ("Red", "Green", "Blue")}
    tables = {f"{each}PaletteColorLookupTableData": grey for each in ("Red", "Green", "Blue")}
    head = header(320, 320, PhotometricInterpretation="PALETTE COLOR", **descriptors, **tables)
    return head, native([255 - picture.astype(np.uint8)]), ExplicitVRLittleEndian


def jpeg() -> tuple[object, HeldPixels, str]:
    picture, _ = drawn_on()
    stream = io.BytesIO()
    Image.fromarray(picture.astype(np.uint8)).save(stream, "JPEG", quality=85)
    return header(320, 320), encapsulated([stream.getvalue()]), JPEGBaseline8Bit


def jpeg_2000() -> tuple[object, HeldPixels, str]:
    picture, _ = drawn_on()
    head = header(320, 320, bits=12)
    stored = (picture * 16).astype(np.uint16)
    return (
        head,
        encapsulated([encode_lossless(stored, "MONOCHROME2", pixel_format(head), JPEG2000Lossless)]),
        (JPEG2000Lossless),
    )


@pytest.mark.parametrize("form", [sixteen_bits, colour, palette, jpeg, jpeg_2000])
def test_each_form_is_blackened_and_looked_at_again(form: object) -> None:
    head, pixels, syntax = form()
    outcome = cleaner().examine(head, pixels, syntax)
    assert outcome.kind is OutcomeKind.BLACKENED, outcome.reason
    assert covered(drawn_on("grey" if form is colour else "chest")[1], outcome.regions) >= ENOUGH
    assert outcome.free_of_text
    assert outcome.blackened.transfer_syntax_uid == syntax


def test_picture_without_text_is_clean_and_keeps_its_pixels() -> None:
    outcome = cleaner().examine(
        header(320, 320), native([BACKGROUNDS["chest"].astype(np.uint8)]), ExplicitVRLittleEndian
    )
    assert (outcome.kind, outcome.blackened, outcome.frames_looked_at) == (OutcomeKind.CLEAN, None, 1)


def test_text_that_only_the_sender_sees_needs_a_person() -> None:
    pixels = native([BACKGROUNDS["chest"].astype(np.uint8)])
    outcome = cleaner().examine(header(320, 320, BurnedInAnnotation="YES"), pixels, ExplicitVRLittleEndian)
    assert outcome.kind is OutcomeKind.NEEDS_PERSON
    assert "no text was found" in outcome.reason


def test_each_frame_of_stills_has_its_own_regions() -> None:
    first, second = (draw(BACKGROUNDS["grey"], TEXT[:19], 20, 20, y, "white") for y in (30, 200))
    frames = [picture.astype(np.uint8) for picture in (first.picture, BACKGROUNDS["grey"], second.picture)]
    outcome = cleaner().examine(header(320, 320, frames=3), native(frames), ExplicitVRLittleEndian)
    assert outcome.kind is OutcomeKind.BLACKENED
    assert {region.frame for region in outcome.regions} == {1, 3}
    assert first.covered(text_regions(outcome, 1)) >= ENOUGH
    assert second.covered(text_regions(outcome, 3)) >= ENOUGH


def test_each_page_of_many_is_looked_at() -> None:
    pages = [draw(np.full((64, 300), 250.0 - index), TEXT[:12], 18, 10, 20, "black") for index in range(26)]
    frames = [page.picture.astype(np.uint8) for page in pages]
    outcome = cleaner().examine(header(64, 300, frames=26), native(frames), ExplicitVRLittleEndian)
    assert {region.frame for region in outcome.regions} == set(range(1, 27))


def test_identical_frames_are_looked_at_once() -> None:
    picture, glyphs = drawn_on("grey")
    frames = [picture.astype(np.uint8)] * 30
    outcome = cleaner().examine(header(320, 320, frames=30), native(frames), ExplicitVRLittleEndian)
    assert covered(glyphs, text_regions(outcome)) >= ENOUGH
    assert outcome.frames_looked_at == 2  # and once more when it was blackened
    assert {region.frame for region in outcome.regions} == {None}


def cine(frames: int) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Speckle that moves, a name that stands still, and a note that stands in three frames."""
    still = glyph_cover((240, 320), TEXT[:19], 18, 16, 12)
    note = glyph_cover((240, 320), "Planted^J", 18, 16, 212)
    rows, columns = np.mgrid[0:240, 0:320]
    sector = (rows > 50) & (rows < 200) & (np.abs(columns - 160) < rows * 0.5)
    random = np.random.default_rng(6)
    pictures = []
    for index in range(frames):
        speckle = random.gamma(2.0, 30.0, (240, 320)).clip(0, 255) * sector
        ink = still if index not in (11, 12, 13) else np.maximum(still, note)
        pictures.append((speckle * (1 - ink) + 230 * ink).astype(np.uint8))
    return pictures, still > 0.5, note > 0.5


def test_cine_is_searched_by_what_stands_still_and_what_changes() -> None:
    frames, still, note = cine(40)
    head = header(240, 320, frames=40, SOPClassUID=ULTRASOUND_CINE, Modality="US", ImageType=["ORIGINAL", "PRIMARY"])
    outcome = cleaner().examine(head, native(frames), ExplicitVRLittleEndian)
    assert outcome.kind is OutcomeKind.BLACKENED, outcome.reason
    assert covered(still, text_regions(outcome)) >= ENOUGH
    assert covered(note, text_regions(outcome)) >= ENOUGH
    assert outcome.frames_looked_at < 40
    after = frames_after(head, outcome.blackened)
    assert max(int(frame[still | note].max()) for frame in after) == 0


def test_device_bar_goes_unseen_and_the_rest_is_looked_at() -> None:
    drawn = draw(np.zeros((600, 800)), TEXT, 24, 100, 300, "white")
    attributes = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1",
        "Modality": "US",
        "Manufacturer": "Philips",
        "ManufacturerModelName": "CX50",
        "ImageType": ["ORIGINAL", "PRIMARY"],
    }
    head = header(600, 800, **attributes)
    outcome = cleaner().examine(head, native([drawn.picture.astype(np.uint8)]), ExplicitVRLittleEndian)
    assert outcome.kind is OutcomeKind.BLACKENED
    assert outcome.regions[0] == Region(0, 0, 800, 59, None, RegionOrigin.DEVICE)
    assert drawn.covered(outcome.regions[1:]) >= ENOUGH


class FindsEverywhere(TextFinder):
    """Finds the same box however black it is."""

    def __init__(self) -> None:
        self.looks = 0

    def find(self, picture: np.ndarray, *, thoroughly: bool = True) -> list[TextBox]:
        self.looks += 1
        return [TextBox(self.looks, 4, 5, 6)]


def test_text_that_is_found_again_and_again_needs_a_person() -> None:
    stubborn = PixelCleaner(load_policy(DEVICES / "policy.toml"), DeviceRules(()), FindsEverywhere)
    pixels = native([BACKGROUNDS["chest"].astype(np.uint8)])
    outcome = stubborn.examine(header(320, 320), pixels, ExplicitVRLittleEndian)
    assert outcome.kind is OutcomeKind.NEEDS_PERSON
    assert "second look" in outcome.reason
    assert len(outcome.regions) == 4
    assert (outcome.blackened, outcome.free_of_text) == (None, False)


def test_processes_that_never_look_load_no_networks() -> None:
    program = f"""
import sys
from pathlib import Path
from pydicom.dataset import Dataset
from service.deident.pixels.pixel_cleaner import load_pixel_cleaner
load_pixel_cleaner(Path({str(DEVICES)!r})).must_look(Dataset())
print([name for name in ("cv2", "onnxruntime", "rapidocr") if name in sys.modules])
"""
    root = DEVICES.parents[1]
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root)
    assert ran.stdout.strip() == "[]"


def test_networks_are_taken_as_files_so_that_nothing_is_downloaded() -> None:
    finder()
    assert "rapidocr" not in sys.modules

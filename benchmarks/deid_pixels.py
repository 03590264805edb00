"""Text in pixels, what it costs, what is found in vain: ``python -m benchmarks.deid_pixels [FOLDER]``.

Text of 12 to 60 px in white, black and grey, level and turned, on plain grey, noise, coarse grain and anatomy, and in
each form that pixels come in; seconds for each megapixel; a cine of 300 frames. With a folder of real images its CR, MR
and ultrasound serve as anatomy as well, and every image that the policy has looked at is, of long series each eighth:
what is found in those is listed, to be explained one by one. ``--only grid forms cost cine real`` does some of it,
``--sizes 16 40`` with some sizes.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

from dicom_nodes.errors import GatewayError
from service.deident.pixels.device_rules import DeviceRules
from service.deident.pixels.frame_reader import FrameReader
from service.deident.pixels.image_policy import load_policy
from service.deident.pixels.pixel_cleaner import PixelCleaner, load_pixel_cleaner
from service.deident.pixels.pixel_outcome import OutcomeKind, Region, RegionOrigin
from service.deident.pixels.pixel_source import HeldPixels
from service.deident.pixels.shown_frame import pictures
from service.deident.pixels.text_finder import TextFinder
from service.deident.pixels.text_model import load_text_model
from tests.text_pictures import (
    DEVICES,
    FORMS,
    TEXT,
    ULTRASOUND_CINE,
    Drawn,
    as_form,
    backgrounds,
    draw,
    encapsulated,
    grains,
    header,
    native,
)

PARTS = ("grid", "forms", "cost", "cine", "real")
LOOKS = 4
"""One look and three second looks, after each of which what was found is blackened, as the gateway does."""
FORM_SIDE = 320
SIZES = (12, 14, 16, 20, 24, 32, 40, 60)
INKS = ("white", "black", "lighter", "darker")
TURNS = (0, 90, 270)
ENOUGH = 0.99
SIDE = 512
CINE_FRAMES = 300
DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"


def main(folder: Path | None, parts: Iterable[str] = PARTS, sizes: tuple[int, ...] = SIZES) -> None:
    """Print the tables."""
    warnings.simplefilter("ignore")
    policy = load_policy(DEVICES / "policy.toml")
    finder = TextFinder(load_text_model(1), policy.harmless, policy.harmless_patterns)
    print(f"one thread, load {os.getloadavg()[0]:.1f}; seconds are CPU time\n")
    if "grid" in parts:
        grid(finder, [*backgrounds(SIDE), *grains(SIDE), *(anatomy(folder) if folder else ())], sizes)
    if "forms" in parts:
        forms(PixelCleaner(policy, DeviceRules(()), lambda: finder), sizes)
    if "cost" in parts:
        per_megapixel(finder)
    if "cine" in parts:
        cine()
    if "real" in parts and folder:
        real_images(folder)
    print(f"\npeak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def grid(finder: TextFinder, grounds: Iterable[tuple[str, np.ndarray]], sizes: tuple[int, ...]) -> None:
    """Which lines are covered to 99 %, by background and size, and the worst of each row."""
    print(f"lines whose glyphs are covered to {ENOUGH:.0%}, of {len(INKS)} inks and {len(TURNS)} directions; the worst")
    print(f"{'background':<12}" + "".join(f"{size:>10} px" for size in sizes))
    counts: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for name, ground in grounds:
        cells = []
        for size in sizes:
            lines = [drawn for ink in INKS for turn in TURNS for drawn in line(ground, size, ink, turn)]
            cells.append(told(counts[size], [drawn.covered(found(finder, drawn.picture)) for drawn in lines]))
        print(f"{name:<12}" + "".join(f"{cell:>13}" for cell in cells), flush=True)
    total(counts)


def forms(cleaner: PixelCleaner, sizes: tuple[int, ...]) -> None:
    """The same on a drawn chest in each form of pixels, from the encoded object to the regions that are blackened."""
    print(f"the same in each form; {'form':<12}" + "".join(f"{size:>10} px" for size in sizes))
    ground = dict(backgrounds(FORM_SIDE))["chest"]
    counts: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for form in FORMS:
        cells = []
        for size in sizes:
            covers = []
            for drawn in (each for ink in INKS for turn in TURNS for each in line(ground, size, ink, turn)):
                regions = cleaner.examine(*as_form(form, drawn.picture)).regions
                covers.append(drawn.covered([region for region in regions if region.frame in (None, 2)]))
            cells.append(told(counts[size], covers))
        print(f"{form:<35}" + "".join(f"{cell:>13}" for cell in cells), flush=True)
    total(counts)


def told(count: list[int], covers: list[float]) -> str:
    """One cell of a table, after counting what is in it."""
    good = sum(cover >= ENOUGH for cover in covers)
    count[0] += good
    count[1] += len(covers)
    return f"{good}/{len(covers)} {min(covers, default=1):.2f}"


def total(counts: dict[int, list[int]]) -> None:
    """The lines of 16 px and more together."""
    good, lines = (sum(count[each] for size, count in counts.items() if size >= 16) for each in (0, 1))
    print(f"from 16 px on: {good} of {lines}, {good / max(1, lines):.1%}\n", flush=True)


def line(ground: np.ndarray, size: int, ink: str, turn: int) -> Iterator[Drawn]:
    """One line on a background; nothing where most of it does not differ from that."""
    side = ground.shape[0]
    text = TEXT[: max(4, side * 9 // (size * 7) - 1)].strip()
    x, y = (24, side * 3 // 7) if turn == 0 else (side * 3 // 7, 24)
    drawn = draw(ground, text, size, x, y, ink, turn)
    everything = draw(np.zeros_like(ground), text, size, x, y, "white", turn).glyphs
    if drawn.glyphs.sum() >= everything.sum() / 2:
        yield drawn


def found(finder: TextFinder, picture: np.ndarray) -> list[Region]:
    """What is blackened of a picture, second looks included."""
    shown = np.repeat(picture.astype(np.uint8)[:, :, None], 3, axis=2)
    regions: list[Region] = []
    for _ in range(LOOKS):
        boxes = [box for box in finder.find(shown) if not box.harmless]
        if not boxes:
            break
        for box in boxes:
            shown[box.y : box.y + box.height, box.x : box.x + box.width] = 0
            regions.append(Region(box.x, box.y, box.width, box.height))
    return regions


def per_megapixel(finder: TextFinder) -> None:
    """CPU seconds for one picture."""
    print("seconds for one look, and for each megapixel")
    for side in (256, 512, 1024, 2048):
        ground = dict(backgrounds(side))["chest"]
        for what, picture in (("no text", ground), ("40 words", page(ground))):
            three = np.repeat(picture.astype(np.uint8)[:, :, None], 3, axis=2)
            start = time.process_time()
            finder.find(three)
            seconds = time.process_time() - start
            print(
                f"{side:>5} × {side:<5} {what:<9} {seconds:7.2f} s {seconds / (side * side / 1e6):6.2f} s/MP",
                flush=True,
            )
    print()


def page(ground: np.ndarray) -> np.ndarray:
    """The picture with some forty words."""
    side = ground.shape[0]
    for index in range(14):
        ground = draw(
            ground, TEXT[:24], max(10, side // 50), side // 20, side // 20 + index * side // 16, "white"
        ).picture
    return ground


def cine() -> None:
    """An ultrasound cine with a name above, as native colour and as JPEG, from the first look to the new value."""
    frames = moving(CINE_FRAMES, 600, 800)
    for what, syntax in (("native", ExplicitVRLittleEndian), ("JPEG", JPEGBaseline8Bit)):
        head = header(600, 800, frames=CINE_FRAMES, samples=3, SOPClassUID=ULTRASOUND_CINE, Modality="US")
        head.ImageType = ["ORIGINAL", "PRIMARY"]
        pixels = native(frames) if syntax == ExplicitVRLittleEndian else encapsulated([jpeg(frame) for frame in frames])
        start, wall = time.process_time(), time.perf_counter()
        outcome = load_pixel_cleaner(DEVICES).examine(head, pixels, syntax)
        if outcome.blackened:
            for offset in range(0, outcome.blackened.value.length, 1 << 20):
                outcome.blackened.value.read(offset, 1 << 20)
        seconds, wall = time.process_time() - start, time.perf_counter() - wall
        looks = outcome.frames_looked_at
        print(
            f"cine, {CINE_FRAMES} × 600 × 800 {what} {outcome.kind:<10} {looks} looks {seconds:.1f} s ({wall:.0f} wall)"
        )
    print()


def moving(count: int, rows: int, columns: int) -> list[np.ndarray]:
    """Speckle within a sector, a name and a scale that stand still."""
    random = np.random.default_rng(8)
    y, x = np.mgrid[0:rows, 0:columns]
    sector = ((y > 80) & (y < 560) & (np.abs(x - columns / 2) < y * 0.6)).astype(float)
    still = draw(np.zeros((rows, columns)), TEXT, 22, 30, 20, "white").picture
    speckle = [random.gamma(2.0, 30.0, (rows, columns)).clip(0, 255) * sector for _ in range(12)]
    blend = random.random(count)
    greys = [speckle[i % 12] * blend[i] + speckle[(i * 5 + 1) % 12] * (1 - blend[i]) for i in range(count)]
    return [np.repeat(np.maximum(grey, still).astype(np.uint8)[:, :, None], 3, axis=2) for grey in greys]


def jpeg(frame: np.ndarray) -> bytes:
    """One frame as JPEG Baseline."""
    from io import BytesIO

    stream = BytesIO()
    Image.fromarray(frame).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def anatomy(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Parts of real images without text, of the same size as the others."""
    wanted = {"RG1_J2KI.dcm": (600, 400), "RG3_J2KR.dcm": (600, 600), "MR2_J2KR.dcm": (300, 300), "15.dcm": (0, 0)}
    for path in sorted(folder.rglob("*.dcm")):
        if path.name not in wanted or (path.name == "15.dcm" and "irregular" not in str(path)):
            continue
        data = dcmread(path)
        frames = FrameReader(data, HeldPixels(value_of(data)), str(data.file_meta.TransferSyntaxUID))
        stored, photometric = frames.stored(0)
        top, left = wanted[path.name]
        picture = pictures(stored, photometric, frames.format, data)[0][top : top + SIDE, left : left + SIDE, 0]
        yield path.stem, picture.astype(float)


def real_images(folder: Path) -> None:
    """Look at every image that the policy wants looked at; list what was found, the same answer once a series."""
    cleaner = load_pixel_cleaner(DEVICES)
    kinds: dict[str, int] = defaultdict(int)
    start, megapixels = time.process_time(), 0.0
    for path in thinned(folder):
        data = readable(path)
        if data is None or not cleaner.must_look(data):
            continue
        head = Dataset()
        head.set_original_encoding(*data.original_encoding)
        head.update(data)
        del head["PixelData"]
        outcome = cleaner.examine(head, HeldPixels(value_of(data)), str(data.file_meta.get("TransferSyntaxUID", "")))
        megapixels += data.get("Rows", 0) * data.get("Columns", 0) / 1e6
        kinds[outcome.kind] += 1
        if outcome.kind is not OutcomeKind.CLEAN:
            text = [region for region in outcome.regions if region.origin is RegionOrigin.TEXT]
            known = len(outcome.regions) - len(text)
            found = f"{outcome.kind}: {len(text)} texts, {known} known"
            where = ", ".join(f"{each.x},{each.y} {each.width}×{each.height}" for each in text[:3])
            print(f"{path.relative_to(folder)!s:<70} {found}; {where} {outcome.reason}")
    print(f"{dict(kinds)}; {time.process_time() - start:.0f} s for {megapixels:.0f} MP of first frames")


def thinned(folder: Path) -> list[Path]:
    """The files of each folder, of more than forty each eighth."""
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("*.dcm")):
        by_folder[path.parent].append(path)
    return [path for paths in by_folder.values() for path in (paths[::8] if len(paths) > 40 else paths)]


def readable(path: Path) -> Dataset | None:
    """The object with its pixels; none where there are none."""
    try:
        data = dcmread(path)
    except (GatewayError, ValueError, OSError, AttributeError, KeyError, EOFError, NotImplementedError):
        return None
    except Exception:  # noqa: BLE001 - files that are broken on purpose
        return None
    return data if "PixelData" in data else None


def value_of(data: Dataset) -> bytes:
    """The value of Pixel Data without its sequence delimiter."""
    value: bytes = data.PixelData
    return value.removesuffix(DELIMITER) if data["PixelData"].is_undefined_length else value


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", nargs="?", type=Path)
    arguments.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    arguments.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    asked = arguments.parse_args()
    main(asked.folder, asked.only, tuple(asked.sizes))

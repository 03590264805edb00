"""Text drawn into pictures, and the objects that carry them: what pixel cleaning is held against."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, JPEGExtended12Bit
from scipy.ndimage import gaussian_filter

from service.deident.pixels.blackening import with_changes
from service.deident.pixels.frame_encoder import encode_lossless
from service.deident.pixels.frame_reader import FrameReader, pixel_format
from service.deident.pixels.pixel_outcome import BlackenedPixels, Region
from service.deident.pixels.pixel_source import HeldPixels

DEVICES = Path(__file__).resolve().parents[1] / "config" / "devices"
FONT = "DejaVuSans.ttf"
TEXT = "Planted^Jane 12.03.1957 ID4711"
RANGE = 255
QUARTER = 0.25
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
ULTRASOUND_CINE = "1.2.840.10008.5.1.4.1.1.3.1"


def font(size: int) -> Any:
    """DejaVu Sans where the system has it, else the font that Pillow brings."""
    try:
        return ImageFont.truetype(FONT, size)
    except OSError:
        return ImageFont.load_default(size)


@dataclass(frozen=True)
class Drawn:
    """A picture of 0 to 255 with text in it, and which pixels are of its glyphs."""

    picture: np.ndarray
    glyphs: np.ndarray

    def covered(self, regions: Sequence[Region]) -> float:
        """Which part of the glyphs lies in the regions."""
        return covered(self.glyphs, regions)


def covered(glyphs: np.ndarray, regions: Sequence[Region]) -> float:
    """Which part of the glyphs lies in the regions."""
    black = np.zeros(glyphs.shape, dtype=bool)
    for region in regions:
        black[region.y : region.y + region.height, region.x : region.x + region.width] = True
    return float(black[glyphs].mean())


def glyph_cover(shape: tuple[int, int], text: str, size: int, x: int, y: int, turned: int = 0) -> np.ndarray:
    """How much of each pixel a glyph covers, 0 to 1, with the text's first corner at x, y, turned by 0, 90 or 270°."""
    left, top, right, bottom = font(size).getbbox(text)
    canvas = Image.new("L", (int(right - left) + 2, int(bottom - top) + 2), 0)
    ImageDraw.Draw(canvas).text((1 - left, 1 - top), text, font=font(size), fill=255)
    glyphs = np.rot90(np.asarray(canvas), turned // 90)
    cover = np.zeros(shape)
    height, width = min(glyphs.shape[0], shape[0] - y), min(glyphs.shape[1], shape[1] - x)
    cover[y : y + height, x : x + width] = glyphs[:height, :width] / 255
    return cover


def draw(background: np.ndarray, text: str, size: int, x: int, y: int, ink: str, turned: int = 0) -> Drawn:
    """Draw text in ``white``, ``black``, or a quarter of the range ``lighter`` or ``darker`` than what it covers.

    Only those pixels count as glyphs that differ from what they cover by a quarter of the range, but for rounding.
    """
    cover = glyph_cover(background.shape[:2], text, size, x, y, turned)
    inked = {
        "white": np.full(background.shape, 255.0),
        "black": np.zeros(background.shape),
        "lighter": background + QUARTER * RANGE,
        "darker": background - QUARTER * RANGE,
    }[ink]
    picture = np.clip(background * (1 - cover) + inked * cover, 0, 255)
    glyphs = (cover > 0.5) & (np.abs(picture - background) >= (QUARTER - 0.03) * RANGE)
    return Drawn(picture, glyphs)


def backgrounds(side: int = 512) -> Iterator[tuple[str, np.ndarray]]:
    """Plain grey, noise, and shapes as soft and as bright as anatomy."""
    noise = np.random.default_rng(4)
    rows, columns = np.mgrid[0:side, 0:side] / side
    yield "grey", np.full((side, side), 96.0)
    yield "noise", np.clip(noise.normal(110, 20, (side, side)), 0, 255)
    body = 150 * np.exp(-(((columns - 0.5) / 0.33) ** 4 + ((rows - 0.5) / 0.42) ** 4))
    ribs = 35 * np.sin(rows * 40 + 6 * (columns - 0.5) ** 2) * (body > 40)
    lungs = -90 * sum(np.exp(-(((columns - at) / 0.1) ** 2 + ((rows - 0.45) / 0.2) ** 2)) for at in (0.33, 0.67))
    yield "chest", np.clip(body + ribs + lungs + noise.normal(30, 6, (side, side)), 0, 255)


def grains(side: int = 512) -> Iterator[tuple[str, np.ndarray]]:
    """Noise of single pixels twice as strong, and noise whose grain is as coarse as strokes of letters."""
    random = np.random.default_rng(7)
    yield "rough", np.clip(random.normal(110, 40, (side, side)), 0, 255)
    for sigma in (1, 2, 4):
        soft = gaussian_filter(random.normal(size=(side, side)), sigma)
        yield f"grain {sigma}", np.clip(110 + soft * 20 / soft.std(), 0, 255)


FORMS = ("8 bits", "16 bits", "RGB", "palette", "frames", "JPEG", "JPEG 2000", "12-bit JPEG")


def as_form(form: str, picture: np.ndarray) -> tuple[Dataset, HeldPixels, str]:
    """A picture of 0 to 255 as the header and the pixels of a secondary capture, and their transfer syntax."""
    rows, columns = picture.shape
    eight = picture.astype(np.uint8)
    if form == "16 bits":
        window = {"PhotometricInterpretation": "MONOCHROME1", "WindowCenter": 5000, "WindowWidth": 8000}
        stored = (9000 - picture * 31).clip(0, 65535).astype(np.uint16)
        return header(rows, columns, bits=16, **window), native([stored]), ExplicitVRLittleEndian
    if form == "RGB":
        colour = np.stack([eight, eight // 2 + 60, 255 - eight // 3], axis=2)
        return header(rows, columns, samples=3), native([colour]), ExplicitVRLittleEndian
    if form == "palette":
        grey = (np.arange(256)[::-1] * 257).astype("<u2").tobytes()
        described = {f"{each}PaletteColorLookupTableDescriptor": [256, 0, 16] for each in ("Red", "Green", "Blue")}
        tables = {f"{each}PaletteColorLookupTableData": grey for each in ("Red", "Green", "Blue")}
        head = header(rows, columns, PhotometricInterpretation="PALETTE COLOR", **described, **tables)
        return head, native([255 - eight]), ExplicitVRLittleEndian
    if form == "frames":
        return header(rows, columns, frames=2), native([eight[::-1], eight]), ExplicitVRLittleEndian
    if form == "JPEG":
        stream = io.BytesIO()
        Image.fromarray(eight).save(stream, "JPEG", quality=85)
        return header(rows, columns), encapsulated([stream.getvalue()]), JPEGBaseline8Bit
    if form in ("JPEG 2000", "12-bit JPEG"):
        head, stored = header(rows, columns, bits=12), (picture * 16).astype(np.uint16)
        if form == "JPEG 2000":
            coded = encode_lossless(stored, "MONOCHROME2", pixel_format(head), JPEG2000Lossless)
            return head, encapsulated([coded]), JPEG2000Lossless
        import imagecodecs

        coded = bytes(imagecodecs.jpeg8_encode(stored, level=90, bitspersample=12))
        return head, encapsulated([coded]), JPEGExtended12Bit
    return header(rows, columns), native([eight]), ExplicitVRLittleEndian


def header(rows: int, columns: int, *, frames: int = 1, samples: int = 1, bits: int = 8, **attributes: Any) -> Dataset:
    """What Image Pixel and General Image say of such pictures, as the header of a secondary capture by default."""
    made = Dataset()
    made.SOPClassUID = SECONDARY_CAPTURE
    made.Modality = "OT"
    made.ImageType = ["DERIVED", "SECONDARY"]
    made.Rows, made.Columns = rows, columns
    made.SamplesPerPixel = samples
    made.BitsAllocated = 1 if bits == 1 else 8 * ((bits + 7) // 8)
    made.BitsStored, made.HighBit = bits, bits - 1
    made.PixelRepresentation = 0
    made.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
    if samples == 3:
        made.PlanarConfiguration = 0
    if frames > 1:
        made.NumberOfFrames = frames
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def native(frames: Sequence[np.ndarray]) -> HeldPixels:
    """Native little-endian Pixel Data."""
    return HeldPixels(b"".join(np.ascontiguousarray(frame).tobytes() for frame in frames))


def encapsulated(streams: Sequence[bytes], *, offsets: bool = True) -> HeldPixels:
    """Encapsulated Pixel Data, one fragment a frame, without its sequence delimiter."""
    return HeldPixels(encapsulate(list(streams), has_bot=offsets).removesuffix(b"\xfe\xff\xdd\xe0\0\0\0\0"))


def frames_of(head: Dataset, pixels: HeldPixels, syntax: str = ExplicitVRLittleEndian) -> list[np.ndarray]:
    """The stored values of each frame."""
    reader = FrameReader(head, pixels, syntax)
    return [np.array(reader.stored(index)[0]) for index in range(reader.count)]


def frames_after(head: Dataset, blackened: BlackenedPixels) -> list[np.ndarray]:
    """The stored values of each frame after blackening, read from what would be written."""
    value = HeldPixels(blackened.value.read(0, blackened.value.length))
    return frames_of(with_changes(head, blackened), value, blackened.transfer_syntax_uid)

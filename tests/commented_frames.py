"""Compressed frames with text beside the image, and what they decode to."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import jpeg_ls as charls
import numpy as np
from PIL import Image
from pydicom.uid import JPEG2000, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless

TOKEN = b"Doe^Jane 19500320 PAT-0012345"
"""Plainly synthetic; stands for whatever a device may write there."""
SOT = b"\xff\x90\0\x0a"
"""How a tile-part of JPEG 2000 begins."""


def picture(seed: int = 0) -> np.ndarray:
    """uint8, shape (48, 64): noise on a gradient, so that the entropy-coded data are of some length."""
    noise = np.random.default_rng(seed).integers(0, 60, (48, 64))
    return (noise + np.arange(64) * 2).astype(np.uint8)


def jpeg(seed: int = 0, **options: object) -> bytes:
    """A baseline JPEG as Pillow writes it."""
    return _saved(picture(seed), "JPEG", quality=90, **options)


def jpeg_ls(seed: int = 0) -> bytes:
    """A JPEG-LS frame without loss."""
    return bytes(charls.encode_array(picture(seed)))


def jpeg_2000(seed: int = 0, **options: object) -> bytes:
    """A JPEG 2000 code stream without loss."""
    return _saved(picture(seed), "JPEG2000", no_jp2=True, irreversible=False, **options)


def jp2(seed: int = 0) -> bytes:
    """The same in a JP2 file, as some writers encapsulate against the standard."""
    return _saved(picture(seed), "JPEG2000", no_jp2=False, irreversible=False)


ENCODERS: dict[str, tuple[Callable[[int], bytes], str]] = {
    "jpeg": (jpeg, JPEGBaseline8Bit),
    "jpeg-ls": (jpeg_ls, JPEGLSLossless),
    "jpeg 2000": (jpeg_2000, JPEG2000Lossless),
    "jp2": (jp2, JPEG2000),
}


def segment(marker: int, content: bytes) -> bytes:
    """A marker segment."""
    return struct.pack(">HH", 0xFF00 | marker, len(content) + 2) + content


def box(kind: bytes, content: bytes) -> bytes:
    """A box of a JP2 file."""
    return struct.pack(">I4s", len(content) + 8, kind) + content


def after_start(frame: bytes, inserted: bytes) -> bytes:
    """A JPEG or JPEG-LS frame with segments behind SOI."""
    return frame[:2] + inserted + frame[2:]


def in_main_header(frame: bytes, comment: bytes) -> bytes:
    """A JPEG 2000 code stream with a comment segment before its first tile-part."""
    tile = frame.index(SOT)
    return frame[:tile] + segment(0x64, b"\0\1" + comment) + frame[tile:]


def in_tile_header(frame: bytes, comment: bytes) -> bytes:
    """A JPEG 2000 code stream with a comment segment in the header of its first tile-part."""
    tile = frame.index(SOT)
    inserted = segment(0x64, b"\0\1" + comment)
    length = struct.unpack_from(">I", frame, tile + 6)[0] + len(inserted)
    head = frame[tile : tile + 6] + struct.pack(">I", length) + frame[tile + 10 : tile + 12]
    return frame[:tile] + head + inserted + frame[tile + 12 :]


def between_scans(frame: bytes, comment: bytes) -> bytes:
    """A progressive JPEG with a comment before its second scan."""
    second = frame.index(b"\xff\xda", frame.index(b"\xff\xda") + 2)
    table = frame.rindex(b"\xff\xc4", 0, second) if b"\xff\xc4" in frame[second - 64 : second] else second
    return frame[:table] + segment(0xFE, comment) + frame[table:]


def between_scans_of_jpeg_ls(comment: bytes) -> bytes:
    """A JPEG-LS frame of three planes, each a scan, with a comment before the second scan."""
    planes = np.stack([picture(seed) for seed in range(3)])
    frame = bytes(charls.encode_array(planes, 0, 0))
    second = frame.index(b"\xff\xda", frame.index(b"\xff\xda") + 2)
    return frame[:second] + segment(0xFE, comment) + frame[second:]


def without_tile_length(frame: bytes) -> bytes:
    """A JPEG 2000 code stream of one tile-part that does not say how long it is."""
    tile = frame.index(SOT)
    return frame[: tile + 6] + bytes(4) + frame[tile + 10 :]


def before_code_stream(frame: bytes, inserted: bytes) -> bytes:
    """A JP2 file with a box before its code stream."""
    at = frame.index(b"jp2c") - 4
    return frame[:at] + inserted + frame[at:]


def commented_jp2() -> bytes:
    """A JP2 file with a comment in its code stream."""
    file = jp2()
    at = file.index(b"jp2c") - 4
    return file[:at] + box(b"jp2c", in_main_header(file[at + 8 :], TOKEN))


def exif() -> bytes:
    """Exif data with the token as its artist and its description."""
    data = Image.Exif()
    data[0x013B] = data[0x010E] = TOKEN.decode()
    return data.tobytes()


def decoded(frame: bytes) -> np.ndarray:
    """The samples of a frame."""
    if b"\xff\xf7" in frame[:4096] and frame.startswith(b"\xff\xd8"):
        return np.asarray(charls.decode(np.frombuffer(frame, np.uint8)))
    return np.asarray(Image.open(io.BytesIO(frame)))


def _saved(image: np.ndarray, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, kind, **options)
    return stream.getvalue()

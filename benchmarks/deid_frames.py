"""What it costs to look for text beside the image in compressed frames: ``python -m benchmarks.deid_frames``.

Objects of 500 frames in each form that is walked; processor time for a frame, and beside it the time in which the bytes
of a frame are copied once, with which every answer of a file begins. Nothing is decoded, so what the frames show does
not matter; one form has a comment in each frame, which is blanked.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.encaps import encapsulate
from pydicom.uid import UID, HTJ2KLossless, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless

from service.deident.code_streams.frame_comments import without_comments
from service.deident.code_streams.harmless_comments import HarmlessComments
from service.deident.pixels.frame_encoder import encode_lossless
from service.deident.pixels.frame_reader import pixel_format
from tests import commented_frames
from tests.text_pictures import backgrounds, header

TEXT = Path(__file__).resolve().parents[1] / "config" / "text"
FRAMES = 500
SIDE = 512
ROUNDS = 7
DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"


def forms() -> dict[str, tuple[bytes, UID]]:
    """One frame in each form."""
    picture = dict(backgrounds(SIDE))["chest"].astype(np.uint8)
    described = pixel_format(header(SIDE, SIDE))
    made = {
        "JPEG Baseline": (commented_frames.jpeg(), JPEGBaseline8Bit),
        "JPEG with a comment": (commented_frames.jpeg(comment=b"a comment"), JPEGBaseline8Bit),
    }
    for name, uid in (("JPEG-LS", JPEGLSLossless), ("JPEG 2000", JPEG2000Lossless), ("HTJ2K", HTJ2KLossless)):
        try:
            made[name] = encode_lossless(picture, "MONOCHROME2", described, uid), uid
        except (ImportError, ValueError, KeyError):
            print(f"{name}: no codec here writes it")
    return made


def microseconds(act: Callable[[], object]) -> float:
    """Processor time for a frame, the median of some rounds."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        act()
        times.append((time.process_time() - start) * 1e6 / FRAMES)
    return statistics.median(times)


def main() -> None:
    """Print a line for each form."""
    harmless = HarmlessComments.load(TEXT)
    for name, (frame, uid) in forms().items():
        value = encapsulate([frame] * FRAMES).removesuffix(DELIMITER)
        walked = microseconds(lambda: without_comments(value, uid, FRAMES, harmless))  # noqa: B023
        copied = microseconds(lambda: bytearray(value))  # noqa: B023
        print(f"{name:<20} {len(frame) / 1e3:7.0f} kB a frame: {walked:6.1f} µs to walk, {copied:6.1f} µs to copy")


if __name__ == "__main__":
    main()

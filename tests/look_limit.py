"""A limit for looks at pixels that ends what hangs, and no look on a slow machine."""

from __future__ import annotations

import time
from functools import cache

from pydicom.uid import ExplicitVRLittleEndian

from service.deident.pixels.pixel_source import HeldPixels
from service.deident.separate_pixel_cleaner import LookLimits, SeparatePixelCleaner
from tests.datasets import ct_slice
from tests.fakes.scripted_pixel_cleaner import ScriptedPixelCleaner


@cache
def look_limit_s() -> int:
    """Five times what a look takes whose process has to be started first; seconds."""
    image = ct_slice()
    image.DerivationDescription = "clean"
    cleaner = SeparatePixelCleaner(ScriptedPixelCleaner, LookLimits())
    begun = time.monotonic()
    cleaner.examine(image, HeldPixels(b""), ExplicitVRLittleEndian)
    took = time.monotonic() - begun
    cleaner.close()
    return 1 + int(5 * took)

"""A spool worker in a process of its own, whose objects are looked at in another: FOLDER."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from service.deident.separate_pixel_cleaner import SeparatePixelCleaner
from tests.fakes.scripted_pixel_cleaner import ScriptedPixelCleaner
from tests.ingest_house import IngestHouse

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    house = IngestHouse(folder, pixels=SeparatePixelCleaner(partial(ScriptedPixelCleaner, folder / "notes")))
    house.worker.work()
    house.worker.finish_looks()

"""A spool worker in a process of its own that dies by SIGKILL at a named place: FOLDER, PLACE, "before" or "after"."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.ingest_house import IngestHouse

PLACES = (
    "intake.register",
    "intake.begin",
    "blobs.begin_many",
    "index.add_all",
    "intake.finish_all",
    "quarantine.keep",
    "quarantine.enter",
    "reader.release",
    "intake.delete_for_segment",
)


def dying(method: Callable[..., Any], when: str) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Any:
        if when == "after":
            method(*arguments, **keywords)
        os.kill(os.getpid(), signal.SIGKILL)

    return call


def main(folder: str, place: str, when: str) -> None:
    house = IngestHouse(Path(folder))
    part, name = place.split(".")
    owner = getattr(house, part)
    setattr(owner, name, dying(getattr(owner, name), when))
    house.worker.work()


if __name__ == "__main__":
    main(*sys.argv[1:])

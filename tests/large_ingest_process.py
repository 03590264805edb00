"""A spool worker in a process of its own, which works off what is in the spool: FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.ingest_house import IngestHouse

if __name__ == "__main__":
    house = IngestHouse(Path(sys.argv[1]))
    house.worker.work()
    house.close()

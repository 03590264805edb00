"""A process of its own that brings what is due: ``python -m tests.outbox_process FOLDER PORT``."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.delivery_house import dimse
from tests.outbox_house import OutboxHouse

if __name__ == "__main__":
    house = OutboxHouse(Path(sys.argv[1]))
    house.courier(dimse("127.0.0.1", int(sys.argv[2]), "SCRIPTED"), owner="first").turn()

"""What every part of a gateway stands on: settings, time, places, keys, and what wakes other processes."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

from service import __version__
from service.core.bell import Bell
from service.data_directory import DataDirectory
from service.deident.keys import KeyFile
from service.ingest.scratch import Scratch
from service.settings import Settings, config_directory

IMPLEMENTATION_VERSION = f"ANNOGATE_{__version__}"[:16]  # (0002,0013), an SH
GIBIBYTE = 1 << 30
MEBIBYTE = 1 << 20
DAY_S = 86400.0

# What is woken by whom: the node and STOW-RS ring when something was stored; ingest when the index has more;
# who ends a run or decides on a result when something may leave.
SPOOL_BELL = "spool"
STUDIES_BELL = "studies"
OUTBOX_BELL = "outbox"


class Ground:
    """What every part is handed; ``opened`` ends what they open, the last first.

    Parameters
    ----------
    clock : seconds since the epoch, UTC
    """

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self.settings = settings
        self.clock = clock
        self.directory = DataDirectory(settings.storage.data_dir)
        self.config = config_directory(settings)
        self.opened = ExitStack()

    @property
    def index(self) -> str | Path:
        """Where the index is: a PostgreSQL URL, which may hold a password, or SQLite's file."""
        return self.settings.storage.index_url.get_secret_value() or self.directory.index

    @cached_property
    def key_file(self) -> KeyFile:
        """The secrets of this installation."""
        return KeyFile.load(self.directory.keys)

    @cached_property
    def bell(self) -> Bell:
        """Wakes the other processes on this host."""
        bell = Bell(self.directory.run / "bells")
        self.opened.callback(bell.close)
        return bell

    def ring(self, topic: str) -> Callable[[], None]:
        """What rings for a topic; the bell is made with the first ring."""

        def ring() -> None:
            self.bell.ring(topic)

        return ring

    @cached_property
    def owner(self) -> str:
        """Who we are in leases: unique among all processes on all hosts. To be asked for after a fork, not before."""
        return f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"

    @cached_property
    def scratch(self) -> Scratch:
        """Where uploads and inflated objects wait that are too large for memory."""
        return Scratch(self.directory.scratch)

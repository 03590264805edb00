"""The data directory: its places, and who may read them."""

from __future__ import annotations

import os
from pathlib import Path

from service.errors import SettingsInvalid


class DataDirectory:
    """The places of a gateway's data, all below one directory that only its own user may enter."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.index = self.root / "index.sqlite"
        self.blobs = self.root / "blobs"
        self.spool = self.root / "spool"
        self.quarantine = self.root / "quarantine"
        self.outbox = self.root / "outbox"
        self.keys = self.root / "keys" / "annogate.key"
        self.run = self.root / "run"
        self.scratch = self.run / "scratch"

    def create(self) -> None:
        """Make what is missing, for the owner alone.

        Raises
        ------
        SettingsInvalid : it cannot be made or written
        """
        sealed = (self.spool, self.quarantine, self.outbox)
        places = (self.root, self.blobs, *sealed, self.keys.parent, self.run, self.scratch)
        try:
            for place in places:
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsInvalid(f"storage.data_dir: {self.root}: {error.strerror}") from error
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise SettingsInvalid(f"storage.data_dir: {self.root} cannot be written")

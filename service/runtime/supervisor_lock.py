"""Only one supervisor runs on a data directory."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from service.data_directory import DataDirectory
from service.errors import SettingsInvalid

# How long a new supervisor waits for the processes of a killed one to end.
HANDOVER_S = 30.0
POLL_S = 0.05


class SupervisorLock:
    """Held by a supervisor and inherited by its role processes, so that it is free only when all have ended."""

    def __init__(self, directory: DataDirectory) -> None:
        self._path = directory.run / "supervisor.lock"
        self.fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)

    def acquire(self, timeout_s: float = HANDOVER_S) -> None:
        """Take the lock, waiting for the processes of a dead supervisor to end.

        Raises
        ------
        SettingsInvalid : another gateway runs on this data directory
        """
        until = time.monotonic() + timeout_s
        while True:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._holder_lives() or time.monotonic() > until:
                    raise SettingsInvalid(
                        f"storage.data_dir: another gateway runs on {self._path.parent.parent}"
                    ) from None
                time.sleep(POLL_S)  # flock has no bounded wait
            else:
                os.ftruncate(self.fd, 0)
                os.pwrite(self.fd, str(os.getpid()).encode(), 0)
                return

    def _holder_lives(self) -> bool:
        written = os.pread(self.fd, 20, 0)
        if not written.isdigit():
            return False
        try:
            state = Path(f"/proc/{int(written)}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state not in {"Z", "X"}  # killed, and only not yet waited for by its parent

    def release(self) -> None:
        """Let go; the lock stays with role processes that still run."""
        os.close(self.fd)

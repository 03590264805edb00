"""What the processes of one session share of the machine's memory at most, each for itself, while something happens."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from types import TracebackType
from typing import Final

_PSS: Final = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)
_PAUSE_S: Final = 0.25  # each look costs some milliseconds a process


class PssWatch:
    """Looks at every process of a session, those that come later included, until the end of the ``with``.

    Parameters
    ----------
    session : number of the process that leads it
    """

    def __init__(self, session: int) -> None:
        self._session = session
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.peaks: dict[int, int] = {}
        """Bytes by the process's number."""
        self.names: dict[int, str] = {}

    def look(self) -> None:
        """Look at all of them once."""
        for number in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
            try:
                if os.getsid(number) != self._session:
                    continue
                found = _PSS.search(Path(f"/proc/{number}/smaps_rollup").read_text())
                self.names[number] = Path(f"/proc/{number}/cmdline").read_text().replace("\0", " ").strip()
            except (ProcessLookupError, FileNotFoundError):
                continue
            if found:
                self.peaks[number] = max(self.peaks.get(number, 0), int(found[1]) << 10)

    def _run(self) -> None:
        while not self._ended.wait(_PAUSE_S):
            self.look()

    def __enter__(self) -> PssWatch:
        self.look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

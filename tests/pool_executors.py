"""What a pool's processes may meet: runs that end, and processes that die."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from dicom_nodes.errors import StorageExhausted
from service.archive.database import Database
from service.archive.runs import RunTable
from service.core.archived import RunRow, RunState
from service.jobs.run_end import RunEnd


@dataclass(frozen=True)
class MakeExecutor:
    """Makes an executor in the pool's process; ``kind`` says which."""

    folder: Path
    kind: str

    def __call__(self) -> ScriptedExecutor:
        if self.kind == "stillborn":
            os._exit(3)
        return ScriptedExecutor(self.folder, self.kind)


class ScriptedExecutor:
    """Ends its runs as done, unless its kind says otherwise; a file counts how often it was asked."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._folder = folder
        self._kind = kind
        self._runs = RunTable(Database.open(folder / "index.sqlite"), time.time)

    def warm_up(self) -> None:
        """Nothing to load."""

    def execute(self, run: RunRow, owner: str) -> RunEnd:
        with (self._folder / "asked").open("a") as asked:
            asked.write("x")
        times = len((self._folder / "asked").read_text())
        if self._kind == "dies" or (self._kind == "dies-once" and times == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        if self._kind == "falls-silent":
            os.closerange(3, 256)
            threading.Event().wait()
        if self._kind == "hangs":
            threading.Event().wait()
        if self._kind == "trouble":
            raise StorageExhausted("the disk of the archive is full")
        end = RunEnd(RunState.DONE, summary=f"by {os.getpid()}")
        self._runs.finish(run.id, owner, end.state, summary=end.summary)
        return end

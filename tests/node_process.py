"""A node that writes into a spool, as a process of its own: ``python -m tests.node_process DIRECTORY SETTINGS``."""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from dicom_nodes.callers import KnownCallers
from dicom_nodes.listener import DicomNode, NodeSettings
from tests.listening_node import SETTINGS
from tests.spooling import spool_at

SEGMENT_BYTES = 4 * 1024 * 1024  # small, so that a test sees several


def main(directory: Path, settings: dict[str, object]) -> None:
    """Receive until SIGTERM."""
    ended = threading.Event()
    faulthandler.register(signal.SIGUSR1)  # says on standard error where each thread stands
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    spool = spool_at(directory, segment_bytes=SEGMENT_BYTES)
    node = DicomNode(NodeSettings(port=0, **settings), spool, KnownCallers(["ANNOGATE"]))
    node.start()
    sys.stdout.write(f"{node.address[0]} {node.address[1]} {os.getpid()}\n")
    sys.stdout.flush()
    ended.wait()
    node.stop()
    spool.close()


@dataclass
class NodeProcess:
    """The process, seen from a test; ended at the end of the ``with``."""

    process: subprocess.Popen[str]
    host: str
    port: int
    pid: int
    is_traced: bool = False

    @classmethod
    def start(cls, directory: Path, *before: str) -> NodeProcess:
        """Start it, under another command if one is given, and wait until it listens."""
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "tests.node_process", str(directory), json.dumps(SETTINGS)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent.parent,
        )
        assert process.stdout is not None
        host, port, pid = process.stdout.readline().split()
        return cls(process, host, int(port), int(pid), is_traced=bool(before))

    def end(self, by: signal.Signals = signal.SIGTERM) -> None:
        """Signal the node itself, not a command that it runs under, and wait for the end of both.

        Under strace, which stops every thread at every call, an end was once seen to take more than half a minute.
        What such a test asks has been written by then, so the node is killed; where it stood is on standard error.
        """
        os.kill(self.pid, by)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, signal.SIGUSR1)
            time.sleep(1)
            os.kill(self.pid, signal.SIGKILL)
            self.process.wait(30)
            if not self.is_traced:
                raise
        if self.process.stdout is not None:
            self.process.stdout.close()

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))

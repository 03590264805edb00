"""A node that writes into a spool, as a process of its own: ``python -m tests.node_process DIRECTORY SETTINGS``."""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from dicom_nodes.callers import KnownCallers
from dicom_nodes.listener import DicomNode, NodeSettings
from dicom_nodes.peer import PeerAddress
from service.runtime.receiver import receive
from service.runtime.receiver_pool import ReceiverPool
from tests.listening_node import SETTINGS
from tests.patience import PATIENCE_S
from tests.spooling import spool_at

SEGMENT_BYTES = 4 * 1024 * 1024  # small, so that a test sees several


def main(directory: Path, settings: dict[str, Any]) -> None:
    """Receive until SIGTERM, in several processes where the settings name ``receivers``."""
    faulthandler.register(signal.SIGUSR1)  # says on standard error where each thread stands
    receivers = settings.pop("receivers", 1)
    if receivers > 1:
        receive_in_several(directory, settings, receivers)
        return
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    spool = spool_at(directory, segment_bytes=SEGMENT_BYTES)
    node = DicomNode(NodeSettings(port=0, **settings), spool, KnownCallers(["ANNOGATE"]))
    node.start()
    say_where(*node.address)
    ended.wait()
    node.stop()
    spool.close()


def say_where(host: str, port: int) -> None:
    sys.stdout.write(f"{host} {port} {os.getpid()}\n")
    sys.stdout.flush()


def receive_in_several(directory: Path, settings: dict[str, Any], receivers: int) -> None:
    node_settings = NodeSettings(port=0, **settings)

    def run_receiver(channel: socket.socket, say_ready: Callable[[], None]) -> None:
        signal.signal(signal.SIGTERM, lambda *_: channel.shutdown(socket.SHUT_RD))
        with closing(spool_at(directory, segment_bytes=SEGMENT_BYTES)) as spool:
            receive(DicomNode(node_settings, spool, KnownCallers(["ANNOGATE"])), channel, say_ready)

    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        ReceiverPool(
            [listening],
            receivers,
            node_settings.maximum_associations,
            run_receiver,
            lambda: say_where(*listening.getsockname()),
        ).run()


@dataclass
class NodeProcess:
    """The process, seen from a test; ended at the end of the ``with``."""

    process: subprocess.Popen[str]
    host: str
    port: int
    pid: int
    is_traced: bool = False

    @classmethod
    def start(cls, directory: Path, *before: str, **settings: object) -> NodeProcess:
        """Start it, under another command if one is given, and wait until it listens."""
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "tests.node_process", str(directory), json.dumps(SETTINGS | settings)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent.parent,
        )
        assert process.stdout is not None
        host, port, pid = process.stdout.readline().split()
        return cls(process, host, int(port), int(pid), is_traced=bool(before))

    @property
    def peer(self) -> PeerAddress:
        return PeerAddress("ANNOGATE", self.host, self.port)

    @property
    def receivers(self) -> list[int]:
        """The processes below it."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def end(self, by: signal.Signals = signal.SIGTERM) -> None:
        """Signal the node itself, not a command that it runs under, and wait for the end of both.

        Under strace, which stops every thread at every call, an end was once seen to take more than half a minute.
        What such a test asks has been written by then, so the node is killed; where it stood is on standard error.
        """
        os.kill(self.pid, by)
        try:
            self.process.wait(60 if self.is_traced else PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, signal.SIGUSR1)
            time.sleep(1)
            os.kill(self.pid, signal.SIGKILL)
            self.process.wait(PATIENCE_S)
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

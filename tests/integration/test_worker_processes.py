"""Several workers below one process: each is there, comes again when it dies, and ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.patience import PATIENCE_S

PARENT = """
import os, signal, sys
from pathlib import Path
from service.runtime.worker_processes import run_workers

folder = Path(sys.argv[1])

def work(number, say_ready):
    life = len(list(folder.glob(f"{number}.*")))
    (folder / f"{number}.{life}").write_text(str(os.getpid()))
    say_ready()
    if (folder / "fail").exists() and number == 0 and life == 0:
        raise ValueError("a bug")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        signal.pause()

run_workers(3, work, lambda: (folder / "ready").touch())
"""


def until(ask: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not ask():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def parent(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", PARENT, str(folder)], stderr=subprocess.DEVNULL)
    try:
        until((folder / "ready").exists)
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(PATIENCE_S)


def pids(folder: Path) -> list[int]:
    return [int(path.read_text() or 0) for path in sorted(folder.glob("[0-9].*"))]


def is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def test_all_workers_are_there_when_it_is_ready(tmp_path: Path):
    with parent(tmp_path):
        assert [path.name for path in sorted(tmp_path.glob("[0-9].*"))] == ["0.0", "1.0", "2.0"]


def test_worker_that_is_killed_comes_again_under_its_number(tmp_path: Path):
    with parent(tmp_path):
        os.kill(int((tmp_path / "1.0").read_text()), signal.SIGKILL)
        until((tmp_path / "1.1").exists)


def test_worker_that_fails_comes_again(tmp_path: Path):
    (tmp_path / "fail").touch()
    with parent(tmp_path):
        until((tmp_path / "0.1").exists)


def test_workers_end_with_sigterm_to_their_parent(tmp_path: Path):
    with parent(tmp_path) as process:
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
        assert not any(map(is_alive, pids(tmp_path)))


def test_workers_end_when_their_parent_is_killed(tmp_path: Path):
    with parent(tmp_path) as process:
        process.kill()
        process.wait(PATIENCE_S)
        until(lambda: not any(map(is_alive, pids(tmp_path))))

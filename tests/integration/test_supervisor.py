"""The supervisor over roles that die, hang and cannot be started, each at the worst moment."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from service.data_directory import DataDirectory
from service.errors import SettingsInvalid
from service.runtime.supervisor_lock import SupervisorLock
from tests.patience import PATIENCE_S


class Supervised:
    """A supervisor's process and its roles'."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir()
        self.log = folder / "log"

    def plan(self, role: str, life: int, what: str) -> None:
        (self.data / f"{role}.{life}").write_text(what)

    def start(self) -> None:
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.supervisor_process", str(self.folder)],
                stdout=log,
                stderr=log,
            )

    def pids(self, role: str, life: int = 1) -> list[int]:
        """The role's process in one of its lives, and its child's; waits for it."""
        found = self.data / f"{role}.pid.{life}"
        self.until(found.exists)
        return [int(pid) for pid in found.read_text().split()]

    def until_logged(self, words: str) -> None:
        self.until(lambda: words in self.log.read_text())

    def until(self, come: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not come():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    supervised = Supervised(tmp_path)
    yield supervised
    supervised.process.kill()
    supervised.process.wait()
    for found in supervised.data.glob("*.pid.*"):
        for pid in map(int, found.read_text().split()):
            if pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_sigterm_ends_every_role(supervised: Supervised) -> None:
    supervised.start()
    supervised.until_logged("ready ")
    roles = [supervised.pids(role)[0] for role in ("node", "ingest", "web", "jobs")]
    assert (supervised.end(), [is_gone(pid) for pid in roles]) == (0, [True] * 4)


def test_sigterm_during_start_ends_what_has_started(supervised: Supervised) -> None:
    supervised.plan("jobs", 1, "silent")
    supervised.start()
    roles = [supervised.pids(role)[0] for role in ("node", "ingest", "web", "jobs")]
    assert (supervised.end(), [is_gone(pid) for pid in roles]) == (0, [True] * 4)


def test_role_that_ends_before_all_are_ready_is_named(supervised: Supervised) -> None:
    supervised.plan("ingest", 1, "die")
    supervised.start()
    assert supervised.process.wait(PATIENCE_S) == 1
    assert '"ended": "ingest", "status": 3' in supervised.log.read_text()


def test_role_that_does_not_become_ready_is_told_of(supervised: Supervised) -> None:
    supervised.plan("jobs", 1, "silent")
    supervised.start()
    supervised.until_logged('"late": "jobs"')


def test_role_that_dies_is_started_again(supervised: Supervised) -> None:
    supervised.start()
    supervised.until_logged("ready ")
    os.kill(supervised.pids("node")[0], signal.SIGKILL)
    assert supervised.pids("node", life=2)


def test_role_that_dies_before_its_children_and_before_it_is_ready_is_started_again(supervised: Supervised) -> None:
    supervised.plan("web", 2, "child")
    supervised.start()
    supervised.until_logged("ready ")
    os.kill(supervised.pids("web")[0], signal.SIGKILL)
    role, child = supervised.pids("web", life=2)
    # Both ends are met at once, that of the process before that of the pipe which its child held.
    supervised.process.send_signal(signal.SIGSTOP)
    for pid in (role, child):
        os.kill(pid, signal.SIGKILL)
        supervised.until(lambda pid=pid: is_gone(pid))
    supervised.process.send_signal(signal.SIGCONT)
    assert supervised.pids("web", life=3)


def test_role_that_cannot_be_started_is_tried_again_while_the_others_live(supervised: Supervised) -> None:
    supervised.start()
    supervised.until_logged("ready ")
    pid = supervised.process.pid
    usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, usual[1]))  # it cannot make a pipe, as when all are taken
    os.kill(supervised.pids("node")[0], signal.SIGKILL)
    supervised.until_logged("role could not be started")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
    assert supervised.pids("node", life=2)
    assert not is_gone(supervised.pids("web")[0])


HOLDER = """
import os, sys
from pathlib import Path
from service.data_directory import DataDirectory
from service.runtime.supervisor_lock import SupervisorLock
lock = SupervisorLock(DataDirectory(Path(sys.argv[1])))
lock.acquire()
if not os.fork():
    print("held", flush=True)
    sys.stdin.read()
os._exit(0)
"""


def holder(directory: DataDirectory) -> subprocess.Popen[str]:
    """A supervisor that has ended and was not waited for, with a child that lives until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    return process


def test_children_of_a_supervisor_that_nobody_waited_for_are_waited_out(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.create()
    with holder(directory) as dead:
        assert dead.stdin is not None
        child_ends = threading.Timer(0.3, dead.stdin.close)
        child_ends.start()
        lock = SupervisorLock(directory)
        lock.acquire()
        child_ends.join()
        lock.release()


def test_second_supervisor_is_refused(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.create()
    first, second = SupervisorLock(directory), SupervisorLock(directory)
    first.acquire()
    with pytest.raises(SettingsInvalid):
        second.acquire()
    first.release()
    second.release()

"""The bell wakes who listens, never blocks, and leaves no dead sockets behind."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.core.bell import Bell
from tests.patience import PATIENCE_S


@pytest.fixture
def bell(tmp_path: Path) -> Iterator[Bell]:
    bell = Bell(tmp_path / "run")
    yield bell
    bell.close()


def test_a_ring_wakes_who_listens(bell: Bell):
    with bell.listen("ingest") as listener:
        bell.ring("ingest")
        assert listener.wait(PATIENCE_S)


def test_a_ring_wakes_who_is_waiting_already(bell: Bell):
    with bell.listen("ingest") as listener:
        ringer = threading.Timer(0.01, bell.ring, args=("ingest",))
        ringer.start()
        assert listener.wait(PATIENCE_S)
        ringer.join()


def test_without_a_ring_waiting_times_out(bell: Bell):
    with bell.listen("ingest") as listener:
        assert listener.wait(0) is False


def test_another_topic_wakes_nobody(bell: Bell):
    with bell.listen("ingest") as listener:
        bell.ring("jobs")
        assert listener.wait(0) is False


def test_a_topic_that_begins_alike_wakes_nobody(bell: Bell):
    with bell.listen("ingest-2") as listener:
        bell.ring("ingest")
        assert listener.wait(0) is False


def test_all_listeners_are_woken(bell: Bell):
    with bell.listen("ingest") as one, bell.listen("ingest") as other:
        assert (bell.ring("ingest"), one.wait(PATIENCE_S), other.wait(PATIENCE_S)) == (2, True, True)


def test_a_ring_during_work_is_there_afterwards(bell: Bell):
    with bell.listen("ingest") as listener:
        bell.ring("ingest")
        listener.wait(PATIENCE_S)
        bell.ring("ingest")
        assert listener.wait(0)


def test_many_rings_are_one_waking(bell: Bell):
    with bell.listen("ingest") as listener:
        for _ in range(5):
            bell.ring("ingest")
        assert (listener.wait(PATIENCE_S), listener.wait(0)) == (True, False)


def test_a_full_queue_does_not_block_the_ringer(bell: Bell):
    with bell.listen("ingest") as listener:
        for _ in range(5000):
            bell.ring("ingest")
        assert listener.wait(PATIENCE_S)


def test_a_dead_listener_is_cleared_away(bell: Bell, tmp_path: Path):
    script = "import os, sys; from pathlib import Path; from service.core.bell import Bell; "
    script += "listener = Bell(Path(sys.argv[1])).listen('ingest'); os._exit(0)"
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "run")], check=True)
    stale = len(list((tmp_path / "run").iterdir()))
    assert (stale, bell.ring("ingest"), list((tmp_path / "run").iterdir())) == (1, 0, [])


def test_a_closed_listener_leaves_nothing(bell: Bell, tmp_path: Path):
    bell.listen("ingest").close()
    assert list((tmp_path / "run").iterdir()) == []


def test_a_long_run_directory_works(tmp_path: Path):
    bell = Bell(tmp_path / ("d" * 120))
    with bell.listen("ingest") as listener:
        bell.ring("ingest")
        assert listener.wait(PATIENCE_S)
    bell.close()


@pytest.mark.parametrize("topic", ["", "../x", "a.b", "A", "-a"])
def test_a_topic_that_is_no_name_is_refused(bell: Bell, topic: str):
    with pytest.raises(ValueError, match="topic"):
        bell.ring(topic)

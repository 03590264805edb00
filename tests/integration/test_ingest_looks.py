"""Objects whose pixels are looked at, on their way from the spool: beside the others, in a process that may die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from service.deident.separate_pixel_cleaner import LookLimits, SeparatePixelCleaner
from tests.datasets import ct_slice
from tests.fakes.scripted_pixel_cleaner import ScriptedPixelCleaner
from tests.ingest_house import IngestHouse
from tests.look_limit import look_limit_s
from tests.patience import PATIENCE_S


def house_that_looks(folder, **limits):
    cleaner = SeparatePixelCleaner(partial(ScriptedPixelCleaner, folder / "notes"), LookLimits(**limits))
    return IngestHouse(folder, pixels=cleaner)


@pytest.fixture
def house(tmp_path):
    house = house_that_looks(tmp_path)
    yield house
    house.close()


def image(word, number):
    image = ct_slice(number)
    image.DerivationDescription = word
    return image


def spool(house, *words):
    house.spool([image(word, number) for number, word in enumerate(words, 1)], called_ae_title="RESEARCH")


def work(house):
    house.worker.work()
    house.worker.finish_looks()
    house.worker.work()


def looks(house):
    return [int(line.split()[-1]) for line in (house.folder / "notes").read_text().splitlines()]


def until(answer):
    end = time.monotonic() + PATIENCE_S
    while not answer():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_every_object_comes_to_its_end(house):
    spool(house, "", "clean", "blacken", "ask", "die", "fail", "")
    work(house)
    assert house.index.count("research") == 4
    reasons = {row.reason for row in house.quarantine.list()}
    assert reasons == {
        "Text is left after blackening",
        "Looking at its pixels ended the process that did it, 2 times",
        "Looking at its pixels failed (ValueError)",
    }
    assert house.segments() == []


def test_what_needs_no_look_does_not_wait(house):
    spool(house, "hang", "", "")
    house.worker.work()
    assert house.index.count("research") == 2
    assert len(house.segments()) == 1
    house.spool([image("", 9)], called_ae_title="RESEARCH")
    house.worker.work()
    assert house.index.count("research") == 3


def test_object_that_hangs_is_held_and_the_next_is_looked_at(tmp_path):
    house = house_that_looks(tmp_path, seconds=look_limit_s())
    spool(house, "hang", "clean")
    work(house)
    reason = f"Looking at its pixels took longer than {look_limit_s()} s"
    assert [row.reason for row in house.quarantine.list()] == [reason]
    assert house.index.count("research") == 1
    house.close()


def test_process_that_is_killed_from_outside_loses_nothing(house):
    spool(house, "slow")
    house.worker.work()
    until((house.folder / "notes").exists)
    os.kill(looks(house)[0], signal.SIGKILL)
    house.worker.finish_looks()
    assert (house.index.count("research"), len(looks(house))) == (1, 2)


def test_worker_that_stops_leaves_the_object_in_the_spool(house, tmp_path):
    spool(house, "hang")

    class Wake:
        def wait(self, timeout):
            until((house.folder / "notes").exists)
            house.worker.stop()
            return True

    house.worker.run(Wake())
    row = next(iter(house.intake.pending(10)))
    assert (row.attempts, house.index.count("research"), house.quarantine.list()) == (0, 0, [])
    assert len(house.segments()) == 1


def killed_while_it_looks(folder):
    """A worker's process that is killed during a look; the process that looked."""
    notes = folder / "notes"
    before = len(notes.read_text().splitlines()) if notes.exists() else 0
    worker = subprocess.Popen([sys.executable, "-m", "tests.look_worker_process", str(folder)])
    until(lambda: notes.exists() and len(notes.read_text().splitlines()) > before)
    worker.kill()
    worker.wait()
    return int(notes.read_text().split()[-1])


def is_gone(process):
    try:
        with open(f"/proc/{process}/stat") as stat:  # noqa: PTH123
            return stat.read().split()[2] == "Z"
    except FileNotFoundError:
        return True


def test_kill_during_a_look_loses_nothing(tmp_path):
    before = IngestHouse(tmp_path)
    spool(before, "", "slow", "")
    before.close()
    looking = killed_while_it_looks(tmp_path)
    until(lambda: is_gone(looking))
    house = house_that_looks(tmp_path)
    work(house)
    assert (house.index.count("research"), house.quarantine.list(), house.segments()) == (3, [], [])
    house.close()


def test_two_workers_look_at_each_object_once(tmp_path):
    first, second = house_that_looks(tmp_path), house_that_looks(tmp_path)
    for number in (1, 4):
        objects = [image("clean", number), image("blacken", number + 1), image("", number + 2)]
        first.spool(objects, called_ae_title="RESEARCH")
    threads = [threading.Thread(target=work, args=(house,)) for house in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    work(first)
    assert (first.index.count("research"), first.segments()) == (6, [])
    assert len(looks(first)) == 4
    for house in (first, second):
        house.close()


def test_trouble_of_the_house_during_a_look_is_waited_out(house, monkeypatch):
    from service.errors import StorageExhausted

    begin_many, times = house.blobs.begin_many, iter([StorageExhausted("full")])

    def full_once(blobs):
        for error in times if blobs else ():
            raise error
        return begin_many(blobs)

    monkeypatch.setattr(house.blobs, "begin_many", full_once)
    house.worker._looks._trouble_s = 0.01
    spool(house, "clean")
    work(house)
    assert (house.index.count("research"), house.quarantine.list()) == (1, [])

"""Every process of a gateway killed at random moments while four senders send; nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.datasets import ct_slice, encode
from tests.gateway_process import GatewayProcess, eventually
from tests.raw_peer import RawPeer, c_store_rq
from tests.real_gateway import RealGateway, address_of, data_set_of

LIVES = 3  # of the whole gateway; each but the last ends by a kill of the whole group
KILLS = 17  # of single processes in each life
SENDERS = 4
BETWEEN = 3  # objects that are acknowledged between two kills, however slow the machine
PAUSE_S = 0.06  # between two objects of a sender: a load that two cores work off
LOOKS = 3  # of the instances that a list names for the first time, how many are fetched at once
AGAIN = 5  # every fifth object is sent once more after it was acknowledged
SETTINGS = {
    "dicom": {"receivers": 2},
    "ingest": {"workers": 2},
    "projects": {"default": {"annotators": [], "ae_titles": ["ANNOGATE"]}},
}


@dataclass
class Senders:
    """Send numbered slices, each again until it is acknowledged, and some of them once more after that."""

    gateway: GatewayProcess
    acknowledged: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    enough: threading.Event = field(default_factory=threading.Event)

    def run(self, number: int) -> None:
        peer: RawPeer | None = None
        while not self.enough.wait(PAUSE_S):
            try:
                peer = peer or self._associated()
                peer.send(c_store_rq(number, encode(ct_slice(number, sop_instance_uid=f"1.2.3.{number}"))))
                answer = peer.status()
            except (OSError, AssertionError):  # the connection broke before an answer came
                self.broken += 1
                if peer is not None:
                    peer.connection.close()
                peer = None
                continue
            if answer == (number, 0):
                self.acknowledged[number] += 1
                number += 0 if number % AGAIN == 0 and self.acknowledged[number] == 1 else SENDERS
        if peer is not None:
            peer.connection.close()

    def _associated(self) -> RawPeer:
        peer = RawPeer(self.gateway.dicom_host, self.gateway.dicom_port)
        try:
            peer.connection.settimeout(60)  # a killed gateway may leave it without an answer: it is asked anew
            peer.associate()
        except BaseException:
            peer.connection.close()
            raise
        return peer


@dataclass
class Reader:
    """Lists and fetches all the while; what it sees is whole."""

    gateway: RealGateway
    seen: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    enough: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.enough.wait(0.2):
            try:
                listed = self.gateway.instances("default")
                new = [uid for uid in listed if uid not in self.seen]
                for uid in new[-LOOKS:]:
                    self.look(listed[uid])
                self.seen.update(new)
            except (requests.HTTPError, AssertionError) as error:
                self.faults.append(str(error))
            except requests.RequestException:
                continue  # the web's process was killed

    def look(self, listed: dict[str, Any]) -> None:
        """Fetch one instance as stored, and see whether it is what was sent."""
        (content,) = self.gateway.retrieve("default", address_of(listed))
        data_set, number = data_set_of(content), int(listed["00200013"]["Value"][0])
        sent = ct_slice(number)
        assert data_set.InstanceNumber == number, "another instance than the list says"
        assert data_set.PixelData == sent.PixelData, f"the pixels of slice {number} are not those that were sent"


def processes_below(pid: int) -> list[int]:
    """Every process below another, parents first."""
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            found += [child, *processes_below(child)]
    return found


def kind_of(pid: int) -> str:
    """The role of a process, and whether it is the role's first or one below it."""
    with suppress(FileNotFoundError, ProcessLookupError):
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        below = Path(f"/proc/{parent}/comm").read_text().strip() == name
        if name.startswith("annogate-"):
            return name.removeprefix("annogate-") + ("'s" if below else "")
    return ""


def kill_one(gateway: GatewayProcess, draw: random.Random, killed: Counter[str]) -> None:
    """Kill a process of a kind that has been killed least."""
    assert gateway.process is not None

    def kinds() -> dict[int, str]:
        alive = ((pid, kind_of(pid)) for pid in processes_below(gateway.process.pid))  # type: ignore[union-attr]
        return {pid: kind for pid, kind in alive if kind}

    alive = eventually(kinds, 60, "a process to kill")
    least = min(killed[kind] for kind in alive.values())
    victim = draw.choice(sorted(pid for pid, kind in alive.items() if killed[kind] == least))
    with suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)
        killed[alive[victim]] += 1


@pytest.mark.long
def test_objects_are_there_once_after_kills_of_every_process(tmp_path: Path) -> None:
    draw, killed = random.Random(5), Counter[str]()
    with GatewayProcess(tmp_path, SETTINGS) as gateway, ThreadPoolExecutor(SENDERS + 1) as threads:
        senders, reader = Senders(gateway), Reader(RealGateway(gateway))
        running = [threads.submit(senders.run, first + 1) for first in range(SENDERS)] + [threads.submit(reader.run)]
        try:
            for life in range(LIVES):
                for _ in range(KILLS):
                    before = senders.acknowledged.total()
                    eventually(lambda: senders.acknowledged.total() >= before + BETWEEN, what="load")  # noqa: B023
                    time.sleep(draw.uniform(0.05, 0.6))
                    kill_one(gateway, draw, killed)
                if life < LIVES - 1:
                    gateway.kill()
                    gateway.start()
        finally:
            senders.enough.set()
            reader.enough.set()
        for one in running:
            one.result(60)
        wanted = set(senders.acknowledged)
        eventually(lambda: wanted <= set(numbers(gateway)), what="every acknowledged object")
        for listed in reader.gateway.instances("default").values():
            reader.look(listed)
        assert set(numbers(gateway).values()) == {1}
    assert reader.faults == []
    assert killed.total() + LIVES - 1 >= 50
    assert {"node", "node's", "ingest", "ingest's", "web", "web's", "jobs"} <= set(killed)
    assert (senders.broken > 0, len(wanted) > 100, len(reader.seen) > 0) == (True, True, True)


def numbers(gateway: GatewayProcess) -> Counter[int]:
    """How often each slice is listed; nothing while the web's process starts."""
    try:
        return Counter(int(one["00200013"]["Value"][0]) for one in gateway.instances())
    except requests.RequestException:
        return Counter()

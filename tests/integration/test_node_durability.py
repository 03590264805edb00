"""What is acknowledged is on the disk: seen from the system calls of a node, and after kill -9."""

from __future__ import annotations

import re
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_nodes.outgoing_object import OutgoingObject
from dicom_nodes.peer import PeerAddress
from dicom_nodes.sender import store
from service.ingest.spool import SpoolReader
from service.ingest.spool_frames import END_PLACE
from tests.ct_series import write_ct_series
from tests.listening_node import CT, EXPLICIT
from tests.node_process import NodeProcess
from tests.patience import PATIENCE_S
from tests.spooling import KEY, object_header, put, spool_at
from tests.storescu import command, environment, responses_in, send

CALLS = "openat,rename,fsync,fdatasync,writev,write,pwrite64,pwritev2,sendto,sendmsg"
CALL = re.compile(r"^(?P<thread>\d+) +(?P<name>\w+)\((?P<arguments>.*)$")
RESUMED = re.compile(r"^(?P<thread>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)$")
END_RECORD = rf", {END_PLACE}, 0(\)| *$)"  # tells of a segment that is closed; no response waits for it
RESPONSE = r'sendto\(\d+<[^>]*>, "\\4\\0'  # a P-DATA-TF PDU


@dataclass
class Trace:
    """What strace saw, replayed: which bytes and names are on the disk when a response goes out."""

    unsynced: set[str] = field(default_factory=set)
    unnamed: set[str] = field(default_factory=set)
    segments: int = 0
    responses: int = 0
    too_early: list[str] = field(default_factory=list)
    _begun: dict[str, str] = field(default_factory=dict)

    def replay(self, text: str) -> Trace:
        for line in text.splitlines():
            if line.endswith("<unfinished ...>"):
                self._begun[line.split()[0]] = line.removesuffix("<unfinished ...>")
                self._start(line)
            elif resumed := RESUMED.match(line):
                self._finish(self._begun.pop(resumed["thread"]) + resumed["rest"])
            elif CALL.match(line):
                self._start(line)
                self._finish(line)
        return self

    def _start(self, line: str) -> None:
        written = re.search(r" (?:writev?|pwrite64|pwritev2)\(\d+<([^>]*\.(?:segment|new))>", line)
        if written and not re.search(END_RECORD, line):
            self.unsynced.add(written[1].removesuffix(".new").removesuffix(".segment"))
        elif re.search(RESPONSE, line):
            self.responses += 1
            if self.unsynced or self.unnamed:
                self.too_early.append(line)

    def _finish(self, line: str) -> None:
        renamed = re.search(r' rename\("[^"]*", "([^"]*)\.segment"\) += 0$', line)
        synced = re.search(r" fdatasync\(\d+<([^>]*)\.(?:segment|new)>\) += 0$", line)
        if renamed:
            self.segments += 1
            self.unnamed.add(renamed[1])
        elif synced:
            self.unsynced.discard(synced[1])
        elif folder := re.search(r" fsync\(\d+<([^>]*)>\) += 0$", line):
            self.unnamed -= {name for name in self.unnamed if str(Path(name).parent) == folder[1]}


@pytest.mark.peer("strace", "dcmtk")
@pytest.mark.usefixtures("receive_path")
def test_every_response_follows_the_sync_of_its_bytes_and_names(tmp_path: Path):
    files = write_ct_series(tmp_path / "ct", 24)
    log = tmp_path / "strace.log"
    strace = ("strace", "-f", "-y", "-s", "16", "-e", "signal=none", "-e", f"trace={CALLS}", "-o", str(log))
    with NodeProcess.start(tmp_path / "spool", *strace) as node:
        sent = send(node.host, node.port, files)
    trace = Trace().replay(log.read_text())
    assert (len(sent.acknowledged), trace.responses, trace.segments, trace.too_early) == (24, 24, 3, [])


@pytest.mark.parametrize(
    "missing",
    [r" fdatasync\(\d+<[^>]*\.segment>", r" fsync\(\d+<"],
    ids=["no fdatasync of the object", "no fsync of the directory"],
)
@pytest.mark.peer("strace", "dcmtk")
def test_the_replay_notices_a_sync_that_is_missing(tmp_path: Path, missing: str):
    files = write_ct_series(tmp_path / "ct", 1, rows=64, columns=64)
    log = tmp_path / "strace.log"
    strace = ("strace", "-f", "-y", "-s", "16", "-e", "signal=none", "-e", f"trace={CALLS}", "-o", str(log))
    with NodeProcess.start(tmp_path / "spool", *strace) as node:
        send(node.host, node.port, files)
    without = [line for line in log.read_text().splitlines() if not re.search(missing, line)]
    assert len(Trace().replay("\n".join(without)).too_early) == 1


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize("killed_after", [1, 60, 120])
@pytest.mark.usefixtures("receive_path")
def test_kill_9_in_the_middle_keeps_each_acknowledged_object_once(tmp_path: Path, killed_after: int):
    files = write_ct_series(tmp_path / "ct", 300, rows=256, columns=256)
    with NodeProcess.start(tmp_path / "spool") as node:
        sender = subprocess.Popen(
            command(node.host, node.port, files, called="ANNOGATE", calling="SCANNER"),
            env=environment(nodelay=True),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert sender.stdout is not None
        lines, answered = [], 0
        for line in sender.stdout:
            lines.append(line)
            answered += "Received Store Response" in line
            if answered == killed_after:
                node.end(signal.SIGKILL)
                break
        lines += sender.stdout.readlines()
        sender.stdout.close()
        sender.wait(PATIENCE_S)
    acknowledged = [file for file, response in responses_in("".join(lines)) if response == "Success"]
    reader = SpoolReader(tmp_path / "spool", KEY)
    spooled = list(reader.committed())
    kept = Counter(found.header.sop_instance_uid for found in spooled)
    wanted = {dcmread(file, stop_before_pixels=True).SOPInstanceUID for file in acknowledged}
    assert killed_after <= len(acknowledged) < 300
    assert {uid: kept[uid] for uid in wanted} == dict.fromkeys(wanted, 1)
    assert all(len(reader.read(found.source_key)) == found.size for found in spooled)


@pytest.mark.peer("dcmtk")
def test_a_killed_writers_segment_can_be_released(tmp_path: Path):
    files = write_ct_series(tmp_path / "ct", 1, rows=64, columns=64)
    reader_of = tmp_path / "spool"
    with NodeProcess.start(reader_of) as node:
        send(node.host, node.port, files)
        alive = SpoolReader(reader_of, KEY).finished_segments()
        node.end(signal.SIGKILL)
    (dead,) = SpoolReader(reader_of, KEY).finished_segments()
    assert (alive, SpoolReader(reader_of, KEY).release(dead.name), list(reader_of.iterdir())) == ([], True, [])


def peak_memory_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1])


@pytest.mark.usefixtures("receive_path")
def test_an_object_of_100_mb_does_not_fill_the_memory(tmp_path: Path):
    large = OutgoingObject.from_bytes(CT, "1.2.3.4", EXPLICIT, bytes(100_000_000))
    with NodeProcess.start(tmp_path) as node:
        before = peak_memory_kib(node.pid)
        (result,) = store(PeerAddress("ANNOGATE", node.host, node.port), [large])
        after = peak_memory_kib(node.pid)
    assert (result.stored, after - before < 20_000) == (True, True)


def test_a_new_writer_never_touches_a_dead_ones_segment(tmp_path: Path):
    spool = spool_at(tmp_path)
    spool.begin(object_header()).write(b"x" * 300_000)
    (old,) = tmp_path.glob("*.segment")
    before = old.read_bytes()
    again = spool_at(tmp_path)
    put(again, b"new")
    again.close()
    assert (old.read_bytes(), len(list(tmp_path.glob("*.segment")))) == (before, 2)
    spool.close()

"""What benchmarks/receive sends to, each with its process tree: Annogate's node, a bare receiver, Orthanc, storescp."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from abc import abstractmethod
from contextlib import suppress
from pathlib import Path

import requests

from benchmarks.bare_receiver import FILE_BYTES, prepare
from service.bootstrap import Gateway
from service.ingest.segment_pool import segment_pool
from service.ingest.spool import MEBIBYTE
from service.ingest.spool_reader import SpoolReader
from service.settings import Settings
from tests.gateway_process import toml
from tests.orthanc_process import OrthancProcess, free_port

STORESCP = "/usr/bin/storescp"
TICKS = os.sysconf("SC_CLK_TCK")
ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 60


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            with suppress(OSError):  # a thread that has ended
                waiting += [int(child) for child in task.read_text().split()]
    return found


class Receiver:
    """A storage SCP that runs; a context manager."""

    name: str
    title: str = "ANNOGATE"
    pdu: str | None = None
    """The one kind of case that it stands for; None is every."""
    port: int = 0
    pid: int = 0

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def __enter__(self) -> Receiver:
        """Start it."""

    @abstractmethod
    def __exit__(self, *_: object) -> None:
        """End it."""

    @abstractmethod
    def forget(self) -> int | None:
        """Make room for the next run; how many objects of the last one were held, None where that is not known."""

    def cpu_s(self) -> float:
        """Seconds of processor time of its processes so far, those that have ended and were waited for included."""
        while True:
            with suppress(OSError):  # one ended meanwhile: count again, its time is its parent's by then
                return sum(map(_ticks, tree(self.pid))) / TICKS

    def largest_pss(self) -> int:
        """Bytes of the largest of its processes, shared pages counted by their share."""
        sizes = [0]
        for pid in tree(self.pid):
            with suppress(OSError):  # it has ended
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                sizes.append(int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1]) << 10)  # type: ignore[index]
        return max(sizes)


def _ticks(pid: int) -> int:
    """Clock ticks of a process, and of its children that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15])


def end(process: subprocess.Popen[str]) -> None:
    """SIGTERM, and wait."""
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    if process.stdout:
        process.stdout.close()


class Annogate(Receiver):
    """The role ``node`` alone: what was received stays in the spool until ``forget``."""

    name = "Annogate"

    def __init__(self, folder: Path, dicom: dict[str, object] | None = None) -> None:
        super().__init__(folder)
        self._dicom = dicom or {}
        if self._dicom:
            self.name = "Annogate " + " ".join(f"{key}={value}" for key, value in self._dicom.items())

    def __enter__(self) -> Annogate:
        self.folder.mkdir(parents=True)
        config = self.folder / "annogate.toml"
        config.write_text(toml({"dicom": self._dicom}))
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "service.cli", "serve", "--only", "node", "--config", str(config)),
                *("--data-dir", str(self.folder / "data"), "--dicom", "127.0.0.1:0"),
            ],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline().rpartition(":")[2])
        self.pid = self._process.pid
        self._gateway = Gateway(Settings.model_validate({"storage": {"data_dir": str(self.folder / "data")}}))
        return self

    def __exit__(self, *_: object) -> None:
        self._gateway.close()
        end(self._process)

    def forget(self) -> int:
        """Read every object's header and release what was received, as ingest does."""
        gateway, storage = self._gateway, self._gateway.settings.storage
        directory = gateway.directory.spool
        pool = segment_pool(directory, storage.spool_recycled_segments, storage.spool_segment_mib * MEBIBYTE)
        reader = SpoolReader(directory, gateway.key_file.sealing_key("spool"), pool=pool)
        count = len(list(reader.committed()))
        until = time.monotonic() + PATIENCE_S
        while reader.segments():
            for segment in reader.finished_segments():
                reader.release(segment.name)
            assert time.monotonic() < until, "the spool does not become empty"
            time.sleep(0.1)
        return count


class Bare(Receiver):
    """``benchmarks.bare_receiver``."""

    name = "bare, fsync"

    def __enter__(self) -> Bare:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.bare_receiver", str(self.folder)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.pid = self._process.pid
        return self

    def __exit__(self, *_: object) -> None:
        end(self._process)

    def forget(self) -> None:
        """Its files are written over."""


class Orthanc(Receiver):
    """Orthanc with its files synced (SyncStorageArea), TCP_NODELAY in its environment, no plugin."""

    name = "Orthanc"
    title = "ORTHANC"

    pdu = "default"
    announced = 16384
    """Orthanc's own default, by which the sender cuts its PDUs."""

    def __enter__(self) -> Orthanc:
        settings = {"SyncStorageArea": True, "MaximumPduLength": self.announced}
        self._orthanc = OrthancProcess(self.folder, "NOBODY", "127.0.0.1", 104, settings)
        before = os.environ.get("TCP_NODELAY")
        os.environ["TCP_NODELAY"] = "1"
        try:
            self._orthanc.__enter__()
        finally:
            if before is None:
                del os.environ["TCP_NODELAY"]
        assert self._orthanc.process is not None
        self.port, self.pid = self._orthanc.dicom_port, self._orthanc.process.pid
        return self

    def __exit__(self, *_: object) -> None:
        self._orthanc.__exit__()

    def forget(self) -> int:
        """Delete every patient."""
        http = self._orthanc.http
        count = int(requests.get(f"{http}/statistics", timeout=60).json()["CountInstances"])
        for patient in requests.get(f"{http}/patients", timeout=60).json():
            requests.delete(f"{http}/patients/{patient}", timeout=60).raise_for_status()
        return count


class OrthancLongPdu(Orthanc):
    """Orthanc for the cases of 128 KiB."""

    pdu = "128K"
    announced = 131072


class Storescp(Receiver):
    """dcmtk's storescp, a process for each association: no sync, no index."""

    name = "storescp"

    def __enter__(self) -> Storescp:
        self.folder.mkdir(parents=True)
        self.port = free_port()
        command = [STORESCP, "--fork", "-od", str(self.folder), "-pdu", "131072", "+xa", str(self.port)]
        self._process = subprocess.Popen(command, env={**os.environ, "TCP_NODELAY": "1"}, text=True)
        self.pid = self._process.pid
        until = time.monotonic() + PATIENCE_S
        echo = ["/usr/bin/echoscu", "127.0.0.1", str(self.port)]
        while subprocess.run(echo, check=False, capture_output=True).returncode:
            assert time.monotonic() < until, "storescp did not start"
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        end(self._process)

    def forget(self) -> int:
        """Remove the files."""
        files = [file for file in self.folder.iterdir() if file.is_file()]
        for file in files:
            file.unlink()
        return len(files)


def disk_objects_per_s(folder: Path, size: int, count: int) -> float:
    """The disk alone: objects a second, each written into a file that was written full before, each synced."""
    folder.mkdir(parents=True)
    (file,) = prepare(folder, 1)
    data = os.urandom(size)
    fitting = FILE_BYTES // size
    started = time.perf_counter()
    for number in range(count):
        os.pwrite(file, data, number % fitting * size)
        os.fdatasync(file)
    seconds = time.perf_counter() - started
    os.close(file)
    shutil.rmtree(folder)
    return count / seconds

"""Nodes beside each other feed one archive; none assumes that it is alone."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest

from tests import storescu
from tests.ct_series import write_ct_series
from tests.gateway_process import GatewayProcess, eventually
from tests.patience import PATIENCE_S
from tests.postgresql_server import postgresql_server

SLICES = 60
READY = re.compile(r"ready dicom=ANNOGATE@127\.0\.0\.1:(\d+)")


@dataclass
class OtherNode:
    """``annogate serve --only node`` on a gateway's data directory."""

    process: subprocess.Popen[str]
    port: int


@contextmanager
def node_beside(gateway: GatewayProcess) -> Iterator[OtherNode]:
    settings = ["--config", gateway.folder / "annogate.toml", "--data-dir", gateway.data_dir]
    command = [sys.executable, "-m", "service.cli", "serve", "--only", "node", "--dicom", "127.0.0.1:0", *settings]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready = READY.match(process.stdout.readline())
        assert ready is not None
        yield OtherNode(process, int(ready[1]))
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        assert process.stdout is not None
        process.stdout.close()


def send(port: int, files: list[Path]) -> subprocess.Popen[str]:
    command = storescu.command("127.0.0.1", port, files, called="ANNOGATE", calling="SCANNER")
    environment = storescu.environment(nodelay=True)
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def acknowledged(sender: subprocess.Popen[str], kill: OtherNode | None = None, after: int = 0) -> set[int]:
    """Instance numbers of what was acknowledged; the node is killed when it has said so ``after`` times."""
    said = ""
    assert sender.stdout is not None
    for line in sender.stdout:
        said += line
        if kill is not None and said.count("Received Store Response") == after:
            kill.process.kill()
    sender.communicate()
    files = [file for file, response in storescu.responses_in(said) if response == "Success"]
    return {int(pydicom.dcmread(file, stop_before_pixels=True).InstanceNumber) for file in files}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer("postgresql"))])
def index(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Where the index is, as settings of storage."""
    if request.param == "sqlite":
        yield {}
        return
    with postgresql_server() as server:
        server.create("archive")
        yield {"index_url": server.url("archive")}


@pytest.mark.peer("dcmtk")
def test_two_nodes_feed_one_archive_and_one_that_is_killed_keeps_what_it_acknowledged(
    tmp_path: Path, index: dict[str, str]
) -> None:
    files = write_ct_series(tmp_path / "ct", SLICES, rows=128, columns=128)
    settings = {"projects": {"default": {"annotators": [], "ae_titles": ["ANNOGATE"]}}, "storage": index}
    with GatewayProcess(tmp_path / "gateway", settings) as gateway, node_beside(gateway) as other:
        one, two = send(gateway.dicom_port, files[::2]), send(other.port, files[1::2])
        at_other = acknowledged(two, kill=other, after=10)
        kept = acknowledged(one) | at_other

        def served() -> Counter[int]:
            return Counter(int(instance["00200013"]["Value"][0]) for instance in gateway.instances())

        eventually(lambda: kept <= set(served()), what="everything that either node acknowledged")
        assert (len(at_other) >= 10, len(kept) >= SLICES // 2 + 10, set(served().values())) == (True, True, {1})

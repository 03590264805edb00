"""Large store requests are taken in by helper processes; what was sent is there once, whatever becomes of those."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import requests
from pydicom import dcmread

from tests.ct_series import write_ct_series
from tests.gateway_process import GatewayProcess, eventually
from tests.patience import PATIENCE_S

OBJECTS = 60
CONTENT_TYPE = 'multipart/related; type="application/dicom"; boundary=part'
HEAD = b"\r\n--part\r\nContent-Type: application/dicom\r\n\r\n"
END = b"\r\n--part--"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path / "gateway", {"projects": {"default": {"annotators": []}}}) as process:
        yield process


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_ct_series(tmp_path_factory.mktemp("ct"), OBJECTS)


def store(gateway: GatewayProcess, contents: Sequence[bytes]) -> requests.Response:
    body = b"".join(HEAD + content for content in contents) + END
    headers = {"Content-Type": CONTENT_TYPE, "Accept": "application/dicom+json"}
    return requests.post(f"{gateway.http}/dicom-web/studies", data=body, headers=headers, timeout=PATIENCE_S)


def helpers_of(gateway: GatewayProcess) -> list[int]:
    """The helpers that run below a gateway; who keeps them is called after its role."""
    assert gateway.process is not None
    return [pid for pid in below(gateway.process.pid) if name_of(pid) == "annogate-store"]


def below(pid: int) -> Iterator[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in map(int, children):
        yield child
        yield from below(child)


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def test_large_request_is_taken_in_by_helpers_that_end_with_the_gateway(
    gateway: GatewayProcess, series: list[Path]
) -> None:
    assert store(gateway, [series[0].read_bytes()]).status_code == 200
    assert helpers_of(gateway) == []
    answer = store(gateway, [file.read_bytes() for file in series])
    assert answer.status_code == 200
    told = [item["00081155"]["Value"][0] for item in answer.json()["00081199"]["Value"]]
    assert sorted(told) == sorted(one["00080018"]["Value"][0] for one in gateway.instances())
    helpers = helpers_of(gateway)
    assert 1 <= len(helpers) <= 2
    gateway.stop()
    eventually(lambda: not any(name_of(pid) == "annogate-store" for pid in helpers), what="end of the helpers")


def test_first_of_two_with_one_uid_is_kept_whoever_takes_them_in(gateway: GatewayProcess, series: list[Path]) -> None:
    contents = [file.read_bytes() for file in series]
    changed = dcmread(series[0])
    changed.SliceThickness = "7"
    changed.save_as(series[0].with_suffix(".changed"))
    answer = store(gateway, [*contents, series[0].with_suffix(".changed").read_bytes()])
    assert answer.status_code == 200
    (warned,) = [item for item in answer.json()["00081199"]["Value"] if "00081196" in item]
    assert warned["00081196"]["Value"] == [0xB000]
    assert len(gateway.instances()) == OBJECTS


def test_killed_helper_loses_and_doubles_nothing(gateway: GatewayProcess, series: list[Path]) -> None:
    killed: list[int] = []
    ended = threading.Event()

    def kill() -> None:
        while not ended.wait(0.002):
            for pid in helpers_of(gateway):
                if len(killed) < 3 and pid not in killed:
                    killed.append(pid)
                    os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        answer = store(gateway, [file.read_bytes() for file in series])
    finally:
        ended.set()
        killer.join()
    assert killed
    told = [item["00081155"]["Value"][0] for item in answer.json()["00081199"]["Value"]]
    assert len(told) == len(set(told))
    again = store(gateway, [file.read_bytes() for file in series])
    assert again.status_code == 200
    assert len(again.json()["00081199"]["Value"]) == OBJECTS
    served = [one["00080018"]["Value"][0] for one in gateway.instances()]
    assert len(served) == len(set(served)) == OBJECTS
    assert set(told) <= set(served)

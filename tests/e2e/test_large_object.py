"""A whole gateway takes large objects in by C-STORE and by STOW-RS, and none of its processes holds one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests import storescu
from tests.gateway_process import GatewayProcess, eventually
from tests.large_objects import FRAME, write_native
from tests.patience import PATIENCE_S
from tests.peak_memory import MEBIBYTE, peak_of
from tests.peak_memory_watch import PssWatch

FRAMES = 6  # 201 MB
GROWTH = 40 * MEBIBYTE
MORE_FRAMES = 9  # 302 MB, twice what a process may hold
BOUND = 150 * MEBIBYTE


def peaks(gateway: GatewayProcess) -> dict[int, int]:
    """What each process of the gateway held at most, in bytes, by its number; all are of one session."""
    assert gateway.process is not None
    found = {}
    for number in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        try:
            if os.getsid(number) == gateway.process.pid:
                found[number] = peak_of(number)
        except (ProcessLookupError, FileNotFoundError):
            continue
    return found


def body(file: Path) -> Iterator[bytes]:
    yield b"--limit\r\nContent-Type: application/dicom\r\n\r\n"
    with file.open("rb") as content:
        while chunk := content.read(MEBIBYTE):
            yield chunk
    yield b"\r\n--limit--"


@pytest.mark.peer("dcmtk")
@pytest.mark.long
def test_large_objects_come_in_whole_and_are_held_by_no_process(
    gateways: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    file = write_native(tmp_path / "large.dcm", FRAMES)
    gateway = gateways(projects={"default": {"annotators": [], "ae_titles": ["ANNOGATE"]}}).start()
    before = peaks(gateway)
    sent = storescu.send(gateway.dicom_host, gateway.dicom_port, [file])
    assert sent.acknowledged == [file]
    eventually(gateway.instances, what="the instance")
    stow = requests.post(
        f"{gateway.http}/dicom-web/studies",
        data=body(file),
        headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=limit'},
        timeout=PATIENCE_S,
    )
    assert stow.status_code == 200, stow.text  # the same instance again: harmless
    # Those of before; what looks at pixels starts with the first object and has nothing to look at here.
    grown = {number: peak - before[number] for number, peak in peaks(gateway).items() if number in before}
    assert len(grown) >= 5
    assert max(grown.values()) < GROWTH
    (blob,) = (gateway.data_dir / "blobs").rglob("*.dcm")
    assert FRAMES * FRAME < blob.stat().st_size < FRAMES * FRAME + 8192


@pytest.mark.peer("dcmtk")
@pytest.mark.long
@pytest.mark.parametrize("receive_path", ["fast", "pynetdicom"])
def test_no_process_that_takes_objects_in_comes_near_their_size(
    gateways: Callable[..., GatewayProcess], tmp_path: Path, receive_path: str
) -> None:
    file = write_native(tmp_path / "large.dcm", MORE_FRAMES)
    gateway = gateways(
        projects={"default": {"annotators": [], "ae_titles": ["ANNOGATE"]}}, dicom={"receive_path": receive_path}
    ).start()
    assert gateway.process is not None
    with PssWatch(gateway.process.pid) as watch:
        sent = storescu.send(gateway.dicom_host, gateway.dicom_port, [file])
        assert sent.acknowledged == [file]
        eventually(gateway.instances, what="the instance")
    assert len(watch.peaks) >= 5
    assert max(watch.peaks.values()) < BOUND

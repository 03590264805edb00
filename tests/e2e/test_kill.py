"""A killed gateway keeps what it acknowledged, each instance once."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from tests import storescu
from tests.ct_series import write_ct_series
from tests.gateway_process import GatewayProcess, eventually

SLICES = 300


def acknowledged_before_kill(gateway: GatewayProcess, files: list[Path], after: int) -> list[Path]:
    """Send files, kill the gateway when ``after`` of them are acknowledged, and say which were."""
    sender = subprocess.Popen(
        storescu.command(gateway.dicom_host, gateway.dicom_port, files, called=gateway.ae_title, calling="SCANNER"),
        env=storescu.environment(nodelay=True),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert sender.stdout is not None
    lines, responses = [], 0
    for line in sender.stdout:
        lines.append(line)
        responses += "Received Store Response" in line
        if responses == after:
            gateway.kill()
            break
    rest, _ = sender.communicate()
    return [file for file, response in storescu.responses_in("".join(lines) + rest) if response == "Success"]


def numbers_served(gateway: GatewayProcess) -> Counter[int]:
    return Counter(int(instance["00200013"]["Value"][0]) for instance in gateway.instances())


@pytest.mark.peer("dcmtk")
@pytest.mark.long
@pytest.mark.parametrize("after", [3, 150])
def test_acknowledged_instances_are_there_once_after_kill_9(
    gateways: Callable[..., GatewayProcess], tmp_path: Path, after: int
) -> None:
    files = write_ct_series(tmp_path / "ct", SLICES, rows=256, columns=256)
    gateway = gateways(projects={"default": {"annotators": [], "ae_titles": ["ANNOGATE"]}}).start()
    acknowledged = acknowledged_before_kill(gateway, files, after)
    assert after <= len(acknowledged) < SLICES

    gateway.start()
    wanted = {int(pydicom.dcmread(file, stop_before_pixels=True).InstanceNumber) for file in acknowledged}
    eventually(lambda: wanted <= set(numbers_served(gateway)), what="every acknowledged instance")
    assert set(numbers_served(gateway).values()) == {1}

    # The sender repeats the whole study, as a PACS does; still each is there once.
    again = storescu.send(gateway.dicom_host, gateway.dicom_port, files)
    assert len(again.acknowledged) == SLICES
    eventually(lambda: len(numbers_served(gateway)) == SLICES, what="the whole study")
    assert set(numbers_served(gateway).values()) == {1}


@pytest.mark.parametrize("role", ["node", "ingest", "web", "jobs"])
def test_killed_role_is_started_again(gateways: Callable[..., GatewayProcess], role: str) -> None:
    gateway = gateways().start()
    assert gateway.process is not None
    supervisor = gateway.process.pid

    def processes() -> list[str]:
        asked = ["ps", "-o", "pid=,comm=", "--ppid", str(supervisor)]
        found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        return [pid for pid, name in map(str.split, found.splitlines()) if name == f"annogate-{role}"]

    (old,) = processes()
    subprocess.run(["kill", "-9", old], check=True)

    def another() -> bool:
        return bool(processes()) and old not in processes()

    eventually(another, what=f"another {role}")
    eventually(lambda: gateway.get("/health/ready").status_code == 200, what="a ready gateway")
    assert gateway.stop() == 0

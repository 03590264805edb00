"""`annogate demo` reaches its table, finds the planted nodules, and leaves no identity."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.ct_series import PATIENT, write_ct_series
from tests.gateway_process import eventually
from tests.patience import PATIENCE_S

SEEDS = range(1, 11)
TOLERANCE_MM = 1.5


def run_demo(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service.cli", "demo", "--once", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False)


def demo_json(*options: str) -> dict[str, Any]:
    done = run_demo("--json", *options)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return dict(json.loads(done.stdout))


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
def test_demo_finds_the_three_nodules_and_leaves_no_identity(seed: int) -> None:
    report = demo_json("--seed", str(seed))
    assert report["instances_in"] == report["instances_served"] == 60
    assert len(report["findings"]) == 3
    for finding in report["findings"]:
        assert abs(finding["long_axis_mm"] - finding["truth_mm"]) <= TOLERANCE_MM
        assert finding["volume_mm3"] > 0 < finding["truth_mm3"]
        assert 0 <= finding["confidence"] <= 1
    made = {(entry["annotator"], entry["modality"]) for entry in report["objects_out"]}
    assert made == {("lungs", "SEG"), ("lungs", "SR"), ("nodules", "SEG"), ("nodules", "SR")}
    assert report["identity_left"] == []
    assert report["problems"] == []
    assert set(report["addresses"]) >= {"dashboard", "viewer", "dicomweb", "dicom"}
    assert all(seconds >= 0 for seconds in report["seconds"].values())


@pytest.mark.long
def test_demo_takes_a_study_of_ones_own(tmp_path: Path) -> None:
    write_ct_series(tmp_path / "study", 12, rows=64, columns=64)
    (tmp_path / "study" / "README.txt").write_text("no DICOM")
    done = run_demo("--study", str(tmp_path / "study"))
    assert "12 / 12" in done.stdout
    assert "README.txt is not sent" in done.stdout
    assert PATIENT["PatientID"] not in done.stdout
    assert done.returncode == 0, "what is no DICOM file is told, and no failure"


@pytest.mark.long
def test_demo_serves_until_ctrl_c() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        for line in process.stderr:
            if "Serving until Ctrl-C" in line:
                break
        process.send_signal(signal.SIGINT)
        table = process.stdout.read()
        assert process.wait(PATIENCE_S) == 0
    for words in ("Instances in / served", "60 / 60", "Identity left", "Nodule 3", "/viewer/"):
        assert words in table


@pytest.mark.long
def test_ended_demo_takes_its_gateway_and_data_along(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "demo", "--json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    eventually(lambda: list(tmp_path.glob("annogate-demo-*/data/index.sqlite")), what="a gateway")
    process.terminate()
    process.wait(PATIENCE_S)
    assert list(tmp_path.iterdir()) == []
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in running

"""A gateway that nothing is asked of holds no library that only work needs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway_process import GatewayProcess

HEAVY = ("scipy", "SimpleITK", "skimage", "highdicom", "cv2", "onnxruntime", "rapidocr", "matplotlib", "imagecodecs")
ROLES_AT_REST = """
import sys
from service.runtime.early_imports import import_early
from service.bootstrap import Gateway
from service.settings import Settings

import_early()
settings = Settings.model_validate_json(sys.stdin.read())
Gateway(settings).prepare()
with Gateway(settings) as gateway:
    {use}
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""
USES = {
    "node": "gateway.node()",
    "ingest": "gateway.spool_worker, gateway.quarantine_desk, gateway.blob_sweep",
    "jobs": "gateway.worker_pool()",
    "web": "gateway.web_application()",
}


@pytest.mark.parametrize("role", USES)
def test_role_at_rest_imports_nothing_that_only_work_needs(tmp_path: Path, role: str):
    settings = '{"storage": {"data_dir": "%s", "disk_reserve_gib": 0.0}}' % (tmp_path / "data")
    code = ROLES_AT_REST.format(use=USES[role])
    done = subprocess.run([sys.executable, "-c", code], input=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert set(HEAVY) & set(done.stdout.splitlines()[-1].split()) == set()


def processes_below(pid: int) -> Iterator[int]:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield int(child)
        yield from processes_below(int(child))


def proportional_set_mib(pid: int) -> float:
    """What a process takes of memory, what it shares counted by its share (proc(5), smaps_rollup)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def test_processes_of_a_gateway_at_rest_share_what_they_import(tmp_path: Path):
    with GatewayProcess(tmp_path) as gateway:
        assert gateway.process is not None
        taken = [proportional_set_mib(pid) for pid in [gateway.process.pid, *processes_below(gateway.process.pid)]]
    words = "a supervisor, four roles, two receivers, two ingest workers, a web worker and what keeps its helpers"
    assert len(taken) == 11, words
    assert sum(taken) < 400, taken


def test_no_process_of_a_gateway_at_rest_maps_a_library_that_only_work_needs(tmp_path: Path):
    with GatewayProcess(tmp_path) as gateway:
        assert gateway.process is not None
        mapped = {
            name
            for pid in [gateway.process.pid, *processes_below(gateway.process.pid)]
            for name in HEAVY
            if f"/{name}" in Path(f"/proc/{pid}/maps").read_text()
        }
    assert mapped == set()

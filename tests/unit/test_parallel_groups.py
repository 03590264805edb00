"""Tests that share a gateway stay together when tests run in parallel."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.patience import PATIENCE_S

GROUPED = """
import pytest

@pytest.mark.xdist_group("together")
@pytest.mark.parametrize("number", range(6))
def test_one_of_a_group(number): pass
"""


def test_group_runs_in_one_worker(tmp_path: Path) -> None:
    """Else each worker starts the group's gateway, or its browser, for itself."""
    (tmp_path / "test_group.py").write_text(GROUPED)
    command = [sys.executable, "-m", "pytest", "-v", "-n", "2", "--dist", "loadgroup", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [*command, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    workers = re.findall(r"^\[(gw\d)\] .*PASSED", done.stdout, re.MULTILINE)
    assert len(workers) == 6, done.stdout
    assert len(set(workers)) == 1

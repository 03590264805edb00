"""Stands for a role's process: ``role_process.py ROLE READY_FD PARENT_PID [LISTENING_FD]``.

What it does in its n-th life stands in ``data/ROLE.n``; without that file it is ready and stays until SIGTERM.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path


def main() -> int:
    """Live one life."""
    role, ready_fd = sys.argv[1], int(sys.argv[2])
    data = Path(json.load(sys.stdin)["storage"]["data_dir"])
    life = len(list(data.glob(f"{role}.pid.*"))) + 1
    plan = data / f"{role}.{life}"
    what = plan.read_text() if plan.exists() else "ready"
    if role == "prepare":
        return 0
    child = os.fork() if what == "child" else None
    if child == 0:
        signal.pause()
    if what == "ready":
        os.write(ready_fd, b"ready\n")
    partial = data / f"{role}.partial"
    partial.write_text(f"{os.getpid()} {child or 0}")
    partial.rename(data / f"{role}.pid.{life}")
    if what == "die":
        return 3
    signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())

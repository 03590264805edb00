"""A supervisor over processes that stand for roles: ``supervisor_process FOLDER``; prints "ready" like the real one.

What a role does in its n-th life stands in ``data/ROLE.n``; without that file it is ready and stays until SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from service.log import configure_logging
from service.runtime.roles import RoleContext
from service.runtime.supervisor import Supervisor
from service.settings import Settings


def main() -> int:
    """Supervise roles that live as planned."""
    settings = Settings.model_validate(
        {
            "storage": {"data_dir": sys.argv[1] + "/data"},
            "http": {"host": "127.0.0.1", "port": 0},
            "dicom": {"host": "127.0.0.1", "port": 0},
        }
    )
    configure_logging("info", "json", "supervisor")
    supervisor = Supervisor(
        settings,
        lambda http, dicom: print(f"ready {http} {dicom}", flush=True),  # noqa: T201 (a process of its own)
        run_role=live,
        patience_s=0.5,
    )
    return supervisor.run()


def live(role: str, context: RoleContext) -> None:
    """Live one life."""
    if role == "prepare":
        return
    data = context.settings.storage.data_dir
    life = len(list(data.glob(f"{role}.pid.*"))) + 1
    plan = data / f"{role}.{life}"
    what = plan.read_text() if plan.exists() else "ready"
    child = os.fork() if what == "child" else None
    if child == 0:
        signal.pause()
    if what == "ready":
        context.say_ready()
    say_who(data, role, life, child or 0)
    if what == "die":
        raise SystemExit(3)
    signal.pause()


def say_who(data: Path, role: str, life: int, child: int) -> None:
    partial = data / f"{role}.partial"
    partial.write_text(f"{os.getpid()} {child}")
    partial.rename(data / f"{role}.pid.{life}")


if __name__ == "__main__":
    sys.exit(main())

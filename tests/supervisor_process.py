"""A supervisor over processes that stand for roles: ``supervisor_process FOLDER``; prints "ready" like the real one."""

from __future__ import annotations

import sys
from pathlib import Path

from service.log import configure_logging
from service.runtime.supervisor import Supervisor
from service.settings import Settings


def main() -> int:
    """Supervise what ``FOLDER/role`` starts."""
    folder = Path(sys.argv[1])
    settings = Settings.model_validate(
        {
            "storage": {"data_dir": str(folder / "data")},
            "http": {"host": "127.0.0.1", "port": 0},
            "dicom": {"host": "127.0.0.1", "port": 0},
        }
    )
    configure_logging("info", "json", "supervisor")
    supervisor = Supervisor(
        settings,
        lambda http, dicom: print(f"ready {http} {dicom}", flush=True),  # noqa: T201 (a process of its own)
        role_command=(str(folder / "role"),),
        patience_s=0.5,
    )
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main())

"""How much memory a process held at most, by the kernel's own count.

``python -m tests.peak_memory MODULE ARGUMENT…`` runs a module like ``python -m`` and ends with a line on stderr that
says so. The resource usage that a parent is told of counts from before the exec, so it would say the parent's.
"""

from __future__ import annotations

import atexit
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Final

MEBIBYTE: Final = 1 << 20
_SAID: Final = re.compile(r"^held at most (\d+) KiB$", re.MULTILINE)


def peak_of(process: int | str) -> int:
    """Bytes that were resident at once in a process that is there (VmHWM); never less than its PSS."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[1]) << 10  # type: ignore[index]


def run(module: str, *arguments: str) -> tuple[subprocess.CompletedProcess[str], int]:
    """Run a module to its end; what it wrote, and the bytes it held at most."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.peak_memory", module, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=Path(__file__).resolve().parent.parent,
    )
    said = _SAID.search(ended.stderr)
    assert said, ended.stderr[-2000:]
    return ended, int(said[1]) << 10


def _tell() -> None:
    sys.stderr.write(f"\nheld at most {peak_of('self') >> 10} KiB\n")


if __name__ == "__main__":
    atexit.register(_tell)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)

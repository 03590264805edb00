"""What a process is called in ``ps -o comm``, ``top`` and ``pgrep``."""

from __future__ import annotations

import ctypes
from typing import Final

PR_SET_NAME: Final = 15
_LONGEST: Final = 15  # bytes; prctl(2) cuts what is longer


def name_process(name: str) -> None:
    """Name this process; the processes that it forks are called the same until they name themselves (Linux)."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NAME, name.encode("ascii")[:_LONGEST])

"""Where a fault arose, for a log that must not repeat what the fault says."""

from __future__ import annotations

import traceback


def fault_place(error: BaseException) -> str:
    """The type of an error and the line that raised it; not its text, which may quote a patient's value."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {frames[-1].name}:{frames[-1].lineno}" if frames else type(error).__name__

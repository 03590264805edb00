"""Sealed files that are kept in memory: what waits for no disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class InMemorySealedFiles:
    """What was written and not erased, by path."""

    def __init__(self) -> None:
        self.files: dict[Path, bytes] = {}

    def write(self, path: Path, parts: Iterable[bytes | memoryview]) -> None:
        self.files[path] = b"".join(bytes(part) for part in parts)
        path.touch()

    def read(self, path: Path) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path]

    def erase(self, path: Path) -> None:
        self.files.pop(path, None)
        path.unlink(missing_ok=True)

"""A script of ``tools/`` as a module, so that a test can ask it for what it would write."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType


def tool_module(repository: Path, name: str) -> ModuleType:
    """Run a script's definitions, not its ``main``."""
    spec = importlib.util.spec_from_file_location(name, repository / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

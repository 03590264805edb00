"""A gateway as its own processes for each test that asks for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway_process import GatewayProcess


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[Callable[..., GatewayProcess]]:
    """Make gateways that are ended when the test is over, whatever became of it."""
    made: list[GatewayProcess] = []

    def make(name: str = "gateway", prefix: tuple[str, ...] = (), **settings: Any) -> GatewayProcess:
        gateway = GatewayProcess(tmp_path / name, settings, prefix)
        made.append(gateway)
        return gateway

    yield make
    for gateway in made:
        gateway.__exit__()

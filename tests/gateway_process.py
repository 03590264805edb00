"""A real gateway as its own processes, for tests: start, ask, kill, start again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import requests

from tests.patience import PATIENCE_S

READY = re.compile(r"^ready http=(?P<http>http://\S+) dicom=(?P<title>\S+)@(?P<host>[\d.]+):(?P<port>\d+)$")

Answer = TypeVar("Answer")


def eventually(ask: Callable[[], Answer], patience_s: float = PATIENCE_S, what: str = "an answer") -> Answer:
    """Ask until the answer is true; a test's only way to wait for work done elsewhere."""
    until = time.monotonic() + patience_s
    while True:
        asked = time.monotonic()
        answer = ask()
        if answer:
            return answer
        assert asked < until, f"no {what} within {patience_s} s"
        # Where answers are slow, the machine is busy with what is waited for.
        time.sleep(max(0.05, 4 * (time.monotonic() - asked)))


def toml(tree: dict[str, Any], prefix: str = "") -> str:
    """A tree of settings as TOML."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in tree.items() if not isinstance(value, dict)]
    for key, value in tree.items():
        if isinstance(value, dict):
            lines += [f"\n[{prefix}{key}]", toml(value, f"{prefix}{key}.")]
    return "\n".join(lines)


@dataclass
class GatewayProcess:
    """``annogate serve`` on a data directory; ports are the machine's choice."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    command_prefix: tuple[str, ...] = ()
    process: subprocess.Popen[str] | None = None
    http: str = ""
    dicom_host: str = ""
    dicom_port: int = 0
    ae_title: str = ""

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "gateway.log"

    def start(self) -> GatewayProcess:
        """Start and wait for the ready line."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "annogate.toml"
        config.write_text(toml(self.settings))
        environ = {key: value for key, value in os.environ.items() if not key.startswith("ANNOGATE__")}
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [
                    *self.command_prefix,
                    *(sys.executable, "-m", "service.cli", "serve", "--config", str(config)),
                    *("--data-dir", str(self.data_dir)),
                    *("--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0"),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environ,
                cwd=Path(__file__).resolve().parents[1],
                start_new_session=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        match = READY.match(line)
        assert match, f"no ready line but {line!r}: {self.log.read_text()[-2000:]}"
        self.http = match["http"]
        self.dicom_host, self.dicom_port, self.ae_title = match["host"], int(match["port"]), match["title"]
        return self

    def kill(self) -> None:
        """SIGKILL to every process of the gateway, as a power cut would."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self._reap()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def _reap(self) -> int:
        assert self.process is not None
        status = self.process.wait(PATIENCE_S)
        if self.process.stdout:
            self.process.stdout.close()
        self.process = None
        return status

    def get(self, path: str, **kwargs: Any) -> requests.Response:
        return requests.get(self.http + path, timeout=PATIENCE_S, **kwargs)

    def api(self, path: str, **kwargs: Any) -> Any:
        response = self.get(f"/api/v1{path}", **kwargs)
        response.raise_for_status()
        return response.json()

    def studies(self, project: str = "default") -> list[dict[str, Any]]:
        """The studies as QIDO-RS lists them."""
        response = self.get(f"/projects/{project}/dicom-web/studies")
        response.raise_for_status()
        return response.json() if response.status_code == 200 else []

    def instances(self, project: str = "default") -> list[dict[str, Any]]:
        """Every instance as QIDO-RS lists it."""
        response = self.get(f"/projects/{project}/dicom-web/instances?limit=100000")
        response.raise_for_status()
        return response.json() if response.status_code == 200 else []

    def __enter__(self) -> GatewayProcess:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            if self.process.poll() is None:
                self.stop()
            else:
                self._reap()

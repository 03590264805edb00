"""A real Orthanc on loopback, as a PACS that pushes to us by its own configuration."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import requests

from tests.patience import PATIENCE_S


def free_port() -> int:
    """A port that nobody listens on now; Orthanc cannot choose one itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class OrthancProcess:
    """Orthanc with one modality configured: ``annogate`` at the given address; ``settings`` are Orthanc's own."""

    folder: Path
    peer_title: str
    peer_host: str
    peer_port: int
    settings: dict[str, object] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    http: str = ""
    dicom_port: int = 0

    def __enter__(self) -> OrthancProcess:
        self.folder.mkdir(parents=True, exist_ok=True)
        http_port, self.dicom_port = free_port(), free_port()
        configuration = {
            "Name": "PACS",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "HttpPort": http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomPort": self.dicom_port,
            "DicomAet": "ORTHANC",
            "DicomModalities": {"annogate": [self.peer_title, self.peer_host, self.peer_port]},
            "DicomAlwaysAllowStore": True,
            "UnknownSopClassAccepted": True,
            "TcpNoDelay": True,
            "Plugins": [],
        } | self.settings
        file = self.folder / "orthanc.json"
        file.write_text(json.dumps(configuration))
        with (self.folder / "orthanc.log").open("wb") as log:
            self.process = subprocess.Popen(["/usr/sbin/Orthanc", str(file)], stdout=log, stderr=log)
        self.http = f"http://127.0.0.1:{http_port}"
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                requests.get(f"{self.http}/system", timeout=PATIENCE_S).raise_for_status()
            except requests.ConnectionError:
                assert self.process.poll() is None, (self.folder / "orthanc.log").read_text()
                assert time.monotonic() < until, "Orthanc did not start"
                time.sleep(0.1)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(PATIENCE_S)

    def upload(self, file: Path) -> str:
        """Give Orthanc one file; its own identifier of the instance."""
        answer = requests.post(f"{self.http}/instances", data=file.read_bytes(), timeout=PATIENCE_S)
        answer.raise_for_status()
        return str(answer.json()["ID"])

    def studies(self) -> list[str]:
        """Orthanc's identifiers of its studies."""
        return list(requests.get(f"{self.http}/studies", timeout=PATIENCE_S).json())

    def push(self, identifiers: list[str]) -> dict[str, object]:
        """Have Orthanc send studies or instances to us by C-STORE; its own account of the job."""
        answer = requests.post(
            f"{self.http}/modalities/annogate/store",
            json={"Resources": identifiers, "Synchronous": True},
            timeout=PATIENCE_S,
        )
        answer.raise_for_status()
        return dict(answer.json())

"""A gateway that real files are sent into, and what of it comes back under the UIDs of the sender."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_nodes.errors import GatewayError
from dicom_nodes.outgoing_object import OutgoingObject
from dicom_nodes.peer import PeerAddress
from dicom_nodes.requestor import RequestorSettings
from dicom_nodes.sender import store
from service.bootstrap.gateway import Gateway
from service.deident.keys import KeyFile
from service.deident.uid_map import UidMap
from service.settings import load_settings
from tests import storescu
from tests.dicomweb_gateway import parts_of
from tests.gateway_process import GatewayProcess, eventually

AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@dataclass(frozen=True)
class Answer:
    """What the node said to one object; no status where it takes no such SOP class in this transfer syntax."""

    sent: OutgoingObject
    status: int | None
    comment: str


@dataclass
class RealGateway:
    """A running gateway, and what its owner could ask of it."""

    process: GatewayProcess

    def new_uids(self, project: str) -> UidMap:
        """What the project makes of the UIDs that come in; its key file is read as its owner would."""
        keys = KeyFile.load(self.process.data_dir / "keys" / "annogate.key")
        return UidMap(keys.project_keys(project).uid_key)

    def send(self, objects: Iterable[OutgoingObject], called: str, calling: str = "SCANNER") -> list[Answer]:
        """Send each in its own transfer syntax."""
        objects = list(objects)
        if not objects:
            return []
        peer = PeerAddress(called, self.process.dicom_host, self.process.dicom_port)
        try:
            results = list(store(peer, objects, RequestorSettings(calling_ae_title=calling)))
        except GatewayError as error:
            return [Answer(one, None, str(error)) for one in objects]
        return [Answer(result.sent, result.status, result.comment) for result in results]

    def push(self, paths: Sequence[Path], called: str) -> list[Path]:
        """Send with storescu what it can send, the rest with our own sender; what was acknowledged."""
        by_syntax: dict[str, list[Path]] = defaultdict(list)
        for path in paths:
            by_syntax[OutgoingObject.from_file(path).transfer_syntax_uid].append(path)
        acknowledged: list[Path] = []
        for syntax, some in by_syntax.items():
            if syntax in storescu.OPTIONS:
                options = ("-R", "--no-halt", *storescu.OPTIONS[syntax])
                host, port = self.process.dicom_host, self.process.dicom_port
                acknowledged += storescu.send(host, port, some, *options, called=called).acknowledged
        # It knows neither the newest SOP classes nor every transfer syntax.
        rest = [path for path in paths if path not in set(acknowledged)]
        answers = self.send(map(OutgoingObject.from_file, rest), called)
        return acknowledged + [path for path, answer in zip(rest, answers, strict=True) if answer.status == 0]

    def drain(self, project: str) -> None:
        """Wait until something has become of everything of a project that was acknowledged."""
        settings = load_settings(
            self.process.folder / "annogate.toml",
            environ={},
            overrides={"storage": {"data_dir": str(self.process.data_dir)}},
        )
        with Gateway(settings) as beside:
            backlog, intake = beside.spool_backlog, beside.intake
            eventually(lambda: backlog.oldest_at(project) is None, what="end of the spool")
            eventually(lambda: intake.oldest_pending_at(project) is None, what="end of ingest")

    def instances(self, project: str) -> dict[str, dict[str, Any]]:
        """Every instance as QIDO-RS lists it, by SOP Instance UID."""
        listed = self.process.instances(project)
        found = {one["00080018"]["Value"][0]: one for one in listed}
        assert len(found) == len(listed), "an instance is listed twice"
        return found

    def retrieve(self, project: str, path: str) -> list[bytes]:
        """The files of a study, series or instance, as stored."""
        response = self.process.get(f"/projects/{project}/dicom-web{path}", headers={"Accept": AS_STORED})
        assert response.status_code == 200, f"{path}: {response.status_code} {response.text[:300]}"
        return [content for _, content in parts_of(response.content, response.headers["Content-Type"])]


def address_of(listed: dict[str, Any]) -> str:
    """Where QIDO-RS says that an instance is, below the service's root."""
    study, series, instance = (listed[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
    return f"/studies/{study}/series/{series}/instances/{instance}"


def data_set_of(content: bytes) -> Dataset:
    return dcmread(BytesIO(content))

"""A gateway in this process with its DICOM node listening, whose ingest and rounds a test drives step by step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from dicom_nodes.listener import DicomNode
from dicom_nodes.outgoing_object import OutgoingObject
from dicom_nodes.peer import PeerAddress
from dicom_nodes.requestor import RequestorSettings
from dicom_nodes.sender import store
from service.bootstrap import Gateway
from service.settings import load_settings
from tests.archived import SetClock
from tests.datasets import encode
from tests.listening_node import EXPLICIT


@dataclass
class CommitmentHouse:
    """A gateway, its node, and the clock that both go by."""

    gateway: Gateway
    node: DicomNode
    clock: SetClock

    @property
    def address(self) -> tuple[str, int]:
        return self.node.address

    def send(self, objects: Sequence[Dataset], called: str = "ANNOGATE", calling: str = "ANNOGATE") -> list[int | None]:
        """C-STORE; the statuses."""
        outgoing = [
            OutgoingObject.from_bytes(str(one.SOPClassUID), str(one.SOPInstanceUID), EXPLICIT, encode(one))
            for one in objects
        ]
        settings = RequestorSettings(calling_ae_title=calling)
        return [result.status for result in store(PeerAddress(called, *self.address), outgoing, settings)]

    def ingest(self) -> None:
        """Work the spool off."""
        while self.gateway.spool_worker.work():
            pass

    def round(self) -> bool:
        """Do what is due of storage commitment."""
        return self.gateway.commitment_rounds.work()


@contextlib.contextmanager
def commitment_house(folder: Path, **settings: Any) -> Iterator[CommitmentHouse]:
    """Run one for the length of a test; ``settings`` are sections."""
    overrides: dict[str, dict[str, Any]] = {
        "storage": {"data_dir": str(folder), "disk_reserve_gib": 0.0, "spool_segment_mib": 1},
        "dicom": {"port": 0},
        "commitment": {"linger_s": 0.0},
    }
    merged = {key: {**overrides.get(key, {}), **settings.get(key, {})} for key in {*overrides, *settings}}
    clock = SetClock()
    with Gateway(load_settings(environ={}, overrides=merged), clock) as gateway:
        gateway.prepare()
        node = gateway.node()
        node.start()
        try:
            yield CommitmentHouse(gateway, node, clock)
        finally:
            node.stop()

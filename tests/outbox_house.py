"""The outbox put together over a folder, with results that are ready to leave."""

from __future__ import annotations

from pathlib import Path

from service.archive.database import Database
from service.archive.outbox import OutboxTable
from service.archive.outbox_peers import OutboxPeers
from service.archive.releases import ReleaseTable
from service.core.deliveries import ANY_FORM, DeliveryRow, DeliveryState
from service.delivery.courier import Courier
from service.delivery.outbox_files import OutboxFiles
from service.delivery.peer_rules import Patience, PeerRules
from service.delivery.targets import Target
from tests.delivery_house import Sealed
from tests.fakes.ready_results import ReadyResults
from tests.ingest_house import Clock


class OutboxHouse:
    """A second one over the same folder is a second process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.database = Database.open(folder / "index.sqlite")
        self.releases = ReleaseTable(self.database, self.clock)
        self.outbox = OutboxTable(self.database, self.clock)
        self.peers = OutboxPeers(self.database, self.clock)
        self.files = OutboxFiles(folder / "outbox", Sealed(), self.outbox.is_finished)

    def put(self, count: int = 1, *, peer: str = "pacs", first: int = 1, reports: bool = True) -> None:
        """Queue results, each a SEG and its report, in one transaction."""
        with self.database.write() as connection:
            for number in range(first, first + count):
                self.releases.open(
                    project="p", study_uid=f"2.25.{number}", annotator="fixed", objects={}, connection=connection
                )
                objects = {ANY_FORM: [f"2.25.{number}1", *([f"2.25.{number}2"] if reports else [])]}
                self.outbox.add(
                    project="p",
                    release_id=number,
                    study_uid=f"2.25.{number}",
                    peer=peer,
                    objects=objects,
                    connection=connection,
                )

    def courier(self, target: Target, peer: str = "pacs", **changes: object) -> Courier:
        values = {
            "rules": PeerRules(peer, check_identity=False),
            "target": target,
            "outbox": self.outbox,
            "peers": self.peers,
            "preparation": ReadyResults(),
            "files": self.files,
            "owner": "test",
            "clock": self.clock,
            "key": bytes(32),
            "patience": Patience(),
        }
        return Courier(**(values | changes))

    def row(self, number: int = 1) -> DeliveryRow:
        row = self.outbox.get(number)
        assert row is not None
        return row

    def count(self, state: DeliveryState, peer: str = "pacs") -> int:
        return self.outbox.counts().get((peer, state), 0)

    def close(self) -> None:
        self.database.close()

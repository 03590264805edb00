"""A quarantine whose objects are always archived when they are released."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from service.core.archived import QuarantineRow
from service.core.records import Outcome, OutcomeKind
from service.errors import InstanceNotFound
from service.ingest.pixel_case import PixelCase, Region


def held_row(quarantine_id: str, project: str = "default", **changes: object) -> QuarantineRow:
    """A CT whose pixel data is missing, as a node left it."""
    row = QuarantineRow(
        id=quarantine_id,
        project=project,
        state="held",
        failure_reason=0xC001,
        reason="the data set ends within Pixel Data (7FE0,0010)",
        source="dimse",
        calling_ae_title="CT1",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        size=525_312,
        content_digest=b"digest",
        times_seen=2,
        received_at=1_750_000_000.0,
        decided_at=None,
        decided_by="",
    )
    return replace(row, **changes)  # type: ignore[arg-type]


class InMemoryQuarantineDesk:
    """Rows in a dictionary."""

    def __init__(self, rows: Sequence[QuarantineRow] = ()) -> None:
        self.rows = {row.id: row for row in rows}
        self.cases: dict[str, PixelCase] = {}
        self.looks: list[tuple[str, int]] = []
        self.cut: list[str] = []
        self.drawn: dict[str, tuple[Region, ...]] = {}

    def list(
        self, project: str | None = None, *, state: str | None = "held", limit: int = 100, offset: int = 0
    ) -> list[QuarantineRow]:
        found = [row for row in self.rows.values() if project in (None, row.project) and state in (None, row.state)]
        return found[offset : offset + limit]

    def show(self, quarantine_id: str) -> QuarantineRow:
        if quarantine_id not in self.rows:
            raise InstanceNotFound("there is no such object in quarantine")
        return self.rows[quarantine_id]

    def release(self, quarantine_id: str, by: str) -> Outcome:
        self._decide(quarantine_id, "released", by)
        return Outcome(OutcomeKind.ARCHIVED, study_uid="1.2", sop_instance_uid="1.2.3")

    def discard(self, quarantine_id: str, by: str) -> QuarantineRow:
        self._decide(quarantine_id, "discarded", by)
        return self.rows[quarantine_id]

    def pixel_case(self, quarantine_id: str) -> PixelCase | None:
        self.show(quarantine_id)
        return self.cases.get(quarantine_id)

    def picture(self, quarantine_id: str, frame: int) -> bytes:
        self.looks.append((quarantine_id, frame))
        return b"\x89PNG"

    def release_seen(self, quarantine_id: str, by: str, regions: Sequence[Region]) -> Outcome:
        case = self.pixel_case(quarantine_id)
        if case is None:
            raise InstanceNotFound("the pixels of this object are not what it is held for")
        self.drawn[quarantine_id] = case.checked(regions)
        return self.release(quarantine_id, by)

    def release_cut(self, quarantine_id: str, by: str) -> Outcome:
        self.cut.append(quarantine_id)
        return self.release(quarantine_id, by)

    def _decide(self, quarantine_id: str, state: str, by: str) -> None:
        row = self.show(quarantine_id)
        if row.state != "held":
            raise InstanceNotFound("the object is not held any more")
        self.rows[quarantine_id] = replace(row, state=state, decided_by=by, decided_at=1_750_000_100.0)

"""Looks among what was just added for rejection notes, and for images that a note named before they came."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from pydicom.uid import KeyObjectSelectionDocumentStorage

from service.archive.database import Connection
from service.archive.prepared import PreparedInstance
from service.archive.rejections import RejectionTable
from service.core.records import Incoming, ObjectKind
from service.objects.rejection_note import rejection_notes_in

_DIMSE: Final = "dimse"


class IncomingNotes:
    """Hides what notes name, in the transaction that adds either."""

    def __init__(self, table: RejectionTable) -> None:
        self._table = table

    def after_add(self, added: Sequence[tuple[Incoming, PreparedInstance]], connection: Connection) -> None:
        """Obey the notes among what was added, and those that came before it."""
        uids: dict[str, list[str]] = defaultdict(list)
        for incoming, prepared in added:
            uids[prepared.new.project].append(prepared.sop_instance_uid)
            if _may_reject(incoming, prepared):
                for note in rejection_notes_in(prepared.new.header):
                    self._table.obey(prepared.new.project, note, connection)
        for project, instances in uids.items():
            self._table.hide_among(project, instances, connection)


def _may_reject(incoming: Incoming, prepared: PreparedInstance) -> bool:
    """Whether an object is a key object of the hospital's: what a reader stores here rejects nothing."""
    if prepared.columns["sop_class_uid"] != KeyObjectSelectionDocumentStorage:
        return False
    return prepared.new.kind is ObjectKind.IMAGE or incoming.source == _DIMSE

"""Takes results back: hidden here, kept back where they have not left, rejected by a note where they have (IOCM)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from pydicom import dcmread
from pydicom.dataset import Dataset

from service.archive.database import Database
from service.archive.instances import InstanceIndex
from service.archive.outbox import OutboxTable
from service.archive.prepared import PreparedInstance
from service.archive.releases import ReleaseTable
from service.core.archived import InstanceRow, StudyRow
from service.core.deliveries import (
    ANY_FORM,
    DeliveryKind,
    DeliveryRow,
    ItemState,
    ReleaseRow,
    ReleaseState,
)
from service.core.ports import BlobStore
from service.core.rejection import OUTGOING, TITLES
from service.delivery.release_desk import LONGEST_REASON, ReleaseDecision
from service.errors import DecisionRefused, InstanceNotFound
from service.objects.rejection_note import NamedInstance, write_rejection_note
from service.objects.validation import refuse_errors, validate

RECALLABLE = (ReleaseState.WAITING, ReleaseState.RELEASED)
_SERIES_NUMBER = 9101


class NoteKeeper(Protocol):
    """Keeps a note's file."""

    def keep(self, study: StudyRow, note: Dataset) -> PreparedInstance:
        """Write it; the row for the index."""


class RecallDesk:
    """Recalls versions of results; each is told to the audit trail.

    Parameters
    ----------
    created_at : by study, now in its project's time
    new_uid : makes a UID that nobody had before
    version : of the gateway
    """

    def __init__(
        self,
        *,
        database: Database,
        releases: ReleaseTable,
        outbox: OutboxTable,
        index: InstanceIndex,
        blobs: BlobStore,
        notes: NoteKeeper,
        created_at: Callable[[StudyRow], datetime],
        new_uid: Callable[[], str],
        version: str,
        on_decision: Callable[[ReleaseDecision], None],
        on_queued: Callable[[], object] = lambda: None,
    ) -> None:
        self._database = database
        self._releases = releases
        self._outbox = outbox
        self._index = index
        self._blobs = blobs
        self._notes = notes
        self._created_at = created_at
        self._new_uid = new_uid
        self._version = version
        self._on_decision = on_decision
        self._on_queued = on_queued

    def recall(self, release_id: int, by: str, code: str, reason: str) -> ReleaseRow:
        """Take a result back.

        Parameters
        ----------
        code : of the note's title: 113037, 113038 or 113039 (DCM)
        reason : in words for colleagues, without identity; it leaves in the note

        Raises
        ------
        InstanceNotFound : there is no such result, or its study is gone
        DecisionRefused : it is none that can be recalled, or code or reason do not fit
        """
        reason = reason.strip()[:LONGEST_REASON]
        if code not in OUTGOING or not reason:
            raise DecisionRefused(f"a result is recalled with a reason, and a code of {', '.join(OUTGOING)}")
        release = self._releases.get(release_id)
        if release is None:
            raise InstanceNotFound("there is no result of this number")
        if release.state not in RECALLABLE:
            raise DecisionRefused(f"this result cannot be recalled: it is {release.state}")
        study = self._index.study(release.project, release.study_uid)
        if study is None:
            raise InstanceNotFound("the study of this result is not held any more")
        notes = self._notes_for(release, study, code, reason)
        with self._database.write() as connection:
            recalled = self._releases.decide(
                release.id,
                ReleaseState.RECALLED,
                by,
                of=RECALLABLE,
                reason=reason,
                recall_code=code,
                connection=connection,
            )
            if not recalled:
                raise DecisionRefused("somebody decided on this result a moment ago")
            self._outbox.withdraw(release.id, f"recalled: {TITLES[code].meaning}", by, connection=connection)
            self._index.hide(release.project, release.all_objects, connection)
            self._index.add_all([note for _, note in notes], connection)
            for delivery, note in notes:
                self._outbox.add(
                    project=release.project,
                    release_id=release.id,
                    study_uid=release.study_uid,
                    peer=delivery.peer,
                    objects={ANY_FORM: [note.sop_instance_uid]},
                    kind=DeliveryKind.REJECTION,
                    connection=connection,
                )
        self._on_decision(ReleaseDecision("recall", release, by, reason))
        self._on_queued()
        return self._releases.get(release_id) or release

    def _notes_for(
        self, release: ReleaseRow, study: StudyRow, code: str, reason: str
    ) -> list[tuple[DeliveryRow, PreparedInstance]]:
        """A note for each peer that has something of the result, about what it has."""
        notes = []
        for delivery in self._outbox.of_release(release.id):
            rows = self._at_peer(delivery) if delivery.kind is DeliveryKind.RESULT else []
            if rows:
                note = self._note(rows, study, code, reason)
                notes.append((delivery, self._notes.keep(study, note)))
        return notes

    def _at_peer(self, delivery: DeliveryRow) -> list[InstanceRow]:
        """What a peer has, or may have: what was on its way when it was last heard of is rejected as well."""
        there = (ItemState.SENT, ItemState.SENDING)
        uids = [item.sop_instance_uid for item in self._outbox.items(delivery.id) if item.state in there]
        rows = [self._index.find(delivery.project, uid) for uid in uids]
        return [row for row in rows if row is not None]

    def _note(self, rows: list[InstanceRow], study: StudyRow, code: str, reason: str) -> Dataset:
        with self._blobs.open(rows[0].blob.key) as stream:
            of = dcmread(stream, stop_before_pixels=True)
        note = write_rejection_note(
            of,
            [NamedInstance(row.sop_class_uid, row.sop_instance_uid, row.series_uid) for row in rows],
            code=code,
            words=reason,
            uids=(self._new_uid(), self._new_uid()),
            series_number=_SERIES_NUMBER,
            created_at=self._created_at(study),
            version=self._version,
        )
        refuse_errors(validate(note))
        return note

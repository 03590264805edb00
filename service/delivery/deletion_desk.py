"""Where people delete studies, series and instances, and restore them while their grace lasts.

What peers were sent is not recalled by it: recall a result, or send a rejection note, where they are not to use it
any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from service.archive.database import Connection, Database
from service.archive.outbox import OutboxTable
from service.archive.rejections import RejectionTable
from service.archive.releases import ReleaseTable
from service.archive.runs import RunTable
from service.archive.trash import TrashTable
from service.core.archived import InstanceRow, RunState
from service.core.blob_key import is_uid
from service.core.deletion import LONGEST_REASON, DeletedPlace, DeletionEvent, DeletionRow, DeletionState
from service.core.deliveries import ReleaseState
from service.core.records import ObjectKind
from service.errors import DecisionRefused, InstanceNotFound

DAY_S: Final = 86400.0


class DeletionDesk:
    """Deletes and restores; each is told to the audit trail.

    Parameters
    ----------
    grace_days : how long what is deleted can be restored
    clock : seconds since the epoch, UTC
    on_event : writes the audit trail
    on_studies, on_queued : wake who makes studies complete, and who delivers
    """

    def __init__(
        self,
        *,
        trash: TrashTable,
        database: Database,
        runs: RunTable,
        releases: ReleaseTable,
        outbox: OutboxTable,
        rejections: RejectionTable,
        grace_days: float,
        clock: Callable[[], float],
        on_event: Callable[[DeletionEvent], None],
        on_studies: Callable[[], object] = lambda: None,
        on_queued: Callable[[], object] = lambda: None,
    ) -> None:
        self._trash = trash
        self._database = database
        self._runs = runs
        self._releases = releases
        self._outbox = outbox
        self._rejections = rejections
        self._grace_days = grace_days
        self._clock = clock
        self._on_event = on_event
        self._on_studies = on_studies
        self._on_queued = on_queued

    @property
    def grace_days(self) -> float:
        """How long what is deleted can be restored."""
        return self._grace_days

    def page(
        self,
        project: str,
        *,
        state: DeletionState | None = None,
        study_uid: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[DeletionRow]:
        """Deletions of a project (or of one of its studies), the newest first."""
        return self._trash.page(project, state=state, study_uid=study_uid, limit=limit, offset=offset)

    def show(self, project: str, deletion_id: int) -> DeletionRow:
        """One of them.

        Raises
        ------
        InstanceNotFound : the project has none of this number
        """
        row = self._trash.get(deletion_id)
        if row is None or row.project != project:
            raise InstanceNotFound("there is no deletion of this number")
        return row

    def delete(self, project: str, place: DeletedPlace, by: str, reason: str = "") -> DeletionRow:
        """Move a study, a series or an instance into the trash: nobody finds or retrieves it from now on.

        Parameters
        ----------
        reason : in words for colleagues, without identity

        Raises
        ------
        InstanceNotFound : nothing is held there, or it is in the trash already
        """
        uids = (place.study_uid, place.series_uid, place.sop_instance_uid)
        named = all(not uid or is_uid(uid) for uid in uids) and bool(place.study_uid)
        if not named or (place.sop_instance_uid and not place.series_uid):
            raise InstanceNotFound("a study, a series of a study or an instance of a series is named by UIDs")
        remove_at = self._clock() + self._grace_days * DAY_S
        words = reason.strip()[:LONGEST_REASON]
        with self._database.write() as transaction:
            row = self._trash.put(project, place, by=by, reason=words, remove_at=remove_at, connection=transaction)
            if row is None:
                raise InstanceNotFound("nothing is held there, or it is in the trash already")
            self._stop_what_rests_on(row, by, transaction)
        self._on_event(DeletionEvent("delete", row, by))
        self._on_studies()
        return row

    def restore(self, project: str, deletion_id: int, by: str) -> DeletionRow:
        """Show again what a deletion hid; annotators look at what they had not looked at.

        Results that were on their way go on.

        Raises
        ------
        InstanceNotFound : the project has none of this number
        DecisionRefused : it is restored already, or its grace has ended
        """
        row = self.show(project, deletion_id)
        with self._database.write() as transaction:
            taken = self._trash.instances_in(row.id, connection=transaction)
            restored = self._trash.restore(row.id, by, transaction)
            if restored is not None:
                self._start_again(row, taken, by, transaction)
        if restored is None:
            raise DecisionRefused(f"this deletion cannot be undone: it is {self.show(project, deletion_id).state}")
        self._on_event(DeletionEvent("restore", restored, by))
        self._on_studies()
        self._on_queued()
        return restored

    def restore_study(self, project: str, study_uid: str, by: str) -> list[DeletionRow]:
        """Restore every deletion of a study that is in the trash.

        Raises
        ------
        InstanceNotFound : there is none
        """
        found = self._trash.page(project, state=DeletionState.TRASHED, study_uid=study_uid, limit=10_000)
        if not found:
            raise InstanceNotFound("nothing of this study is in the trash")
        return [self.restore(project, row.id, by) for row in found]

    def _stop_what_rests_on(self, row: DeletionRow, by: str, transaction: Connection) -> None:
        """No annotator goes on with deleted images, and no deleted result leaves any more."""
        words, taken = _words(row), self._trash.instances_in(row.id, connection=transaction)
        series = sorted({one.series_uid for one in taken if one.kind is ObjectKind.IMAGE})
        if series:
            self._runs.stop(row.project, row.study_uid, series, words, connection=transaction)
            if row.place.series_uid:  # of a study as a whole nothing is left to look at
                self._rejections.look_again(row.project, row.study_uid, transaction)
        gone = {one.sop_instance_uid for one in taken if one.kind is ObjectKind.RESULT}
        for release in self._releases.of_study(row.project, row.study_uid):
            if gone & set(release.all_objects):
                self._releases.decide(release.id, ReleaseState.REJECTED, by, reason=words, connection=transaction)
                self._outbox.withdraw(release.id, words, by, connection=transaction)

    def _start_again(self, row: DeletionRow, taken: Sequence[InstanceRow], by: str, transaction: Connection) -> None:
        words = _words(row)
        for run in self._runs.of_study(row.project, row.study_uid):
            if run.state is RunState.REFUSED and run.reason == words:
                self._runs.retry(run.id, connection=transaction)
        for release in self._releases.of_study(row.project, row.study_uid):
            self._outbox.give_back(release.id, words, connection=transaction)
            if release.state is ReleaseState.REJECTED and release.reason == words:
                of = (ReleaseState.REJECTED,)
                self._releases.decide(release.id, ReleaseState.WAITING, by, of=of, connection=transaction)
        if any(one.kind is ObjectKind.IMAGE for one in taken):
            self._rejections.look_again(row.project, row.study_uid, transaction)


def _words(row: DeletionRow) -> str:
    return f"it, or what it rests on, was deleted (deletion {row.id})"

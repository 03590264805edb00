"""Obeys rejection notes: stops runs on what they hid, and recalls results that rest on it; a person may restore it."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from dicom_nodes.errors import GatewayError
from service.archive.instances import InstanceIndex
from service.archive.rejections import RejectionTable
from service.archive.releases import ReleaseTable
from service.archive.runs import RunTable
from service.core.records import ObjectKind
from service.core.rejection import (
    OUTGOING,
    PATIENT_SAFETY,
    TITLES,
    ObeyedNote,
    RejectionEvent,
    RejectionNote,
    RejectionRow,
)
from service.delivery.recall_desk import RECALLABLE, RecallDesk
from service.delivery.release_desk import AUTOMATIC
from service.errors import InstanceNotFound

_log = structlog.get_logger("annogate.delivery")


class RejectionDesk:
    """Works on what notes named.

    Parameters
    ----------
    on_event : writes the audit trail
    on_studies : wakes who makes studies complete
    """

    def __init__(
        self,
        *,
        table: RejectionTable,
        index: InstanceIndex,
        runs: RunTable,
        releases: ReleaseTable,
        recall: RecallDesk,
        on_event: Callable[[RejectionEvent], None],
        on_studies: Callable[[], object] = lambda: None,
    ) -> None:
        self._table = table
        self._index = index
        self._runs = runs
        self._releases = releases
        self._recall = recall
        self._on_event = on_event
        self._on_studies = on_studies

    def obey(self) -> None:
        """See to what rests on instances that were rejected since the last time; what fails is tried again then."""
        for project, note in self._table.unacted():
            try:
                self._obey(project, note)
            except GatewayError as error:
                # Somebody decided on a result meanwhile, say. The other notes must not wait for it.
                _log.warning("rejection.put_off", project=project, reason=str(error))

    def of_study(self, project: str, study_uid: str) -> list[RejectionRow]:
        """What notes named of a study, and what became of it."""
        return self._table.of_study(project, study_uid)

    def notes(
        self, project: str, *, study_uid: str | None = None, limit: int = 100, offset: int = 0
    ) -> list[ObeyedNote]:
        """The notes that came for a project (or for one of its studies), the newest first."""
        return self._table.notes(project, study_uid=study_uid, limit=limit, offset=offset)

    def restore(self, project: str, study_uid: str, note_uid: str, by: str) -> int:
        """Show again what a note hid, and look at the study anew; how many instances.

        Results that were recalled stay so: what annotators find now leaves as a newer version.

        Raises
        ------
        InstanceNotFound : no such note hides anything of the study
        """
        hidden = [row for row in self.of_study(project, study_uid) if (row.note_uid, row.state) == (note_uid, "hidden")]
        if not hidden:
            raise InstanceNotFound("no such note hides anything of this study")
        restored = self._table.restore(project, study_uid, note_uid, by)
        found = [self._index.find(project, row.sop_instance_uid) for row in restored]
        # What ran on these images is not shown any more: it runs again, and leaves as a newer version.
        self._runs.outdate(project, study_uid, sorted({row.series_uid for row in found if row is not None}))
        self._table.look_again(project, study_uid)
        self._on_event(RejectionEvent("restore", project, study_uid, note_uid, hidden[0].code, len(restored), by))
        self._on_studies()
        return len(restored)

    def _obey(self, project: str, note: RejectionNote) -> None:
        named = len(note.instances)
        recalled = self._act(project, note)
        self._table.acted(project, note)
        self._on_event(
            RejectionEvent("obey", project, note.study_uid, note.note_uid, note.code, named, AUTOMATIC, recalled)
        )
        _log.warning("study.rejected", project=project, instances=named, recalled=recalled, title=note.code)
        self._on_studies()

    def _act(self, project: str, note: RejectionNote) -> int:
        """Stop and recall; how many results were recalled."""
        study_uid = note.study_uid
        found = [self._index.find(project, uid) for uid in note.instances]
        series = {row.series_uid for row in found if row is not None and row.kind is ObjectKind.IMAGE}
        self._runs.stop(project, study_uid, sorted(series), _words(note.note_uid))
        recalled = self._recall_resting(project, note, series)
        self._hide_results(project, study_uid, series)
        if series:
            self._table.look_again(project, study_uid)
        return recalled

    def _recall_resting(self, project: str, note: RejectionNote, series: set[str]) -> int:
        """Recall the results on what a note named, or among it; how many."""
        if self._index.study(project, note.study_uid) is None:
            return 0  # removed for good: there is nothing left to hide, or to write of
        named = set(note.instances)
        title = note.code if note.code in OUTGOING else PATIENT_SAFETY
        recalled = 0
        for release in self._releases.of_study(project, note.study_uid):
            rests_on_it = release.series_uid in series or named.intersection(release.all_objects)
            if not rests_on_it or release.state not in RECALLABLE:
                continue
            words = f"the images were rejected: {TITLES[note.code].meaning}"
            self._recall.recall(release.id, AUTOMATIC, title, words)
            recalled += 1
        return recalled

    def _hide_results(self, project: str, study_uid: str, series: set[str]) -> None:
        """Also those that wait for nobody: of runs from before there were releases."""
        runs = {run.id for run in self._runs.of_study(project, study_uid) if run.series_uid in series}
        rows = self._index.instances_of(project, study_uid)
        resting = [row.sop_instance_uid for row in rows if row.kind is ObjectKind.RESULT and row.run_id in runs]
        self._index.hide(project, resting)


def _words(note_uid: str) -> str:
    return f"its images were rejected by note {note_uid}"

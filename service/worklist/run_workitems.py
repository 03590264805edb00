"""Work items of annotators' runs: the run's row is what is true, its work item says it to whoever looks at worklists.

A work item only goes forward. A run that is queued once more, because it failed, was given up or its performer fell
silent, gets another work item, which names the one that it takes the place of. A run of the gateway's own that goes
back to its queue while it lasts (a worker died) stays in progress.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final

from service.archive.database import Connection
from service.archive.instances import InstanceIndex
from service.archive.workitems import WorkitemTable
from service.core import workitem as tags
from service.core.archived import RunRow, RunState
from service.core.search import Attributes
from service.core.workitem import GATEWAY, UPS_PUSH, NewWorkitem, Workitem, WorkitemState, code
from service.worklist.announcements import Announcements
from service.worklist.cancellation import UNSPECIFIED, cancelled
from service.worklist.project_time import ProjectTime

COMPUTER_AIDED_DETECTION: Final = code("110004", "DCM", "Computer Aided Detection")
_STATES: Final[Mapping[RunState, WorkitemState]] = {
    RunState.QUEUED: WorkitemState.SCHEDULED,
    RunState.RUNNING: WorkitemState.IN_PROGRESS,
    RunState.DONE: WorkitemState.COMPLETED,
    RunState.REFUSED: WorkitemState.CANCELED,
    RunState.FAILED: WorkitemState.CANCELED,
}
_PATIENT_TAGS: Final = ("00100010", "00100020", "00100021", "00100030", "00100040")
_EMPTY: Final[Mapping[str, str]] = {
    "00081080": "LO",
    "00081084": "SQ",
    "00100010": "PN",
    "00100020": "LO",
    "00100030": "DA",
    "00100040": "CS",
    "00380010": "LO",
    "00380014": "SQ",
    "00400400": "LT",
    "00404026": "SQ",
    "00404027": "SQ",
    "0040A370": "SQ",
    tags.PROGRESS: "SQ",
    "00741210": "SQ",
    tags.PERFORMED: "SQ",
}


class RunWorkitems:
    """Keeps the work item of a run where the run is.

    Parameters
    ----------
    codes : Scheduled Workitem Code of annotators that have another one than Computer Aided Detection (PS3.16 CID 9231)
    time : tells moments as projects do
    new_uid : makes UIDs of work items
    clock : seconds since the epoch, UTC
    """

    def __init__(
        self,
        *,
        table: WorkitemTable,
        announcements: Announcements,
        index: InstanceIndex,
        codes: Mapping[str, Attributes],
        time: ProjectTime,
        new_uid: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        self._table = table
        self._announcements = announcements
        self._index = index
        self._codes = codes
        self._time = time
        self._new_uid = new_uid
        self._clock = clock

    def follow(self, run: RunRow, connection: Connection) -> None:
        """Bring the work item of a run to where the run is, in the transaction that brought the run there."""
        held = self._table.of_run(run.id, connection)
        wanted = _STATES[run.state]
        if held is not None and self._lost_its_performer(held, run):
            held = self._end(held, WorkitemState.CANCELED, self._cancelled(held, run), connection)
        if held is None or (held.state.is_final and not wanted.is_final):
            held = self._begin(run, held, connection)
        if held is None or held.state.is_final or held.state is wanted or wanted is WorkitemState.SCHEDULED:
            return
        if held.state is WorkitemState.SCHEDULED:
            held = self._end(held, WorkitemState.IN_PROGRESS, None, connection)
        if held is not None and wanted.is_final:
            completed = wanted is WorkitemState.COMPLETED
            attributes = self._performed(held, run) if completed else self._cancelled(held, run)
            self._end(held, wanted, attributes, connection)

    @staticmethod
    def _lost_its_performer(held: Workitem, run: RunRow) -> bool:
        return bool(run.performer) and run.state is RunState.QUEUED and held.state is WorkitemState.IN_PROGRESS

    def _begin(self, run: RunRow, before: Workitem | None, connection: Connection) -> Workitem | None:
        new = NewWorkitem(
            project=run.project,
            workitem_uid=self._new_uid(),
            attributes=self._scheduled(run, before),
            created_by="annogate",
            study_uid=run.study_uid,
            series_uid=run.series_uid,
            run_id=run.id,
            annotator=run.annotator,
            performer="" if run.performer else GATEWAY,
        )
        return self._announcements.add(new, connection)

    def _end(
        self, held: Workitem, state: WorkitemState, attributes: Attributes | None, connection: Connection
    ) -> Workitem | None:
        changed = self._table.change(held, connection, state=state, attributes=attributes)
        if changed is not None:
            self._announcements.changed(held, changed, connection)
        return changed

    def _scheduled(self, run: RunRow, before: Workitem | None) -> Attributes:
        now = self._moment(run, run.queued_at)
        said: Attributes = {tag: {"vr": vr} for tag, vr in _EMPTY.items()}
        said |= self._patient(run)
        said |= {
            tags.STARTS_AT: {"vr": "DT", "Value": [now]},
            tags.MODIFIED_AT: {"vr": "DT", "Value": [now]},
            tags.WORKITEM_CODE: {"vr": "SQ", "Value": [self._codes.get(run.annotator, COMPUTER_AIDED_DETECTION)]},
            tags.STATION_NAME: {"vr": "SQ", "Value": [] if run.performer else [_station()]},
            tags.INPUT_READINESS: {"vr": "CS", "Value": ["READY"]},
            tags.STUDY_INSTANCE_UID: {"vr": "UI", "Value": [run.study_uid]},
            tags.PRIORITY: {"vr": "CS", "Value": ["MEDIUM"]},
            tags.WORKLIST_LABEL: {"vr": "LO", "Value": [f"{run.project}/{run.annotator}"[:64]]},
            tags.STEP_LABEL: {"vr": "LO", "Value": [f"{run.annotator} {run.version}"[:64]]},
            tags.INPUT_INFORMATION: {"vr": "SQ"},
        }
        if before is not None:
            replaced = {
                "00081150": {"vr": "UI", "Value": [UPS_PUSH]},
                "00081155": {"vr": "UI", "Value": [before.workitem_uid]},
            }
            said[tags.REPLACED_STEP] = {"vr": "SQ", "Value": [replaced]}
        return dict(sorted((tag, _without_empty_values(element)) for tag, element in said.items()))

    def _moment(self, run: RunRow, at: float | None) -> str:
        """A time of the run's, or the present one, as its project tells it."""
        return self._time.moment(run.project, run.study_uid, self._clock() if at is None else at)

    def _patient(self, run: RunRow) -> Attributes:
        """Who the patient is, as the study is served."""
        study = self._index.study(run.project, run.study_uid)
        if study is None:
            return {}
        attributes: Attributes = json.loads(study.attributes)
        return {tag: attributes[tag] for tag in _PATIENT_TAGS if tag in attributes}

    def _performed(self, held: Workitem, run: RunRow) -> Attributes:
        """What was done; what was made is looked up when somebody asks, for the archive knows."""
        if not run.performer:
            done: Attributes = {
                "00404019": held.attributes[tags.WORKITEM_CODE],
                "00404028": {"vr": "SQ", "Value": [_station()]},
                "00404029": {"vr": "SQ"},
                "00404030": {"vr": "SQ"},
                tags.OUTPUT_INFORMATION: {"vr": "SQ"},
                "00404050": {"vr": "DT", "Value": [self._moment(run, run.started_at)]},
                "00404051": {"vr": "DT", "Value": [self._moment(run, run.finished_at)]},
            }
            return held.attributes | {tags.PERFORMED: {"vr": "SQ", "Value": [dict(sorted(done.items()))]}}
        return held.attributes

    def _cancelled(self, held: Workitem, run: RunRow) -> Attributes:
        words = run.reason[:1024] or "whoever claimed it was silent for too long"
        return cancelled(
            held.attributes,
            self._moment(run, None),
            {
                tags.REASON_FOR_CANCELLATION: {"vr": "LT", "Value": [words]},
                tags.DISCONTINUATION_REASON: {"vr": "SQ", "Value": [UNSPECIFIED]},
            },
        )


def _station() -> Attributes:
    """The gateway as a station: codes of this kind are always somebody's own."""
    return code("ANNOGATE", "99ANNOGATE", "Annogate")


def _without_empty_values(element: dict[str, object]) -> dict[str, object]:
    return element if element.get("Value") else {"vr": element["vr"]}
